"""AWS on a bad day: requests are throttled, fail, get lost, or are answered from the past. The same for one seed.

What befalls the n-th request of an action depends on the seed, the action and n alone, so that threads which come to
the door in another order meet the same faults.
"""

import hashlib
import json
import random
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs

THROTTLE, ERROR, LOST, UNANSWERED, STALE = KINDS = ("throttle", "error", "lost", "unanswered", "stale")
"""Asked to slow down; a 500 or 503; dropped before it was done; done, and the connection dropped without an answer; a
read answered with what it was before the last change. S3 is never stale: its reads have been consistent since 2020."""

_SCOPE = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/")
READS = ("Describe", "Get", "List", "Head")
"""How the names of actions that change nothing begin."""
_OLDEST = 10.0  # seconds that an old answer is given; AWS' own are rarely older
_CONSISTENT = frozenset({"s3", "sts"})


@dataclass(frozen=True)
class Faults:
    """What may go wrong. rate: share of requests at which something begins to, 0 to 1. burst: for how many requests of
    the same action it goes on at most; more than a client's attempts makes the client give up. only: patterns of
    `service:action`, such as `ec2:Create*`, `s3:PUT*`, `*`."""

    seed: int
    rate: float
    kinds: tuple[str, ...] = KINDS
    burst: int = 3
    only: tuple[str, ...] = ("*",)

    def __post_init__(self) -> None:
        if strange := set(self.kinds) - set(KINDS):
            raise ValueError(f"there are no faults of the kind {', '.join(sorted(strange))}; there are {KINDS}")
        if not (0 <= self.rate <= 1 and self.burst >= 1):
            raise ValueError("a rate is from 0 to 1, a burst 1 or more")


@dataclass(frozen=True)
class Asked:
    """A request as its service sees it. action: `CreateVpc`; of REST services the method and the path. style: of the
    protocol, a key of what refusals look like. whole: what makes two reads the same."""

    service: str
    action: str
    method: str
    reads: bool
    style: str
    whole: str = field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.service}:{self.action}"


def asked(environ: dict[str, Any], body: bytes) -> Asked:
    """What a WSGI request asks for. Unsigned ones are S3's."""
    scope = _SCOPE.search(str(environ.get("HTTP_AUTHORIZATION", "")))
    service, region = (scope["service"], scope["region"]) if scope else ("s3", "")
    method, path = str(environ["REQUEST_METHOD"]), str(environ.get("PATH_INFO", ""))
    query, target = str(environ.get("QUERY_STRING", "")), str(environ.get("HTTP_X_AMZ_TARGET", ""))
    action, style = target.rpartition(".")[2], "json"
    if not action:
        form = parse_qs(body.decode(errors="replace")) if body.startswith(b"Action=") else parse_qs(query)
        action, style = form.get("Action", [""])[0], "ec2" if service == "ec2" else "query"
    reads = action.startswith(READS)
    if not action:
        action, style, reads = f"{method} {path}", "s3" if service == "s3" else "rest", method in ("GET", "HEAD")
    whole = hashlib.sha256(b"\n".join(part.encode() for part in (service, region, method, path, query, target)) + body)
    return Asked(service, action, method, reads, style, whole.hexdigest())


@dataclass(frozen=True)
class Answer:
    """Status line, headers, body."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass
class _Memory:
    """An answer, the number of changes there had been, and when it was given."""

    answer: Answer
    changes: int
    at: float


class Weather:
    """Decides about each request. Thread-safe. `injected`: how many faults of each kind there were."""

    def __init__(self, faults: Faults, now: Callable[[], float] = time.monotonic) -> None:
        self._faults, self._now = faults, now
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()
        self._going: dict[str, tuple[str, int]] = {}
        self._memory: dict[str, list[_Memory]] = {}
        self._changes = 0
        self.injected: Counter[str] = Counter()

    def befalls(self, request: Asked) -> str:
        """A kind of fault, or ""."""
        if not any(fnmatchcase(request.name, pattern) for pattern in self._faults.only):
            return ""
        with self._lock:
            kind = self._next(request)
            if kind == STALE and self._old(request) is None:
                return ""
            if kind:
                self.injected[kind] += 1
            return kind

    def changed(self) -> None:
        """What was answered until now is of the past."""
        with self._lock:
            self._changes += 1

    def remember(self, request: Asked, answer: Answer) -> None:
        """A read's answer, to be given once more later."""
        if STALE not in self._faults.kinds or not request.reads or request.service in _CONSISTENT:
            return
        with self._lock:
            known = [each for each in self._memory.get(request.whole, []) if each.changes < self._changes]
            self._memory[request.whole] = [*known[-1:], _Memory(answer, self._changes, self._now())]

    def old(self, request: Asked) -> Answer | None:
        """What this read was answered before the last change, if that is not long ago."""
        with self._lock:
            return self._old(request)

    def _old(self, request: Asked) -> Answer | None:
        for each in reversed(self._memory.get(request.whole, [])):
            if each.changes < self._changes and self._now() - each.at <= _OLDEST:
                return each.answer
        return None

    def _next(self, request: Asked) -> str:
        self._seen[request.name] += 1
        kind, left = self._going.pop(request.name, ("", 0))
        if not left:
            chance = random.Random(f"{self._faults.seed} {request.name} {self._seen[request.name]}")  # noqa: S311
            kinds = [each for each in self._faults.kinds if each != STALE or _may_be_stale(request)]
            if not kinds or chance.random() >= self._faults.rate:
                return ""
            kind, left = chance.choice(kinds), chance.randint(1, self._faults.burst)
        if left > 1:
            self._going[request.name] = (kind, left - 1)
        return kind


def _may_be_stale(request: Asked) -> bool:
    return request.reads and request.service not in _CONSISTENT


def refusal(request: Asked, kind: str) -> Answer:
    """The answer of a service that throttles or fails, as its protocol has it."""
    throttles = kind == THROTTLE
    status, code = _THROTTLES.get(request.style, _THROTTLES["query"]) if throttles else _FAILS[request.style]
    if throttles and request.service == "servicequotas":
        code = "TooManyRequestsException"
    said = "Rate exceeded" if throttles else "An internal error occurred"
    make, media = _BODIES[request.style]
    body = b"" if request.method == "HEAD" else make(code, said).encode()
    return Answer(status, (("Content-Type", media), ("Content-Length", str(len(body)))), body)


_THROTTLES = {
    "ec2": ("503 Service Unavailable", "RequestLimitExceeded"),
    "json": ("400 Bad Request", "ThrottlingException"),
    "query": ("400 Bad Request", "Throttling"),
    "rest": ("400 Bad Request", "Throttling"),
    "s3": ("503 Slow Down", "SlowDown"),
}
_FAILS = {
    "ec2": ("500 Internal Server Error", "InternalError"),
    "json": ("500 Internal Server Error", "InternalFailure"),
    "query": ("503 Service Unavailable", "ServiceUnavailable"),
    "rest": ("500 Internal Server Error", "InternalFailure"),
    "s3": ("500 Internal Server Error", "InternalError"),
}


def _ec2(code: str, said: str) -> str:
    inner = f"<Errors><Error><Code>{code}</Code><Message>{said}</Message></Error></Errors>"
    return f"<Response>{inner}<RequestID>sandbox</RequestID></Response>"


def _query(code: str, said: str) -> str:
    inner = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{said}</Message></Error>"
    return f"<ErrorResponse>{inner}<RequestId>sandbox</RequestId></ErrorResponse>"


def _s3(code: str, said: str) -> str:
    return f"<Error><Code>{code}</Code><Message>{said}</Message><RequestId>sandbox</RequestId></Error>"


def _json(code: str, said: str) -> str:
    return json.dumps({"__type": code, "message": said})


_BODIES: dict[str, tuple[Callable[[str, str], str], str]] = {
    "ec2": (_ec2, "text/xml"),
    "json": (_json, "application/x-amz-json-1.1"),
    "query": (_query, "text/xml"),
    "rest": (_query, "text/xml"),
    "s3": (_s3, "application/xml"),
}


def drop(environ: dict[str, Any]) -> Iterable[bytes]:
    """Close the connection without an answer."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError("dropped on request")  # werkzeug ends the connection quietly
