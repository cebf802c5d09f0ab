"""The account's one HTTP door: requests go to moto one after the other, and whoever follows changes hears of each."""

import hashlib
import io
import json
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from boatyard.sandbox.aws.faults import (
    LOST,
    READS,
    STALE,
    UNANSWERED,
    Answer,
    Asked,
    Faults,
    Weather,
    asked,
    drop,
    refusal,
)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]

ASSETS = "/kops-assets/"
FAULTS = "/_sandbox/faults"
"""PUT what is to go wrong from now on (null: nothing), GET how much did. No bucket's name begins with `_`."""
OWN = "boatyard-sandbox-cluster"
"""Word in the user agent of what clusters of the sandbox itself ask for: it meets no faults."""


class Gate:
    """A WSGI application around moto's.

    moto's backends are plain dictionaries without locks; `lock` is held during each request, and by everybody else who
    looks at them. `changed` is called under the lock after each request that may have changed something, before its
    answer goes out: what follows from a change is known before the caller can make the next.
    """

    def __init__(
        self, inner: Wsgi, lock: threading.RLock, changed: Callable[[], None], faults: Faults | None = None
    ) -> None:
        self._inner, self._lock, self._changed = inner, lock, changed
        self._weather = Weather(faults) if faults is not None else None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", ""))
        if path.startswith(ASSETS):
            return _asset(environ, start_response)
        body = _body(environ)
        if path == FAULTS:
            return self._faults(environ, start_response, body)
        weather = self._weather
        if weather is None or OWN in str(environ.get("HTTP_USER_AGENT", "")):
            return _send(start_response, self._serve(environ, body))
        return self._disturbed(weather, asked(environ, body), environ, start_response, body)

    def _serve(self, environ: Environ, body: bytes) -> Answer:
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
                if self._weather is not None:
                    self._weather.changed()
        return Answer(head[-1][0], tuple(head[-1][1]), data)

    def _disturbed(
        self, weather: Weather, request: Asked, environ: Environ, start_response: StartResponse, body: bytes
    ) -> Iterable[bytes]:
        kind = weather.befalls(request)
        if kind == LOST:
            return drop(environ)
        if kind == STALE and (old := weather.old(request)) is not None:
            return _send(start_response, old)
        if kind and kind != UNANSWERED and kind != STALE:
            return _send(start_response, refusal(request, kind))
        answer = self._serve(environ, body)
        if kind == UNANSWERED:
            return drop(environ)
        weather.remember(request, answer)
        return _send(start_response, answer)

    def _faults(self, environ: Environ, start_response: StartResponse, body: bytes) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "PUT":
            given = json.loads(body)
            self._weather = Weather(faults_of(given)) if given is not None else None
        told = dict(self._weather.injected) if self._weather is not None else {}
        data = json.dumps(told).encode()
        headers = (("Content-Type", "application/json"), ("Content-Length", str(len(data))))
        return _send(start_response, Answer("200 OK", headers, data))


def faults_of(given: dict[str, Any]) -> Faults:
    """Faults from JSON."""
    return Faults(**given | {key: tuple(given[key]) for key in ("kinds", "only")})


def writes(method: str, target: str, body: bytes) -> bool:
    """May this request change something? By its method, or by its action where everything is a POST."""
    if method in ("GET", "HEAD", "OPTIONS"):
        return False
    action = target.rpartition(".")[2]
    if not action and body.startswith(b"Action="):
        action = parse_qs(body[:200].decode(errors="replace")).get("Action", [""])[0]
    return not action.startswith(READS)


def _send(start_response: StartResponse, answer: Answer) -> Iterable[bytes]:
    start_response(answer.status, list(answer.headers))
    return [answer.body]


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
