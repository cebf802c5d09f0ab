"""Who is at the terminal: for the journal, and for whoever meets the lease."""

import getpass
import os


def who() -> str:
    """BOATYARD_WHO, else the user's name."""
    if name := os.environ.get("BOATYARD_WHO"):
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
