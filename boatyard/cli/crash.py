"""Reports of unexpected errors: files that only their owner can read, without secrets; no traceback on the screen."""

import contextlib
import os
import platform
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from boatyard.redact import redact
from boatyard.settings import Settings

KEPT = 20
"""Reports kept; older ones go."""


def report(error: BaseException) -> str | None:
    """Write the report of `error`; its path, or None when nothing can be written anywhere."""
    text = redact(
        f"boatyard {version('boatyard')}, Python {platform.python_version()}, {platform.platform()}\n"
        f"{' '.join(sys.argv)}\n\n{''.join(traceback.format_exception(error))}"
    )
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.txt"
    for folder in (Settings.load().home / "crashes", Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            return _write(folder, name, text)
    return None


def _write(folder: Path, name: str, text: str) -> str:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / (name if folder.name == "crashes" else f"boatyard-{name}")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    if folder.name == "crashes":
        for old in sorted(folder.glob("*.txt"))[:-KEPT]:
            old.unlink(missing_ok=True)
    return str(path)
