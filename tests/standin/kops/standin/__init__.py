"""What kOps 1.36.2 does, as far as Boatyard uses it."""
