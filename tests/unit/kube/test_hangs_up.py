"""A balancer or tunnel with no API server behind it: worth waiting for, unlike a certificate that is refused."""

import socket
import threading
from collections.abc import Iterator

import pytest

from boatyard.errors import Temporary
from boatyard.kube.client import Client


@pytest.fixture
def hanging_up() -> Iterator[str]:
    """Accepts connections, reads the greeting, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.getsockname()[1]}"
        stop.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_closed_handshake_is_temporary(hanging_up: str) -> None:
    document = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": hanging_up}}],
    }
    with Client(document, retries=0) as client, pytest.raises(Temporary, match="does not answer"):
        client.version()
