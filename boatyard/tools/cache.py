"""The tool cache: {cache}/tools/<name>/<version>/<name>, each program with a manifest beside it.

A version's folder is put together under a temporary name and renamed into place, so a program is there whole or not at
all. Installing takes a lock, so that two processes do it once.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from boatyard.errors import Permanent
from boatyard.tools.progress import Report

_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What was installed: where it came from, its sha256, and size and mtime to notice a change cheaply."""

    source: str
    sha256: str
    size: int
    mtime_ns: int


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Cache:
    """The programs under one folder. Reading needs no lock; `put`, `adopt` and `clean` are for its holder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def program(self, name: str, version: str) -> Path:
        """Where the program is, or would be."""
        return self.root / name / version / name

    def manifest(self, name: str, version: str) -> Manifest | None:
        """None when there is none or it cannot be read."""
        try:
            return Manifest(**json.loads((self.program(name, version).parent / _MANIFEST).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def intact(self, name: str, version: str, *, fully: bool) -> bool:
        """Is the installed program what was installed? By size and mtime, and by its sha256 when asked or in doubt."""
        program, manifest = self.program(name, version), self.manifest(name, version)
        if manifest is None or not os.access(program, os.X_OK):
            return False
        state = program.stat()
        if state.st_size != manifest.size:
            return False
        return (not fully and state.st_mtime_ns == manifest.mtime_ns) or sha256_of(program) == manifest.sha256

    def put(self, name: str, version: str, fetched: Path, source: str) -> Path:
        """Install `fetched` (moved when it is on the same file system), in one step."""
        target = self.program(name, version)
        target.parent.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".tmp-put-", dir=self.root))
        program = folder / name
        shutil.move(fetched, program)
        program.chmod(0o755)
        with program.open("rb") as file:
            os.fsync(file.fileno())
        _write_manifest(program, source)
        folder.chmod(0o755)
        old = Path(tempfile.mkdtemp(prefix=".tmp-old-", dir=self.root))
        if target.parent.exists():
            target.parent.rename(old)
        folder.rename(target.parent)
        shutil.rmtree(old, ignore_errors=True)
        return target

    def adopt(self, name: str, version: str) -> None:
        """Write the manifest of a program that somebody put into the cache by hand."""
        with contextlib.suppress(OSError):  # a cache that cannot be written can still be used
            _write_manifest(self.program(name, version), "put there by hand")

    def clean(self) -> None:
        """Remove what a killed installation left behind; downloads and Go's own caches stay, to go on from."""
        for rest in self.root.glob(".tmp-*"):
            shutil.rmtree(rest, ignore_errors=True)

    @contextlib.contextmanager
    def lock(self, report: Report) -> Iterator[None]:
        """Hold the cache alone among all processes; says so when it has to wait. A killed holder frees it."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            file = (self.root / ".lock").open("a+")
        except OSError as error:
            raise Permanent(
                f"The tool cache {self.root} cannot be written: {error.strerror}.",
                hint="Set BOATYARD_CACHE to a folder that can be.",
            ) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                report(f"another process (pid {file.read().strip() or 'unknown'}) is installing tools; waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield


def _write_manifest(program: Path, source: str) -> None:
    state = program.stat()
    manifest = Manifest(source, sha256_of(program), state.st_size, state.st_mtime_ns)
    temporary = program.parent / f".{_MANIFEST}.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(manifest), indent=1) + "\n")
    temporary.rename(program.parent / _MANIFEST)


class VersionMemo:
    """What programs on PATH said about their version, by path, size and mtime: asking costs up to 0.1 s each."""

    def __init__(self, file: Path, ask: Callable[[Path, str], str]) -> None:
        self._file, self._ask = file, ask
        self._known: dict[str, str] | None = None

    def __call__(self, program: Path, tool: str) -> str:
        """The version, or an empty text when it is not this tool."""
        if self._known is None:
            self._known = self._load()
        state = program.stat()
        key = f"{tool} {program.resolve()} {state.st_size} {state.st_mtime_ns}"
        if key not in self._known:
            self._known[key] = self._ask(program, tool)
            self._save(self._known)
        return self._known[key]

    def _load(self) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError):
            document = json.loads(self._file.read_text())
            if isinstance(document, dict):
                return {str(key): str(value) for key, value in document.items()}
        return {}

    def _save(self, known: dict[str, str]) -> None:
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._file.with_name(f"{self._file.name}.{os.getpid()}")
            temporary.write_text(json.dumps(dict(list(known.items())[-64:])))
            temporary.rename(self._file)
