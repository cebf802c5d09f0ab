"""Reading a page: what comes, what does not, and what takes too long."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from boatyard.errors import Temporary
from boatyard.tools.page import download

PAGE = b"a page"


@pytest.fixture
def server() -> Iterator[tuple[str, threading.Event]]:
    """Serves a page at /stable, nothing at /gone, and at /slow only once the event is set."""
    gate = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/gone":
                self.send_error(404)
                return
            if self.path == "/slow":
                gate.wait(30)
            with contextlib.suppress(BrokenPipeError):  # nobody waits any more
                self.send_response(200)
                self.end_headers()
                self.wfile.write(PAGE)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads, httpd.block_on_close = True, False
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}", gate
    gate.set()
    httpd.shutdown()
    httpd.server_close()


def test_a_download(server: tuple[str, threading.Event]) -> None:
    url, gate = server
    assert download(f"{url}/stable", 10) == PAGE
    with pytest.raises(Temporary, match="Not Found"):
        download(f"{url}/gone", 10)
    with pytest.raises(Temporary, match="/slow cannot be read"):
        download(f"{url}/slow", 0.2)
    gate.set()


def test_a_host_that_does_not_answer() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(Temporary, match="cannot be read"):
            download(f"http://127.0.0.1:{port}/stable", 5)
