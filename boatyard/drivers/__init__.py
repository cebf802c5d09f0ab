"""Drivers: one folder a distribution, all with the same file names."""
