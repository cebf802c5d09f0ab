"""Preflight of an upgrade: everything that would break or block it, named before anything is disrupted. Reads only."""
