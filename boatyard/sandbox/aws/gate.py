"""The account's one HTTP door: requests go to moto one after the other, and whoever follows changes hears of each."""

import hashlib
import io
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]

ASSETS = "/kops-assets/"
_READS = ("Describe", "Get", "List", "Head")


class Gate:
    """A WSGI application around moto's.

    moto's backends are plain dictionaries without locks; `lock` is held during each request, and by everybody else who
    looks at them. `changed` is called under the lock after each request that may have changed something, before its
    answer goes out: what follows from a change is known before the caller can make the next.
    """

    def __init__(self, inner: Wsgi, lock: threading.RLock, changed: Callable[[], None]) -> None:
        self._inner, self._lock, self._changed = inner, lock, changed

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if str(environ.get("PATH_INFO", "")).startswith(ASSETS):
            return _asset(environ, start_response)
        body = _body(environ)
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        head: list[Any] = []
        with self._lock:
            answer = self._inner(environ, lambda *given: head.extend([given]))
            try:
                data = b"".join(answer)
            finally:
                if close := getattr(answer, "close", None):
                    close()
            if writes(str(environ["REQUEST_METHOD"]), str(environ.get("HTTP_X_AMZ_TARGET", "")), body):
                self._changed()
        start_response(*head[-1])
        return [data]


def writes(method: str, target: str, body: bytes) -> bool:
    """May this request change something? By its method, or by its action where everything is a POST."""
    if method in ("GET", "HEAD", "OPTIONS"):
        return False
    action = target.rpartition(".")[2]
    if not action and body.startswith(b"Action="):
        action = parse_qs(body[:200].decode(errors="replace")).get("Action", [""])[0]
    return not action.startswith(_READS)


def _body(environ: Environ) -> bytes:
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        return bytes(stream.read())
    return bytes(stream.read(int(environ.get("CONTENT_LENGTH") or 0)))


def _asset(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """kOps' node assets (KOPS_BASE_URL): any file, made of its own name, and its published hash."""
    path = str(environ["PATH_INFO"]).removeprefix(ASSETS)
    name = path.removesuffix(".sha256")
    data = f"sandbox asset {name}\n".encode()
    if path != name:
        data = f"{hashlib.sha256(data).hexdigest()}\n".encode()
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(data)))])
    return [b""] if environ["REQUEST_METHOD"] == "HEAD" else [data]
