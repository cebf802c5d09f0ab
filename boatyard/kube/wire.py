"""HTTP/1.1 to one server by the standard library's `http.client`, over connections that are kept.

Ours are the pool, TLS behind a proxy, and errors that are `OSError`s, of which `ssl.SSLError` is one; see
docs/adr/0002-a-thin-kubernetes-client.md. Safe to use from many threads at once.
"""

import base64
import contextlib
import re
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead, RemoteDisconnected
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

Tls = Callable[[], ssl.SSLContext] | None
_PIECE = 65_536  # bytes of a body that is given as it comes in
_BREAK = re.compile(r"[\r\n\0]")


class Answer:
    """An answer whose head has been read: take its body with `read` or `chunks`, or `close` it.

    headers: names in lower case. The connection is kept for the next request once the body has been read to its end.
    """

    def __init__(self, wire: "Wire", connection: "_Connection", response: HTTPResponse) -> None:
        self._wire, self._connection, self._response = wire, connection, response
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self._done = False

    def read(self) -> bytes:
        """All of the body."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes in."""
        try:
            with _os_errors():
                if self._response.length is None:
                    yield from iter(partial(self._response.read1, _PIECE), b"")
                else:
                    yield self._response.read()
        except BaseException:
            self.close()
            raise
        self._done = True
        if self._response.will_close:
            self._connection.close()
        else:
            self._wire.keep(self._connection)

    def shutdown(self) -> None:
        """Wake a thread that reads this answer: it sees the end of the connection."""
        if not self._done:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._connection.raw, socket.SHUT_RDWR)

    def close(self) -> None:
        """Drop the connection, unless the body has been read. May be called twice."""
        if not self._done:
            self._done = True
            self._response.close()
            self._connection.close()


class Wire:
    """One server. Opens connections as they are needed; `kept` of them stay open."""

    def __init__(
        self, server: str, tls: Tls, *, name: str | None = None, proxy: str | None = None, kept: int = 16
    ) -> None:
        """server: http(s)://HOST[:PORT]. tls: gives what a new connection trusts and shows; None for plain http.

        name: what the server's certificate names, when that is not HOST.
        proxy: http(s)://[USER:PASSWORD@]HOST[:PORT]; None for what the environment says. `ValueError` for another kind.
        """
        self._server, self._tls = urlsplit(server), tls
        host = self._server.hostname or ""
        self._name = name or host
        if tls and not proxy and not proxy_bypass(host):
            proxy = getproxies().get("https")
        proxy = proxy if tls and proxy else ""
        self._proxy = urlsplit(proxy if "://" in proxy or not proxy else f"http://{proxy}")
        if (kind := self._proxy.scheme) not in ("", "http", "https"):
            raise ValueError(f"proxies of the kind {kind}:// are not supported, only http:// and https://")
        self._kept, self._idle = kept, list[_Connection]()
        self._lock = threading.Lock()

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, *, connect: float, read: float
    ) -> Answer:
        """Send one request and read the head of its answer. connect, read: seconds to open, and until the next byte."""
        if any(_BREAK.search(value) for value in headers.values()):  # the library's refusal shows it: a token?
            raise ValueError("a header of the request has a line break in it")
        fields = {"host": self._server.netloc.rpartition("@")[2].encode()}
        fields |= {key: value.encode() for key, value in headers.items()}
        with _os_errors():
            connection = self._take() or _Connection(self._server, self._tls, self._name, self._proxy, connect)
            try:
                if connection.sock is None:
                    connection.connect()
                connection.sock.settimeout(read)
                connection.request(method, quote(target, safe="/?&=:;,%+!$'()*@~[]"), body, fields)
                return Answer(self, connection, connection.getresponse())
            except BaseException:
                connection.close()
                raise

    def keep(self, connection: "_Connection") -> None:
        """Take back a connection whose answer has been read."""
        with self._lock:
            if len(self._idle) < self._kept:
                self._idle.append(connection)
                return
        connection.close()

    def renew(self) -> None:
        """Close the connections that nobody uses at the moment, so that the next requests open others."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Close them, and from now on each of the others as soon as its answer has been read."""
        self._kept = 0
        self.renew()

    def _take(self) -> "_Connection | None":
        with self._lock:
            while self._idle:
                if (connection := self._idle.pop()).usable():
                    return connection
                connection.close()
        return None


class _Response(HTTPResponse):
    def begin(self) -> None:
        super().begin()
        while 100 < self.status < 200:  # an interim answer announces the real one; the library passes over 100 only
            self.headers = None  # type: ignore[assignment]  # otherwise it counts as begun
            super().begin()
        if self.status < 300 and self.length is None and not self.chunked and not self.fp.peek(1):
            raise IncompleteRead(b"")  # the head broke off, which the library takes for its end: no success


class _Connection(HTTPConnection):
    """raw: the socket underneath; `sock` is what is spoken through."""

    response_class = _Response
    raw: socket.socket

    def __init__(self, server: SplitResult, tls: Tls, name: str, proxy: SplitResult, seconds: float) -> None:
        host, port = server.hostname or "", server.port or (443 if tls else 80)
        near = {"": port, "http": 80, "https": 443}[proxy.scheme]
        super().__init__(proxy.hostname or host, proxy.port or near, seconds)
        self._tls, self._name, self._proxy = tls and tls(), name, proxy
        if not proxy.scheme:
            return
        fields = {}
        if proxy.username:
            pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
            fields["Proxy-Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        self.set_tunnel(f"[{host}]" if ":" in host else host, port, fields)
        if proxy.scheme == "https":  # the only place that the library has for TLS before its question to the proxy
            self._create_connection = _connect_securely

    def connect(self) -> None:
        try:
            super().connect()
        except OSError as error:
            if not self._proxy.scheme or isinstance(error, ssl.SSLError):
                raise
            raise OSError(f"the proxy {self.host} did not let us through: {error.strerror or error}") from None
        self.raw = self.sock
        if self._tls and isinstance(self.sock, ssl.SSLSocket):  # TLS to the proxy, and inside of it TLS to the server
            from urllib3.util.ssltransport import SSLTransport

            self.sock = SSLTransport(self.sock, self._tls, server_hostname=self._name)
        elif self._tls:
            self.sock = self.raw = self._tls.wrap_socket(self.sock, server_hostname=self._name)

    def usable(self) -> bool:
        """False when the server has closed it: something to read without a question is its farewell."""
        poll = select.poll()
        poll.register(self.raw, select.POLLIN)
        return not poll.poll(0)


def _connect_securely(address: tuple[str, int], *more: Any) -> ssl.SSLSocket:
    tls = ssl.create_default_context()
    return tls.wrap_socket(socket.create_connection(address, *more), server_hostname=address[0])


@contextlib.contextmanager
def _os_errors() -> Iterator[None]:
    try:
        yield
    except (RemoteDisconnected, IncompleteRead):
        raise ConnectionError("the connection was closed before the answer was complete") from None
    except HTTPException:
        raise ConnectionError("the answer is not HTTP") from None
