"""A thin client for one API server: one pool of connections, JSON documents in and out, errors in our families.

The official `kubernetes` package takes 0.6 s to import and builds an object for every field; see
docs/adr/0002-a-thin-kubernetes-client.md. Safe to use from many threads at once.
"""

import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar, cast
from urllib.parse import urlencode, urlsplit

import orjson

from boatyard.clock import Deadline
from boatyard.errors import Permanent
from boatyard.kube.discovery import ACCEPT, Discovery, Resource
from boatyard.kube.errors import (
    ApiBusy,
    ApiConflict,
    ApiError,
    ApiForbidden,
    ApiGone,
    ApiInvalid,
    ApiNotFound,
    ApiRejected,
    FieldConflict,
    error_from,
)
from boatyard.kube.kubeconfig import Renew, endpoint
from boatyard.kube.watch import Event, Watch
from boatyard.kube.wire import Answer, Wire

__all__ = [
    "APPLY",
    "JSON_PATCH",
    "MERGE_PATCH",
    "STRATEGIC_PATCH",
    "ApiBusy",
    "ApiConflict",
    "ApiError",
    "ApiForbidden",
    "ApiGone",
    "ApiInvalid",
    "ApiNotFound",
    "ApiRejected",
    "Client",
    "Event",
    "FieldConflict",
    "Response",
    "Watch",
]

Json = dict[str, Any]
Jsons = list[Json]  # `list` means a method inside the class
Taken = TypeVar("Taken")

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"  # JSON is YAML

_CONNECT = 5.0  # seconds to open a connection
_PAUSES = (0.2, 0.5, 1.0)  # seconds before each repetition when the server names none
_LONGEST_PAUSE = 10.0  # a longer Retry-After is the caller's to wait for
_IDEMPOTENT = {"GET", "PUT", "DELETE"}  # and PATCH as server-side apply


@dataclass(frozen=True)
class Response:
    """An answer as it came. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    data: bytes

    def json(self) -> Any:
        return orjson.loads(self.data) if self.data else {}

    def text(self) -> str:
        return self.data.decode(errors="replace")


class Client:
    """One API server as the kubeconfig's current user. A context manager; `close` ends running watches' connections."""

    def __init__(
        self,
        kubeconfig: Mapping[str, Any],
        *,
        pool: int = 16,
        timeout: float = 30,
        retries: int = 3,
        agent: str = "",
        renew: Renew | None = None,
    ) -> None:
        """pool: connections kept open. timeout: seconds a request may take, repetitions included.
        retries: repetitions of idempotent requests after a lost connection or a 429/503 with Retry-After.
        renew: gives another kubeconfig once what this one shows has expired; for work that outlasts it.
        `Permanent` when the kubeconfig is unusable. Opens no connection yet.
        """
        self._endpoint = endpoint(kubeconfig, renew)
        self._timeout, self._retries = timeout, retries
        self._headers = {"user-agent": agent or "boatyard", "accept": "application/json"}
        self._root = urlsplit(self._endpoint.server).path
        self._closed = threading.Event()
        address, tls, name, proxy = (getattr(self._endpoint, part) for part in ("server", "tls", "name", "proxy"))
        try:
            self._wire = Wire(address, tls, name=name, proxy=proxy, kept=pool)
        except ValueError as error:
            raise Permanent(f"The API server at {address} cannot be asked: {error}.") from None
        self._discovery = Discovery(lambda: [self._discover("/api"), self._discover("/apis")])

    @property
    def server(self) -> str:
        """The API server's address."""
        return self._endpoint.server

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close idle connections and cut short any pause between repetitions. May be called twice."""
        self._closed.set()
        self._wire.close()

    # reading

    def get(self, path: str, **params: Any) -> Json:
        """One document; `ApiNotFound` when it is not there."""
        return cast(Json, self.raw("GET", path, params=params).json())

    def list(self, path: str, **params: Any) -> Jsons:
        """All items of a collection, fetched in chunks of 500, each with `apiVersion` and `kind` filled in.

        Keywords are query parameters, such as `labelSelector` and `fieldSelector`.
        """
        return self.list_at(path, **params)[0]

    def list_at(self, path: str, **params: Any) -> tuple[Jsons, str]:
        """Like `list`, with the resourceVersion from which a watch goes on."""
        for last in (False, True):
            try:
                return self._list(path, {"limit": 500, **params})
            except ApiGone:  # the list grew too old between two chunks
                if last:
                    raise
        raise AssertionError("unreachable")

    def _list(self, path: str, params: dict[str, Any]) -> tuple[Jsons, str]:
        items: Jsons = []
        while True:
            page = self.get(path, **params)
            kind, version = str(page.get("kind", "")).removesuffix("List"), page.get("apiVersion")
            for item in page.get("items") or []:
                item.setdefault("kind", kind)
                item.setdefault("apiVersion", version)
                items.append(item)
            metadata = page.get("metadata") or {}
            if not (token := metadata.get("continue")):
                return items, str(metadata.get("resourceVersion") or "")
            params = params | {"continue": token}

    def watch(
        self,
        path: str,
        *,
        resource_version: str | None = None,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        **params: Any,
    ) -> Watch:
        """Changes of a collection as they happen; see `Watch`.

        resource_version: go on from there; None lists first and gives each object as ADDED, then one SYNCED.
        timeout: seconds until the iterator ends by itself; None never. deadline: by then at the latest; `Fenced` when
        it is stopped.
        """
        if deadline is not None:
            timeout = deadline.left if timeout is None else min(timeout, deadline.left)
        stopped = (deadline.stopped, deadline.what) if deadline is not None else None
        return Watch(self, path, params, resource_version=resource_version, timeout=timeout, stopped=stopped)

    def version(self) -> Json:
        """The server's `/version` document (`gitVersion`, `major`, `minor`, perhaps `emulationMinor`)."""
        return self.get("/version")

    # writing

    def create(self, path: str, body: Mapping[str, Any], **params: Any) -> Json:
        """POST to a collection or subresource. Never repeated: the first may have worked."""
        return cast(Json, self.raw("POST", path, body=body, params=params).json())

    def replace(self, path: str, body: Mapping[str, Any], **params: Any) -> Json:
        """PUT; `ApiConflict` when `metadata.resourceVersion` is given and is no longer the newest."""
        return cast(Json, self.raw("PUT", path, body=body, params=params).json())

    def patch(self, path: str, body: Any, content_type: str = MERGE_PATCH, **params: Any) -> Json:
        """PATCH; repeated after a lost connection only when it is a server-side apply."""
        return cast(Json, self.raw("PATCH", path, body=body, content_type=content_type, params=params).json())

    def delete(
        self,
        path: str,
        *,
        propagation: str = "Background",
        uid: str | None = None,
        grace: int | None = None,
        **params: Any,
    ) -> Json:
        """DELETE, of that very object when its `uid` is given. `ApiNotFound` when it is gone already.

        propagation: Background, Foreground or Orphan. grace: seconds; None is the object's own.
        """
        options: Json = {"propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        return cast(Json, self.raw("DELETE", path, body=options, params=params).json())

    # kinds

    def resource(self, api_version: str, kind: str) -> Resource:
        """Where a kind is found. Cached; asks the server again for a kind that it does not know. `NotFound`."""
        return self._discovery.find(api_version, kind)

    @property
    def discovery(self) -> Discovery:
        return self._discovery

    def path_of(self, document: Mapping[str, Any]) -> str:
        """The path of an object by its own `apiVersion`, `kind` and metadata."""
        metadata = document.get("metadata") or {}
        resource = self.resource(str(document.get("apiVersion")), str(document.get("kind")))
        return resource.path(metadata.get("namespace"), metadata.get("name"))

    def _discover(self, path: str) -> Json:
        document = cast(Json, self.raw("GET", path, accept=ACCEPT).json())
        if document.get("kind") != "APIGroupDiscoveryList":
            raise Permanent(f"The API server at {self.server} is older than Kubernetes 1.27, which is not supported.")
        return document

    # the wire

    def raw(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = "application/json",
        accept: str | None = None,
        params: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        check: bool = True,
    ) -> Response:
        """One request. check: raise an `ApiError` for any answer that is not a success.

        body: a document, or bytes as they are. A `params` entry of None is left out.
        """
        url = self._url(path, params)
        headers = dict(self._headers)
        if accept:
            headers["accept"] = accept
        data = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        if data is not None:
            headers["content-type"] = content_type
        end = time.monotonic() + (timeout or self._timeout)
        again = method in _IDEMPOTENT or (method == "PATCH" and content_type == APPLY)
        response = self._repeat(method, url, headers, data, end, self._retries if again else 0)
        if check and response.status >= 300:
            raise self._error(method, path, response)
        return response

    def open(self, path: str, params: Mapping[str, Any], *, silence: float) -> Answer:
        """A streamed GET (a watch, a followed log). silence: seconds without a byte after which reading it fails.

        The caller closes the answer.
        """
        answer = self._once("GET", self._url(path, params), self._headers, None, _CONNECT, silence, _head_only)
        if answer.status < 300:
            return answer
        try:
            raise self._error("GET", path, Response(answer.status, answer.headers, answer.read()))
        finally:
            answer.close()

    def _url(self, path: str, params: Mapping[str, Any] | None) -> str:
        pairs = {key: _text(value) for key, value in (params or {}).items() if value is not None}
        query = urlencode(pairs)
        return f"{self._root}{path}{'&' if '?' in path else '?'}{query}" if query else f"{self._root}{path}"

    def _repeat(
        self, method: str, url: str, headers: dict[str, str], data: bytes | None, end: float, repetitions: int
    ) -> Response:
        for attempt in range(repetitions + 1):
            pause: float = _PAUSES[min(attempt, len(_PAUSES) - 1)]
            last = attempt == repetitions
            left = max(0.1, end - time.monotonic())
            try:
                answer = self._once(method, url, headers, data, min(_CONNECT, left), left, _whole)
                wanted = _retry_after(answer.headers)
                if last or answer.status not in (429, 503) or wanted is None or wanted > _LONGEST_PAUSE:
                    return answer
                pause = wanted
            except ApiBusy:
                if last or time.monotonic() + pause >= end:
                    raise
            if self._closed.wait(max(0.0, min(pause, end - time.monotonic()))):
                raise ApiBusy(f"The connection to {self.server} was closed while {method} {url} waited to be repeated.")
        raise AssertionError("unreachable")

    def _once(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        data: bytes | None,
        connect: float,
        read: float,
        take: Callable[[Answer], Taken],
    ) -> Taken:
        """`take` is given the answer, and reads what it wants of it."""

        def send(own: Mapping[str, str]) -> Answer:
            return self._wire.ask(method, url, {**headers, **own}, data, connect=connect, read=read)

        try:
            answer = send(self._endpoint.headers(False))
            if answer.status == 401 and self._endpoint.renews:  # what we showed may just have expired
                answer.read()
                own = self._endpoint.headers(True)
                self._wire.renew()  # connections keep the certificate that they began with
                answer = send(own)
            return take(answer)
        except ssl.SSLError as error:
            if _cut_off(error):  # a balancer or tunnel with no server behind it, which hangs up
                raise ApiBusy(f"The API server at {self.server} does not answer: the connection was closed.") from None
            raise Permanent(f"No secure connection to {self.server}: {error}.") from None
        except OSError as error:
            raise ApiBusy(f"The API server at {self.server} does not answer: {_why(error)}.") from None
        except ValueError as error:
            raise Permanent(f"The API server at {self.server} cannot be asked: {error}.") from None

    def _error(self, method: str, path: str, response: Response) -> ApiError:
        try:
            body: Any = response.json()
        except orjson.JSONDecodeError:
            body = response.text()
        return error_from(response.status, body, f"{method} {path}", _retry_after(response.headers))


def _whole(answer: Answer) -> Response:
    return Response(answer.status, answer.headers, answer.read())


def _head_only(answer: Answer) -> Answer:
    return answer


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        return float(headers["retry-after"])
    except (KeyError, ValueError):
        return None


def _cut_off(error: ssl.SSLError) -> bool:
    """Was the connection closed in the middle of the handshake, rather than a certificate refused?"""
    return isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError)


def _why(error: OSError) -> str:
    if error.errno:
        return os.strerror(error.errno).lower() if error.errno > 0 else str(error.strerror)
    return str(error).rstrip(".") or type(error).__name__
