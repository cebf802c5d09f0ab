"""Connections, looked at from the server's side: how answers are read, what is kept, the way through a proxy."""

import base64
import contextlib
import re
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from boatyard.errors import Permanent, Temporary
from boatyard.kube.client import Client
from boatyard.kube.wire import Wire
from tests.unit.kube.certificates import served

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Listener:
    """Accepts connections one by one in a thread; `serve` gets each, and their number is counted."""

    def __init__(self, serve: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.accepted = 0
        self._serve, self._tls = serve, tls
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        try:
            with self._tls.wrap_socket(connection, server_side=True) if self._tls else connection as spoken:
                self._serve(spoken)
        except OSError:
            return

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def head(connection: socket.socket) -> bytes:
    """One request's head, b"" at the end of the connection."""
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        if not (more := connection.recv(1)):
            return b""
        text += more
    return text


def answering(*answers: bytes, seen: list[bytes] | None = None) -> Callable[[socket.socket], None]:
    """Each request of a connection gets the next answer; then the connection is closed."""

    def serve(connection: socket.socket) -> None:
        for answer in answers:
            asked = head(connection)
            if seen is not None:
                seen.append(asked)
            connection.sendall(answer)

    return serve


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    opened: list[Listener] = []

    def listen(*arguments: object) -> Listener:
        opened.append(Listener(*arguments))  # type: ignore[arg-type]
        return opened[-1]

    yield listen
    for one in opened:
        one.close()


def wire(listener: Listener) -> Wire:
    return Wire(f"http://127.0.0.1:{listener.port}", None)


def ask(one: Wire, target: str = "/", method: str = "GET", body: bytes | None = None) -> bytes:
    return one.ask(method, target, {"accept": "x"}, body, connect=5, read=5).read()


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"ok"),
        (
            b"HTTP/1.1 200\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nt: 1\r\n\r\n",
            b"abc0123456789",
        ),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", b""),
    ],
    ids=["length", "chunks", "interim", "no content", "until closed", "no reason"],
)
def test_bodies_are_read_to_their_end(listen, answer: bytes, body: bytes) -> None:
    assert ask(wire(listen(answering(answer)))) == body


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "was closed"),
        (b"HTTP/1.1 200 OK\r\n", "was closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "was closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "was closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort", "was closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", "was closed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
    ],
    ids=["nothing", "a status", "half a head", "short", "short chunk", "no last chunk", "ssh"],
)
def test_what_is_no_answer_is_said(listen, answer: bytes, said: str) -> None:
    listener = listen(answering(answer))
    with pytest.raises(ConnectionError, match=said):
        ask(wire(listener))
    document = kubeconfig(f"http://127.0.0.1:{listener.port}")
    with Client(document, retries=0) as client, pytest.raises(Temporary, match=f"does not answer: .*{said}"):
        client.version()


@pytest.mark.parametrize("framing", ["chunks", "until closed"])
def test_a_stream_gives_what_has_come_and_ends_when_another_thread_says_so(listen, framing: str) -> None:
    head_of = {
        "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "until closed": b"HTTP/1.0 200 OK\r\n\r\nabc",
    }
    gone = threading.Event()

    def serve(connection: socket.socket) -> None:
        head(connection)
        connection.sendall(head_of[framing])
        gone.wait(30)

    answer = wire(listen(serve)).ask("GET", "/", {}, None, connect=5, read=30)
    chunks, rest = answer.chunks(), list[bytes | None]()
    assert next(chunks) == b"abc"

    def read() -> None:
        with contextlib.suppress(OSError):
            rest.append(next(chunks, None))

    reader = threading.Thread(target=read)
    reader.start()
    answer.shutdown()
    reader.join(10)
    ended = not reader.is_alive()
    gone.set()
    reader.join()
    assert ended
    assert rest in ([], [None])
    answer.close()


def test_a_connection_is_used_again_and_a_closed_one_is_not(listen) -> None:
    listener = listen(answering(OK, OK))
    one = wire(listener)
    assert [ask(one) for _ in range(2)] == [b"ok", b"ok"]
    assert listener.accepted == 1
    assert select.select([one._idle[0].raw], [], [], 5)[0], "the server's farewell"
    assert ask(one) == b"ok"
    assert listener.accepted == 2
    one.close()
    assert ask(one) == b"ok"
    assert listener.accepted == 3
    assert one._idle == []


@pytest.mark.parametrize(
    "answer",
    [OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), OK.replace(b"1.1", b"1.0")],
    ids=["close", "HTTP/1.0"],
)
def test_a_server_that_wants_to_close_is_not_asked_again_there(listen, answer: bytes) -> None:
    listener = listen(answering(answer, OK))
    one = wire(listener)
    assert [ask(one), ask(one)] == [b"ok", b"ok"]
    assert listener.accepted == 2


def test_requests_say_what_servers_expect(listen) -> None:
    seen: list[bytes] = []
    listener = listen(answering(OK, OK, seen=seen))
    one = wire(listener)
    ask(one, "/a b?x=ä&y=%20")
    ask(one, "/c", "PATCH", b"")
    first, second = (request.decode().lower().splitlines() for request in seen)
    assert first[0] == "get /a%20b?x=%c3%a4&y=%20 http/1.1"
    assert {f"host: 127.0.0.1:{listener.port}", "accept: x"} <= set(first)
    assert not [line for line in first if line.startswith(("content-length", "transfer-encoding"))]
    assert second[0] == "patch /c http/1.1"
    assert "content-length: 0" in second


def test_no_header_is_smuggled_in(listen) -> None:
    listener = listen(answering(OK))
    with pytest.raises(ValueError, match="line break"):
        wire(listener).ask("GET", "/", {"authorization": "Bearer a\r\nx: y"}, None, connect=5, read=5)
    document = kubeconfig(f"http://127.0.0.1:{listener.port}") | {
        "users": [{"name": "a", "user": {"token": "sesame\nx: y"}}]
    }
    document["contexts"][0]["context"]["user"] = "a"
    with Client(document) as client, pytest.raises(Permanent, match="line break") as caught:
        client.version()
    assert "sesame" not in str(caught.value)
    assert listener.accepted == 0


def test_silence_has_an_end(listen) -> None:
    gone = threading.Event()

    def once(connection: socket.socket) -> None:
        answering(OK)(connection)
        gone.wait(3)  # less than `connect`, so that another limit than `read` would end otherwise

    listener = listen(once)
    one = wire(listener)
    assert ask(one) == b"ok"
    with pytest.raises(TimeoutError):  # on the connection that was kept
        one.ask("GET", "/", {}, None, connect=5, read=0.1)
    assert listener.accepted == 1
    listener = listen(lambda connection: gone.wait(3) and None)
    with pytest.raises(TimeoutError):
        wire(listener).ask("GET", "/", {}, None, connect=5, read=0.1)
    document = kubeconfig(f"http://127.0.0.1:{listener.port}")
    with (
        Client(document, retries=0, timeout=0.1) as client,
        pytest.raises(Temporary, match="does not answer: timed out"),
    ):
        client.version()
    gone.set()


# TLS, and proxies before it


def kubeconfig(server: str, **cluster: object) -> dict:
    return {
        "clusters": [{"name": "a", "cluster": {"server": server, **cluster}}],
        "contexts": [{"name": "a", "context": {"cluster": "a"}}],
        "current-context": "a",
    }


def trusting(port: int, authority: Path, **cluster: object) -> dict:
    public = authority.read_bytes().partition(b"-----BEGIN PRIVATE")[0]
    return kubeconfig(
        f"https://127.0.0.1:{port}", **{"certificate-authority-data": base64.b64encode(public).decode(), **cluster}
    )


VERSION = b'HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n{"gitVersion": "v1.36.3"}'


def test_certificates_are_checked_against_the_name_that_is_expected(listen, authority: Path) -> None:
    listener = listen(answering(VERSION), served(authority))
    for cluster, fine in (
        ({}, True),
        ({"tls-server-name": "boatyard.test"}, True),
        ({"tls-server-name": "x.test"}, False),
    ):
        with Client(trusting(listener.port, authority, **cluster), retries=0) as client:
            if fine:
                assert client.version() == {"gitVersion": "v1.36.3"}
            else:
                with pytest.raises(Permanent, match="No secure connection"):
                    client.version()
    stranger = kubeconfig(f"https://127.0.0.1:{listener.port}")
    with Client(stranger, retries=0) as client, pytest.raises(Permanent, match="No secure connection"):
        client.version()


class Proxy:
    """A proxy that tunnels. `seen` are the requests."""

    def __init__(self, status: str = "200 Connection established") -> None:
        self.seen: list[bytes] = []
        self._status = status

    def __call__(self, connection: socket.socket) -> None:
        self.seen.append(head(connection))
        connection.sendall(f"HTTP/1.1 {self._status}\r\nvia: test\r\n\r\n".encode())
        if not self._status.startswith("200"):
            return
        place = re.match(rb"CONNECT ([^:]+):(\d+) ", self.seen[-1])
        assert place is not None
        with socket.create_connection((place[1].decode(), int(place[2]))) as server:
            pumps = [threading.Thread(target=_pump, args=pair) for pair in ((connection, server), (server, connection))]
            for pump in pumps:
                pump.start()
            for pump in pumps:
                pump.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            socket.socket.shutdown(end, socket.SHUT_RDWR)
        except OSError:
            continue


@pytest.mark.parametrize("kind", ["http", "https"])
def test_the_way_leads_through_the_kubeconfigs_proxy(
    listen, authority: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    proxy = Proxy()
    server = listen(answering(VERSION, VERSION), served(authority))
    between = listen(proxy, served(authority) if kind == "https" else None)
    url = f"{kind}://us%40er:open@127.0.0.1:{between.port}"
    with Client(trusting(server.port, authority, **{"proxy-url": url})) as client:
        assert [client.version(), client.version()] == [{"gitVersion": "v1.36.3"}] * 2
    assert [request.split()[:2] for request in proxy.seen] == [[b"CONNECT", f"127.0.0.1:{server.port}".encode()]]
    assert base64.b64encode(b"us@er:open") in proxy.seen[0]


def test_the_environments_proxy_is_taken_but_for_what_it_leaves_out(
    listen, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy()
    server, between = listen(answering(VERSION), served(authority)), listen(proxy)
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{between.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    for expected in (1, 1):
        with Client(trusting(server.port, authority)) as client:
            client.version()
        assert len(proxy.seen) == expected
        monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_a_proxy_that_refuses_is_named(listen, authority: Path) -> None:
    between = listen(Proxy("407 Proxy Authentication Required"))
    document = trusting(1, authority, **{"proxy-url": f"http://127.0.0.1:{between.port}"})
    with Client(document, retries=0) as client, pytest.raises(Temporary, match=r"the proxy 127\.0\.0\.1 .* 407 Proxy"):
        client.version()


def test_a_proxy_of_another_kind_is_refused(authority: Path) -> None:
    with pytest.raises(Permanent, match="socks5:// are not supported"):
        Client(trusting(1, authority, **{"proxy-url": "socks5://127.0.0.1:1080"}))
