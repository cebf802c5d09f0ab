"""Files that verbs write: never over one that is there unless asked, and with the errors in words."""

import os
from pathlib import Path

from boatyard.errors import Permanent, Unsafe


def write_new(path: Path, text: str) -> None:
    """Write a file that must not be there yet; `Unsafe` when it is."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Unsafe(f"{path} is there already and was not changed.", hint="Choose another name with --to.") from None
    except OSError as error:
        raise Permanent(f"{path} cannot be written: {error.strerror}.") from None


def write_private(path: Path, text: str) -> None:
    """Put a file that only its owner can read at `path`, all at once, whatever was there."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise Permanent(f"{path} cannot be written: {error.strerror}.") from None


def replace_text(path: Path, text: str) -> None:
    """Write `path`, over what was there."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Permanent(f"{path} cannot be written: {error.strerror}.") from None
