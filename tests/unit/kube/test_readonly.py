"""A client that only looks sends nothing else, whichever way it is asked."""

import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from boatyard.errors import Unsafe
from boatyard.kube.client import APPLY
from boatyard.kube.readonly import ReadOnlyClient

PODS = "/api/v1/namespaces/team/pods"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers everything, and remembers what it was asked."""

    def answer(self) -> None:
        self.server.seen.append((self.command, self.path.partition("?")[0]))  # type: ignore[attr-defined]
        data = b'{"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Any]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.seen = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def client(server: Any) -> Iterator[ReadOnlyClient]:
    address = f"http://127.0.0.1:{server.server_address[1]}"
    document = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": address}}],
        "users": [{"name": "u", "user": {}}],
    }
    with ReadOnlyClient(document) as client:
        yield client


@pytest.mark.parametrize(
    "write",
    [
        lambda client: client.create(PODS, {}),
        lambda client: client.replace(f"{PODS}/a", {}),
        lambda client: client.patch(f"{PODS}/a", {}),
        lambda client: client.patch(f"{PODS}/a", {}, APPLY, dryRun="All"),
        lambda client: client.delete(f"{PODS}/a"),
        lambda client: client.raw("POST", PODS),
        lambda client: client.raw("OPTIONS", PODS),
        lambda client: client.raw("GET", PODS, body={"x": 1}),
    ],
)
def test_every_other_verb_is_refused_before_it_is_sent(
    server: Any, client: ReadOnlyClient, write: Callable[[ReadOnlyClient], object]
) -> None:
    with pytest.raises(Unsafe, match="this is only to look at"):
        write(client)
    assert server.seen == []


def test_lists_go_through(server: Any, client: ReadOnlyClient) -> None:
    assert client.list(PODS) == []
    assert server.seen == [("GET", PODS)]
