"""Wait by watch until objects are ready, or gone: one watch a kind, no polling."""

import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from boatyard.clock import Deadline
from boatyard.errors import BoatyardError, DeadlineExceeded, NotFound, Permanent
from boatyard.kube.client import Client, Event, Watch
from boatyard.kube.diagnose import why
from boatyard.kube.discovery import Resource
from boatyard.kube.objects import NAMESPACE, Ref
from boatyard.kube.readiness import READY, Status, condition, finished, never_waits, status
from boatyard.words import some

Report = Callable[[str], None]
_TOLD = 5  # objects named in one line of progress
_HOLDS_NAMESPACE = (
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
    "NamespaceContentRemaining",
    "NamespaceFinalizersRemaining",
)
_QUIET = 0.5  # seconds between two lines of progress


def wait_ready(
    client: Client,
    refs: Iterable[Ref],
    *,
    deadline: Deadline,
    report: Report | None = None,
    selector: str | None = None,
    to_the_end: bool = False,
) -> None:
    """Return when every object is ready. selector: a label selector that matches all of them, to watch less.

    to_the_end: a Pod must have succeeded; else it is ready when it takes requests.
    What has done its work and was then deleted (a Job's time to live) is ready.

    `Permanent` as soon as one has failed for good; `DeadlineExceeded` with one sentence for each cause.
    """
    awaited = {ref for ref in refs if not never_waits(*ref.type)}
    if not awaited:
        return
    board = _Board(client, awaited, report or (lambda line: None), deadline, to_the_end)
    with _watches(client, awaited, deadline, selector) as events:
        for event in events:
            board.take(event)
            if board.done:
                return
            board.say()
    raise board.timed_out()


def wait_gone(
    client: Client, refs: Iterable[Ref], *, deadline: Deadline, uids: Mapping[Ref, str] | None = None
) -> None:
    """Return when none of the objects exists any more. `DeadlineExceeded` names the rest and their finalizers.

    uids: which objects are meant, where known; others of the same name, as an operator makes at once, do not count.
    """
    meant = uids or {}
    there: dict[Ref, dict[str, Any]] = {ref: {} for ref in refs}
    if not there:
        return
    synced: set[tuple[str, str]] = set()
    seen: set[Ref] = set()
    with _watches(client, set(there), deadline, None) as events:
        for kind, event in events:
            if event.type == "SYNCED":
                synced.add(kind)
                for ref in [ref for ref in there if ref.type == kind and ref not in seen]:
                    del there[ref]
            elif (ref := Ref.of(event.object)) in there:
                uid = event.object["metadata"]["uid"]
                seen.add(ref)
                there[ref] = event.object
                if event.type == "DELETED" or uid != meant.get(ref, uid):
                    del there[ref]
            if not there:
                return
    raise DeadlineExceeded("Still there: " + "; ".join(_remains(ref, there[ref]) for ref in sorted(there)) + ".")


def _remains(ref: Ref, document: dict[str, Any]) -> str:
    if held := (document.get("metadata") or {}).get("finalizers"):
        return f"{ref} (held by the finalizers {', '.join(held)})"
    if ref.type == NAMESPACE:
        found = (condition(document, kind) for kind in _HOLDS_NAMESPACE)
        reasons = [str(each.get("message")) for each in found if each.get("status") == "True" and each.get("message")]
        return f"{ref} ({' '.join(reasons).rstrip('.')})" if reasons else str(ref)
    return str(ref)


class _Board:
    """What is known of each awaited object."""

    def __init__(self, client: Client, awaited: set[Ref], report: Report, deadline: Deadline, to_the_end: bool) -> None:
        self._client, self._report, self._deadline, self._to_the_end = client, report, deadline, to_the_end
        self._status = {ref: Status("waiting", "it does not exist") for ref in awaited}
        self._unsynced = {ref.type for ref in awaited}
        self._told: tuple[str, ...] = ()
        self._told_at = float("-inf")
        self._late: dict[str, bool] = {}

    @property
    def done(self) -> bool:
        return not self._unsynced and all(self._status.values())

    def take(self, change: tuple[tuple[str, str], Event]) -> None:
        kind, event = change
        if event.type == "SYNCED":
            self._unsynced.discard(kind)
            return
        ref = Ref.of(event.object)
        if ref not in self._status:
            return
        if finished(event.object):
            now = READY
        else:
            now = Status("waiting", "it was deleted") if event.type == "DELETED" else self._judge(event.object)
        if now.state == "failed":
            causes = why(self._client, ref) or [now.reason]
            raise Permanent(f"{ref} has failed: {'; '.join(dict.fromkeys([now.reason, *causes]))}.")
        self._status[ref] = now

    def _judge(self, document: dict[str, Any]) -> Status:
        now = status(document)
        if self._to_the_end and now and Ref.of(document).type == ("", "Pod"):
            return Status("waiting", "it has not ended yet")
        if document["kind"] == "PersistentVolumeClaim" and not now and self._binds_late(document):
            return Status("ready", "its volume comes with the first pod that uses it")
        return now

    def _binds_late(self, claim: dict[str, Any]) -> bool:
        """A class may bind only once a pod uses the claim; that pod is then what is waited for."""
        name = str((claim.get("spec") or {}).get("storageClassName") or "")
        if name and name not in self._late:
            try:
                found = self._client.get(f"/apis/storage.k8s.io/v1/storageclasses/{name}")
                self._late[name] = found.get("volumeBindingMode") == "WaitForFirstConsumer"
            except NotFound:
                self._late[name] = False
        return self._late.get(name, False)

    def say(self) -> None:
        """Tell the objects still awaited, when they are others than told last."""
        if self._unsynced:
            return
        waiting = sorted(ref for ref, now in self._status.items() if not now)
        names = tuple(str(ref) for ref in waiting)
        now = self._deadline.clock.monotonic()
        if names == self._told or (self._told and now - self._told_at < _QUIET):
            return
        self._told, self._told_at = names, now
        self._report(f"waiting for {some([f'{ref} ({self._status[ref].reason})' for ref in waiting], _TOLD)}")

    def timed_out(self) -> DeadlineExceeded:
        lines = []
        for ref in sorted(ref for ref, now in self._status.items() if not now):
            causes = why(self._client, ref) or [self._status[ref].reason]
            lines += [f"{ref}: {cause}" for cause in causes]
        return DeadlineExceeded(f"{self._deadline.what} did not end in time:\n" + "\n".join(lines))


@contextmanager
def _watches(
    client: Client, refs: set[Ref], deadline: Deadline, selector: str | None
) -> Iterator[Iterator[tuple[tuple[str, str], Event]]]:
    """Events of all the collections that hold `refs`, with their kind, until the deadline; one SYNCED a kind."""
    news: queue.SimpleQueue[tuple[tuple[str, str], Event] | BoatyardError] = queue.SimpleQueue()
    watches = [
        (kind, _watch(client, kind, namespaces, deadline, selector)) for kind, namespaces in _namespaces(refs).items()
    ]
    threads = [threading.Thread(target=_pump, args=(kind, watch, news), daemon=True) for kind, watch in watches]
    for thread in threads:
        thread.start()
    try:
        yield _until(news, deadline)
    finally:
        for _, watch in watches:
            watch.stop()
        for thread in threads:
            thread.join()


def _namespaces(refs: set[Ref]) -> dict[tuple[str, str], set[str]]:
    places: dict[tuple[str, str], set[str]] = defaultdict(set)
    for ref in refs:
        places[ref.type].add(ref.namespace)
    return places


def _watch(
    client: Client, kind: tuple[str, str], namespaces: set[str], deadline: Deadline, selector: str | None
) -> Watch:
    resource: Resource = client.discovery.preferred(*kind)
    path = resource.path(next(iter(namespaces)) or None) if len(namespaces) == 1 else resource.path()
    return client.watch(path, deadline=deadline, labelSelector=selector)


def _pump(
    kind: tuple[str, str], watch: Watch, news: "queue.SimpleQueue[tuple[tuple[str, str], Event] | BoatyardError]"
) -> None:
    try:
        for event in watch:
            news.put((kind, event))
    except BoatyardError as error:
        news.put(error)


def _until(
    news: "queue.SimpleQueue[tuple[tuple[str, str], Event] | BoatyardError]", deadline: Deadline
) -> Iterator[tuple[tuple[str, str], Event]]:
    while not deadline.passed:
        try:
            item = news.get(timeout=deadline.left)
        except queue.Empty:
            return
        if isinstance(item, BoatyardError):
            raise item
        yield item
