"""What server, worker and runs print is kept to a bound: for years nobody looks after a supervisor that works."""

import contextlib
import os
import shutil
from pathlib import Path

LIMIT = 20_000_000
"""Bytes of one log; once it is over, what it holds becomes NAME.log.1 in place of what that held."""


def trim(folder: Path, limit: int = LIMIT) -> None:
    """Begin those logs anew that are over `limit` bytes. Whoever writes goes on: all of them append."""
    for path in folder.glob("*.log"):
        with contextlib.suppress(OSError):
            if path.stat().st_size > limit:
                with contextlib.suppress(OSError):  # on a full disk the old lines are lost, which frees it
                    _keep(path)
                os.truncate(path, 0)


def _keep(path: Path) -> None:
    old = path.with_name(f"{path.name}.1")
    old.unlink(missing_ok=True)
    with path.open("rb") as source, os.fdopen(os.open(old, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as to:
        shutil.copyfileobj(source, to)
