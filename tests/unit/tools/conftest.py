"""A release server, and tools that are small enough to be real."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from boatyard.tools.catalogue import Release, Tool, same_minor

PATTERN = r"^boat v(\S+)$"


def script(version: str = "1.2.3", size: int = 2_000_000) -> bytes:
    """A program of `size` bytes that prints its version."""
    text = f"#!/bin/sh\necho boat v{version}\nexit 0\n".encode()
    return text + b"#" * (size - len(text))


@dataclass
class ReleaseServer:
    """Serves `files`; `cut` is the number of bytes after which the next answers break off; `gate` holds them there."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    gate: threading.Event | None = None
    ranges: bool = True
    requested: threading.Event = field(default_factory=threading.Event)
    seen: list[tuple[str, str]] = field(default_factory=list)

    def publish(self, name: str, content: bytes, sha256: str | None = None) -> Release:
        """Put a file and its sum there; `sha256` to lie about it."""
        self.files[f"/{name}"] = content
        self.files[f"/{name}.sha256"] = (sha256 or hashlib.sha256(content).hexdigest()).encode() + b"\n"
        return Release(f"{self.url}/{name}", f"{self.url}/{name}.sha256")

    def gets(self, name: str) -> list[str]:
        """The Range headers of the requests for a file, in order."""
        return [range_ for path, range_ in self.seen if path == f"/{name}"]


def _handler(server: list[ReleaseServer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            it = server[0]
            range_ = self.headers.get("Range", "")
            it.seen.append((self.path, range_))
            content = it.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            begin = int(range_.removeprefix("bytes=").rstrip("-")) if range_ and it.ranges else 0
            if begin >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(content) - begin))
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            whole = self.path.endswith(".sha256")
            stop = len(content) if whole or not it.cut else begin + it.cut.pop(0)
            self.wfile.write(content[begin:stop])
            if not whole:
                it.requested.set()
                if it.gate is not None:
                    it.gate.wait(30)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler


@pytest.fixture
def releases() -> Iterator[ReleaseServer]:
    it: list[ReleaseServer] = []
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler(it))
    httpd.daemon_threads = True
    httpd.block_on_close = False
    it.append(ReleaseServer(f"http://127.0.0.1:{httpd.server_port}"))
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield it[0]
    if it[0].gate is not None:
        it[0].gate.set()
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def boat() -> Callable[..., Tool]:
    """Makes a tool called `boat`, version 1.2.3."""

    def make(release: Release | None = None, **more: object) -> Tool:
        return Tool("boat", "1.2.3", ("--version",), PATTERN, same_minor, release, **more)  # type: ignore[arg-type]

    return make


@pytest.fixture
def on_path(tmp_path: Path) -> Callable[..., Path]:
    """Puts a small program into a folder; returns the folder."""

    def put(folder: str, version: str, name: str = "boat", says: str = "boat v{}") -> Path:
        program = tmp_path / folder / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho '{says.format(version)}'\n")
        program.chmod(0o755)
        return program.parent

    return put
