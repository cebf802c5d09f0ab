"""The client against a scripted server: what is repeated, what is not, and how a watch gets over a bad connection."""

import http.server
import itertools
import json
import threading
from collections.abc import Iterator

import pytest

from boatyard.clock import Deadline, SystemClock
from boatyard.errors import Permanent, Temporary
from boatyard.kube import watch
from boatyard.kube.client import APPLY, ApiBusy, ApiForbidden, ApiInvalid, Client
from boatyard.kube.objects import Ref
from boatyard.kube.waiting import wait_gone


class Server(http.server.ThreadingHTTPServer):
    """Answers each request with the next of `script`: (status, headers, body), or None to drop the connection."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list = []
        self.seen: list[tuple[str, str, str | None]] = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.seen.append((self.command, self.path, self.headers.get("authorization")))
        step = self.server.script.pop(0)
        if step is None:
            self.close_connection = True
            self.connection.close()
            return
        status, headers, body = step
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = answer

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):
            return

    def log_message(self, *args):
        return


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def kubeconfig(server, **user):
    return {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}/prefix/"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }


@pytest.fixture
def client(server) -> Iterator[Client]:
    with Client(kubeconfig(server, token="secret"), timeout=10) as client:
        yield client


OK = (200, {}, {"kind": "Thing"})
LATER = (429, {"retry-after": "0"}, {"message": "too many"})


def item(name, version="5"):
    return {"metadata": {"name": name, "resourceVersion": version}}


def page(*items, version="10"):
    return (
        200,
        {},
        {"kind": "ThingList", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items},
    )


def changes(*events):
    lines = [json.dumps({"type": kind, "object": thing}) for kind, thing in events]
    return (200, {}, ("\n".join(lines) + "\n").encode())


def test_reads_and_applies_are_repeated(client, server):
    server.script = [None, LATER, OK, None, OK]
    assert client.get("/x") == {"kind": "Thing"}
    client.patch("/x", {}, APPLY)
    assert [seen[0] for seen in server.seen] == ["GET"] * 3 + ["PATCH"] * 2
    assert {seen[1:] for seen in server.seen} == {("/prefix/x", "Bearer secret")}


@pytest.mark.parametrize("first", [None, LATER], ids=["dropped", "too many"])
def test_creations_and_other_patches_are_not_repeated(client, server, first):
    for call in (lambda: client.create("/x", {}), lambda: client.patch("/x", {})):
        server.script = [first, OK]
        with pytest.raises(Temporary):
            call()
        assert len(server.script) == 1


def test_a_long_pause_is_the_callers_to_make(client, server):
    server.script = [(429, {"retry-after": "120"}, {"message": "too many"})]
    with pytest.raises(ApiBusy, match="429 to GET /x: too many") as error:
        client.get("/x")
    assert error.value.delay == 120


def test_repeating_ends(client, server):
    server.script = [LATER] * 9
    with pytest.raises(ApiBusy):
        client.get("/x")
    assert len(server.seen) == 4


@pytest.mark.parametrize(
    ("answer", "family", "text"),
    [
        ((403, {}, {"message": "no rights"}), ApiForbidden, "no rights"),
        (
            (500, {}, {"message": "failed to create typed patch object (a): expected string"}),
            ApiInvalid,
            "expected string",
        ),
        ((500, {}, {"message": "etcd is down"}), ApiBusy, "etcd is down"),
        ((404, {}, b"404 page not found"), Permanent, "404 page not found"),
    ],
)
def test_families_of_errors(client, server, answer, family, text):
    server.script = [answer]
    with pytest.raises(family, match=text):
        client.get("/x")


def test_a_rotated_token_is_read_again(server, tmp_path):
    token = tmp_path / "token"
    token.write_text("old\n")
    with Client(kubeconfig(server, tokenFile=str(token))) as client:
        server.script = [OK, OK]
        client.get("/x")
        token.write_text("new\n")
        client.get("/x")
    assert [seen[2] for seen in server.seen] == ["Bearer old", "Bearer new"]


def test_an_outdated_chunk_starts_the_list_again(client, server):
    first = (200, {}, {"kind": "ThingList", "metadata": {"continue": "t"}, "items": [item("a")]})
    server.script = [first, (410, {}, {"reason": "Expired"}), page(item("b"), item("c"))]
    assert [thing["metadata"]["name"] for thing in client.list("/things")] == ["b", "c"]


def test_watch_goes_on_where_a_connection_was_lost(client, server):
    server.script = [
        page(item("a")),
        changes(("MODIFIED", item("a", "11")), ("BOOKMARK", item("", "15"))),
        None,
        changes(("DELETED", item("a", "16"))),
    ]
    seen = []
    for event in client.watch("/things", timeout=10):
        seen.append(event.type)
        if event.type == "DELETED":
            break
    assert seen == ["ADDED", "SYNCED", "MODIFIED", "DELETED"]
    assert "resourceVersion=10&" in server.seen[1][1]
    assert "resourceVersion=15&" in server.seen[3][1]


def test_watch_lists_again_when_its_place_is_forgotten(client, server):
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    server.script = [
        page(item("a"), item("b")),
        changes(("ERROR", gone)),
        page(item("b", "18"), item("c", "19"), version="20"),
        changes(("MODIFIED", item("end", "21"))),
    ]
    seen = []
    for event in client.watch("/things", timeout=10):
        seen.append((event.type, event.object.get("metadata", {}).get("name")))
        if seen[-1][1] == "end":
            break
    assert seen[3:] == [("DELETED", "a"), ("MODIFIED", "b"), ("ADDED", "c"), ("SYNCED", None), ("MODIFIED", "end")]


def test_watch_of_a_quiet_collection_outlives_a_balancer_that_cuts_idle_connections(client, server, monkeypatch):
    monkeypatch.setattr(watch, "_PATIENCE", 0.2)
    cut = (200, {"content-length": "1000", "connection": "close"}, b"")
    server.script = [page(item("a")), cut, cut, cut, cut, changes(("DELETED", item("a", "16")))]
    seen = [event.type for event in itertools.islice(client.watch("/things", timeout=20), 3)]
    assert seen == ["ADDED", "SYNCED", "DELETED"]


def test_watch_raises_when_nobody_answers_for_long(client, server, monkeypatch):
    monkeypatch.setattr(watch, "_PATIENCE", 0.2)
    server.script = [page(item("a")), *[None] * 10]
    with pytest.raises(ApiBusy, match="has not answered"):
        list(client.watch("/things", timeout=20))


def test_an_object_that_went_while_the_watch_was_cut_off_is_not_waited_for(client, server):
    job = {"resource": "jobs", "responseKind": {"kind": "Job"}, "scope": "Namespaced", "verbs": ["list", "watch"]}
    group = {"metadata": {"name": "batch"}, "versions": [{"version": "v1", "resources": [job]}]}
    kinds = {"kind": "APIGroupDiscoveryList", "items": [group]}
    found = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"namespace": "shop", "name": "job", "uid": "17"}}
    server.script = [(200, {}, kinds | {"items": []}), (200, {}, kinds)]
    server.script += [page(found), (410, {}, {"reason": "Expired"}), page()]
    wait_gone(client, [Ref("batch", "Job", "shop", "job")], deadline=Deadline.after(20, "the test", SystemClock()))
    assert server.script == []


def test_watch_raises_what_cannot_get_better(client, server):
    server.script = [(403, {}, {"message": "no rights"})]
    with pytest.raises(ApiForbidden):
        list(client.watch("/things", timeout=10))


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({}, "no context"),
        ({"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "gone"}}]}, "'gone'"),
        (
            {"contexts": [{"name": "x", "context": {"cluster": "c"}}], "clusters": [{"name": "c", "cluster": {}}]},
            "expected an https",
        ),
        (
            {
                "contexts": [{"name": "x", "context": {"cluster": "c"}}],
                "clusters": [
                    {"name": "c", "cluster": {"server": "https://a", "certificate-authority-data": "bm9uc2Vuc2U="}}
                ],
            },
            "not a PEM certificate",
        ),
    ],
)
def test_an_unusable_kubeconfig_says_what_is_missing(document, text):
    with pytest.raises(Permanent, match=text):
        Client(document)
