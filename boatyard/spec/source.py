"""Reading a spec's file without trusting it, and finding the files that a spec names."""

import errno
import os
import stat
from pathlib import Path

from boatyard.errors import InvalidSpec, NotFound
from boatyard.spec.document import Mark, Problem
from boatyard.spec.words import shown_name

MAX_BYTES = 1024 * 1024
"""Size of one spec file; a cluster takes about 2 KiB."""

FLEET_FILE = "fleet.yaml"


def read_text(path: Path) -> str:
    """The file's text. `NotFound` when it is missing, `InvalidSpec` when it is no readable regular file of UTF-8."""
    return decode(_read_bytes(path), str(path))


def decode(raw: bytes, name: str) -> str:
    """Bytes as text; `InvalidSpec` names the place of the first byte that is not UTF-8."""
    if len(raw) > MAX_BYTES:
        raise invalid(name, f"the file is larger than {MAX_BYTES // 1024} KiB, allowed at most {MAX_BYTES // 1024} KiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise invalid(name, f"found the byte 0x{raw[error.start]:02x}, allowed UTF-8", line, column) from None


def invalid(name: str, message: str, line: int = 1, column: int = 1) -> InvalidSpec:
    return InvalidSpec([str(Problem(Mark(name, line, column), (), message))])


def _read_bytes(path: Path) -> bytes:
    try:
        # Not blocking: opening a FIFO that nobody writes to would hang.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise NotFound(f"there is no file {shown_name(str(path))}.") from None
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ENXIO):
            raise NotFound(f"there is no file {shown_name(str(path))[:200]}.") from None
        raise invalid(str(path), f"the file cannot be read: {error.strerror}") from None
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise invalid(str(path), f"found {_file_kind(mode)}, allowed a regular file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise invalid(str(path), f"the file cannot be read: {error.strerror}") from None
    finally:
        os.close(handle)


def _file_kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a FIFO"
    return "a device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "something that is no file"


def project_root(folder: Path) -> Path:
    """The nearest folder at or above `folder` with a fleet.yaml or .git; else `folder` itself."""
    real = Path(os.path.realpath(folder))
    for candidate in (real, *real.parents):
        if (candidate / FLEET_FILE).is_file() or (candidate / ".git").exists():
            return candidate
    return real


def fleet_file(spec: Path) -> Path | None:
    """The fleet.yaml whose defaults apply to a file: beside it, or above when it lies in clusters/ or templates/."""
    folder = spec.absolute().parent
    if folder.name in ("clusters", "templates") and not (folder / FLEET_FILE).is_file():
        folder = folder.parent
    file = folder / FLEET_FILE
    return file if file.is_file() else None
