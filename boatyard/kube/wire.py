"""HTTP/1.1 to one server over connections that are kept: what a client of an API server needs, and no more.

urllib3 spends five times the CPU on a request and 50 ms on its import; see docs/adr/0002-a-thin-kubernetes-client.md.
Errors are `OSError`s, of which `ssl.SSLError` is one. Safe to use from many threads at once.
"""

import base64
import contextlib
import os
import re
import select
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

_LINE = 65_536  # bytes of a line in the head of an answer
_LINES = 256  # of them
_PLAIN = re.compile(r"[!-~]*")
_BREAK = re.compile(r"[\r\n\0]")
_TOGETHER = 65_536  # bytes of a body that is copied behind its head, so that both go out at once


class NotHttp(OSError):
    """The answer breaks off, or is not HTTP at all."""


class Answer:
    """An answer whose head has been read: take its body with `read` or `chunks`, or `close` it.

    headers: names in lower case. The connection is kept for the next request once the body has been read to its end.
    """

    def __init__(self, wire: "Wire", connection: "_Connection", method: str) -> None:
        self._wire, self._connection, self._file = wire, connection, connection.file
        self.status, version, self.headers = _head(self._file)
        while self.status < 200:  # an interim answer announces the real one
            self.status, version, self.headers = _head(self._file)
        self._keep = version == b"HTTP/1.1" and self.headers.get("connection", "").lower() != "close"
        self._chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        length = self.headers.get("content-length")
        self._length = None if self._chunked or length is None else _whole(length.encode(), 10)
        if method == "HEAD" or self.status in (204, 304):
            self._chunked, self._length = False, 0
        self._done = False

    def read(self) -> bytes:
        """All of the body."""
        if self._length is None:
            return b"".join(self.chunks())
        try:
            data: bytes = self._file.read(self._length)
            if len(data) < self._length:
                raise NotHttp("the connection was closed in the middle of an answer")
        except BaseException:
            self.close()
            raise
        self._end()
        return data

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes in."""
        try:
            if self._chunked:
                yield from _chunks(self._file)
            elif self._length is not None:
                yield self.read()
                return
            else:
                self._keep = False
                while data := self._file.read1(_LINE):
                    yield data
        except BaseException:
            self.close()
            raise
        self._end()

    def shutdown(self) -> None:
        """Wake a thread that reads this answer: it sees the end of the connection."""
        if self._done:
            return
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._connection.raw, socket.SHUT_RDWR)

    def close(self) -> None:
        """Drop the connection, unless the body has been read. May be called twice."""
        if not self._done:
            self._done = True
            self._connection.close()

    def _end(self) -> None:
        self._done = True
        if self._keep:
            self._wire.keep(self._connection)
        else:
            self._connection.close()


class Wire:
    """One server. Opens connections as they are needed; `kept` of them stay open."""

    def __init__(
        self,
        server: str,
        tls: Callable[[], ssl.SSLContext] | None,
        *,
        name: str | None = None,
        proxy: str | None = None,
        kept: int = 16,
    ) -> None:
        """server: http(s)://HOST[:PORT]. tls: gives what a new connection trusts and shows; None for plain http.

        name: what the server's certificate names, when that is not HOST.
        proxy: http(s)://[USER:PASSWORD@]HOST[:PORT]; None for what the environment says. `ValueError` for another kind.
        """
        parts = urlsplit(server)
        self._host, self._tls, self._name = parts.hostname or "", tls, name
        self._port = parts.port or (443 if tls else 80)
        self._authority = parts.netloc.rpartition("@")[2]
        proxy = (proxy or _environment(self._host) or "") if tls else ""
        self._proxy = urlsplit(proxy if "://" in proxy or not proxy else f"http://{proxy}")
        if self._proxy.scheme not in ("", "http", "https"):
            raise ValueError(
                f"proxies of the kind {self._proxy.scheme}:// are not supported, only http:// and https://"
            )
        self._kept, self._idle = kept, list[_Connection]()
        self._lock = threading.Lock()

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, *, connect: float, read: float
    ) -> Answer:
        """Send one request and read the head of its answer. connect, read: seconds to open, and until the next byte."""
        head = _request(method, target, self._authority, headers, body)
        connection = self._take() or self._open(connect)
        try:
            connection.send(head, body, read)
            return Answer(self, connection, method)
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
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.usable():
                return connection
            connection.close()

    def _open(self, seconds: float) -> "_Connection":
        if not self._proxy.scheme:
            raw = _connect(self._host, self._port, seconds)
            return _secured(raw, raw, self._tls and self._tls(), self._name or self._host)
        through = self._proxy.scheme == "https"
        raw = _connect(self._proxy.hostname or "", self._proxy.port or (443 if through else 80), seconds)
        try:
            outer: Any = raw
            if through:
                outer = raw = ssl.create_default_context().wrap_socket(raw, server_hostname=self._proxy.hostname)
            self._tunnel(outer)
            return _secured(raw, outer, self._tls and self._tls(), self._name or self._host)
        except BaseException:
            raw.close()
            raise

    def _tunnel(self, proxy: socket.socket) -> None:
        host = f"[{self._host}]" if ":" in self._host else self._host
        place = f"{host}:{self._port}"
        headers = {}
        if self._proxy.username:
            pair = f"{unquote(self._proxy.username)}:{unquote(self._proxy.password or '')}"
            headers["proxy-authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        proxy.sendall(_request("CONNECT", place, place, headers, None))
        with proxy.makefile("rb", buffering=0) as file:  # what follows the head belongs to TLS
            status, _, _ = _head(file)
        if not 200 <= status < 300:
            raise NotHttp(f"the proxy {self._proxy.hostname} answered {status}")


class _Connection:
    """An open connection. raw: the socket underneath; socket: what is spoken through."""

    def __init__(self, raw: socket.socket, spoken: Any) -> None:
        self.raw, self._socket = raw, spoken
        self.file = spoken.makefile("rb")

    def send(self, head: bytes, body: bytes | None, seconds: float) -> None:
        self._socket.settimeout(seconds)
        if body is None or len(body) <= _TOGETHER:
            self._socket.sendall(head + body if body else head)
        else:
            self._socket.sendall(head)
            self._socket.sendall(body)

    def usable(self) -> bool:
        """False when the server has closed it: something to read without a question is its farewell."""
        poll = select.poll()
        poll.register(self.raw, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.file.close()
        with contextlib.suppress(OSError):
            self._socket.close()
        self.raw.close()


def _connect(host: str, port: int, seconds: float) -> socket.socket:
    raw = socket.create_connection((host, port), seconds)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return raw


def _secured(raw: socket.socket, spoken: Any, tls: ssl.SSLContext | None, name: str) -> _Connection:
    if tls is None:
        return _Connection(raw, spoken)
    try:
        if isinstance(spoken, ssl.SSLSocket):  # TLS to a proxy, and inside of it TLS to the server
            from urllib3.util.ssltransport import SSLTransport

            return _Connection(raw, SSLTransport(spoken, tls, server_hostname=name))
        secure = tls.wrap_socket(spoken, server_hostname=name)
        return _Connection(secure, secure)
    except BaseException:
        raw.close()
        raise


def _environment(host: str) -> str | None:
    """The proxy for https that the environment names, or the system's settings on macOS and Windows."""
    if sys.platform == "linux" and not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    import urllib.request

    return None if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get("https")


def _request(method: str, target: str, authority: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    if not _PLAIN.fullmatch(target):
        target = quote(target, safe="/?&=:;,%+!$'()*@~[]")
    lines = [f"{method} {target} HTTP/1.1", f"host: {authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    if any(_BREAK.search(line) for line in lines):
        raise ValueError("a header of the request has a line break in it")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _head(file: Any) -> tuple[int, bytes, dict[str, str]]:
    """Status, version and headers of an answer."""
    first = _line(file)
    version, _, rest = first.partition(b" ")
    if not version.startswith(b"HTTP/1."):
        raise NotHttp("the answer is not HTTP")
    status = _whole(rest[:3], 10)
    headers: dict[str, str] = {}
    for _ in range(_LINES):
        line = _line(file)
        if not line:
            return status, version, headers
        name, _, value = line.partition(b":")
        headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
    raise NotHttp("the answer has too many headers")


def _line(file: Any) -> bytes:
    line: bytes = file.readline(_LINE)
    if not line.endswith(b"\n"):
        raise NotHttp("the connection was closed" if len(line) < _LINE else "the answer has a header without an end")
    return line.rstrip(b"\r\n")


def _whole(text: bytes, base: int) -> int:
    try:
        number = int(text, base)
    except ValueError:
        raise NotHttp("the answer is not HTTP") from None
    if number < 0:
        raise NotHttp("the answer is not HTTP")
    return number


def _chunks(file: Any) -> Iterator[bytes]:
    while size := _whole(_line(file).partition(b";")[0], 16):
        data = file.read(size)
        if len(data) < size or _line(file):
            raise NotHttp("the connection was closed in the middle of an answer")
        yield data
    while _line(file):  # trailers
        continue
