"""Follow a collection: list it, then hear of every change, through dropped connections and expired versions."""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import orjson

from boatyard.clock import Stop
from boatyard.kube.errors import ApiBusy, ApiError, ApiGone, error_from
from boatyard.kube.wire import Answer

if TYPE_CHECKING:
    from boatyard.kube.client import Client

_SILENCE = 90.0  # seconds without a byte after which a connection counts as dead; bookmarks come about once a minute
_SESSION = 300.0  # seconds after which the server is to end a watch, as its own clients ask
_PAUSES = (0.1, 0.5, 1.0, 2.0)  # seconds before each reconnection in a row that brought nothing
_PATIENCE = 60.0  # seconds of failed reconnections after which the watch gives up


@dataclass(frozen=True)
class Event:
    """ADDED, MODIFIED, DELETED with the whole object; SYNCED (an empty object) when a list has been given in full."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "SYNCED"]
    object: dict[str, Any]


class Watch:
    """An iterator of `Event` over one collection. Read it from one thread; `stop` may be called from any.

    It ends after `timeout` seconds, or when stopped. Dropped connections are opened again where they ended. When the
    server no longer knows that place, everything is listed anew: objects that vanished meanwhile come as DELETED, in
    their last known state. Raises `ApiError` when the server refuses, or has not answered for a minute.
    """

    def __init__(
        self,
        client: "Client",
        path: str,
        params: Mapping[str, Any],
        *,
        resource_version: str | None,
        timeout: float | None,
        stopped: tuple[Stop, str] | None = None,
    ) -> None:
        """stopped: ends the iteration with `Fenced`, which names what was broken off."""
        self._broken_off = stopped
        self._client, self._path, self._params = client, path, dict(params)
        self._version = resource_version
        self._end = None if timeout is None else time.monotonic() + timeout
        self._known: dict[tuple[str, str], dict[str, Any]] = {}
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._answer: Answer | None = None
        self._failing_since: float | None = None
        self._failures = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the iteration, also while it waits for the server. May be called twice."""
        with self._lock:
            self._stopped.set()
            if self._answer is not None:
                self._answer.shutdown()

    @property
    def version(self) -> str | None:
        """The resourceVersion up to which everything has been given."""
        return self._version

    def __iter__(self) -> Iterator[Event]:
        if self._broken_off is None:
            yield from self._events()
            return
        stopped, what = self._broken_off
        with stopped.calling(self.stop):
            yield from self._events()
        stopped.check(what)

    def _events(self) -> Iterator[Event]:
        while not self._over:
            try:
                if self._version is None:
                    yield from self._relist()
                yield from self._session()
            except ApiGone:
                self._version = None
            except ApiBusy:
                self._pause()

    @property
    def _over(self) -> bool:
        return self._stopped.is_set() or (self._end is not None and time.monotonic() >= self._end)

    def _relist(self) -> Iterator[Event]:
        items, version = self._client.list_at(self._path, **self._params)
        self._fine()
        before, self._known = self._known, {_key(item): item for item in items}
        self._version = version
        for key, item in before.items():
            if key not in self._known:
                yield Event("DELETED", item)
        for key, item in self._known.items():
            yield Event("MODIFIED" if key in before else "ADDED", item)
        yield Event("SYNCED", {})

    def _session(self) -> Iterator[Event]:
        """One connection, until the server ends it or the watch is over."""
        left = _SESSION if self._end is None else min(_SESSION, self._end - time.monotonic())
        if left <= 0:
            return
        params = self._params | {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": max(1, int(left) + 1),
        }
        answer = self._client.open(self._path, params, silence=min(_SILENCE, left + 0.05))
        self._failing_since = None  # it answers: a quiet collection's connection may well be cut before a bookmark
        try:
            with self._lock:
                if self._stopped.is_set():
                    return
                self._answer = answer
            for line in _lines(answer):
                if event := self._take(orjson.loads(line)):
                    yield event
                if self._over:
                    return
        except (OSError, ValueError):
            if not self._over:
                raise ApiBusy(f"The watch on {self._path} was cut off.") from None
        finally:
            with self._lock:
                self._answer = None
            answer.close()

    def _take(self, change: Mapping[str, Any]) -> Event | None:
        kind, item = str(change["type"]), change["object"]
        if kind == "ERROR":
            raise _refusal(item, self._path)
        self._fine()
        self._version = item["metadata"]["resourceVersion"]
        if kind == "BOOKMARK":
            return None
        if kind == "DELETED":
            self._known.pop(_key(item), None)
            return Event("DELETED", item)
        self._known[_key(item)] = item
        return Event("ADDED" if kind == "ADDED" else "MODIFIED", item)

    def _fine(self) -> None:
        self._failures, self._failing_since = 0, None

    def _pause(self) -> None:
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > _PATIENCE:
            raise ApiBusy(f"The API server at {self._client.server} has not answered for {_PATIENCE:g} s.") from None
        pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        self._stopped.wait(pause if self._end is None else max(0.0, min(pause, self._end - now)))


def _refusal(status: Mapping[str, Any], path: str) -> ApiError:
    return error_from(int(status.get("code") or 500), status, f"the watch on {path}")


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    metadata = item["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def _lines(answer: Answer) -> Iterator[bytes]:
    rest = b""
    for chunk in answer.chunks():
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line)
