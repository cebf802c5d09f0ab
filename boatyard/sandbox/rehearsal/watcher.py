"""Watches a twin while its nodes are drained: who waits, for whom, how long.

Acts in one case only: a budget that would hold for ever has its pods deleted, so that the rest is rehearsed as well.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from boatyard.clock import Clock, Deadline
from boatyard.kube.client import ApiConflict, ApiNotFound, Client, Event
from boatyard.kube.eviction import Budget, Key, Pod, budgets_of, read_budget, read_pod
from boatyard.kube.follow import Follower
from boatyard.kube.health import pool_by_label
from boatyard.kube.nodes import cordoned, name_of
from boatyard.sandbox.rehearsal.holds import Holds
from boatyard.sandbox.rehearsal.report import Drained, Waiting
from boatyard.sandbox.rehearsal.workloads import Census, Place, alive, census, place, unschedulable, workload

Json = dict[str, Any]

_PODS, _NODES = "/api/v1/pods", "/api/v1/nodes"
_BUDGETS, _REPLICA_SETS = "/apis/policy/v1/poddisruptionbudgets", "/apis/apps/v1/replicasets"


@dataclass
class _Queue:
    """Pods of one workload that no node takes now."""

    pods: set[str] = field(default_factory=set)
    most: int = 0
    since: float | None = None
    seconds: float = 0.0
    reason: str = ""


@dataclass
class Findings:
    """What was seen over all watches of one rehearsal."""

    holds: Holds = field(default_factory=Holds)
    drained: list[Drained] = field(default_factory=list)
    queues: dict[str, _Queue] = field(default_factory=dict)

    def waiting(self) -> list[Waiting]:
        """Workloads whose pods had to wait for a node, the longest first."""
        found = [
            Waiting(workload=name, pods=queue.most, reason=queue.reason, seconds=round(queue.seconds, 1))
            for name, queue in self.queues.items()
        ]
        return sorted(found, key=lambda each: (-each.seconds, each.workload))


class Watcher:
    """A context manager: from entry to exit the twin is followed. `findings` go on from one watch to the next.

    before: how many pods of each workload no node took before the upgrade; those are no news. draining: the pool whose
    nodes are drained meanwhile, those that were cordoned before among them.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        findings: Findings,
        *,
        before: Mapping[str, int] | None = None,
        draining: str | None = None,
    ) -> None:
        self._client, self._clock, self._findings = client, clock, findings
        self._before, self._draining = dict(before or {}), draining
        self._lock = threading.RLock()
        self._news = threading.Event()
        self._pods: dict[str, tuple[Pod, Json]] = {}
        self._names: dict[Place, str] = {}
        self._budgets: dict[Key, Budget] = {}
        self._sets: dict[Place, Json] = {}
        self._cordoned: dict[str, tuple[float, int]] = {}
        self._missing = {_PODS, _BUDGETS, _NODES, _REPLICA_SETS}
        self._failure: BaseException | None = None
        self._changed = clock.monotonic()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for path, tell in (
            (_REPLICA_SETS, self._replica_set),
            (_NODES, self._node),
            (_BUDGETS, self._budget),
            (_PODS, self._pod),
        ):
            self._stack.enter_context(Follower(self._client, path, self._told(path, tell), self._fail))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        now = self._clock.monotonic()
        with self._lock:
            self._findings.holds.end(now)
            for queue in self._findings.queues.values():
                _drop(queue, now)

    # looking

    def wait_settled(self, wanted: Mapping[str, int], *, quiet: float, deadline: Deadline) -> bool:
        """Until every workload has as many pods on nodes as `wanted`, and budgets have counted them.

        False when that does not come: nothing has changed for `quiet` seconds. `DeadlineExceeded`.
        """
        while True:
            with self._lock:
                self._raise_failure()
                now = self._clock.monotonic()
                synced, still = not self._missing, now - self._changed
                if synced and self._settled(wanted):
                    return True
                if synced and still >= quiet:
                    return False
            deadline.check("the twin's pods")
            self._wait(min(deadline.left, quiet - still if synced else deadline.left))

    def census(self) -> Census:
        """The pods that are there now, by workload."""
        with self._lock:
            return census((document for _, document in self._pods.values()), self._sets)

    def reasons(self) -> dict[str, str]:
        """Workload → why no node takes one of its pods."""
        with self._lock:
            found = (
                (workload(each, self._sets), unschedulable(each)) for _, each in self._pods.values() if alive(each)
            )
            return {name: why for name, why in found if why}

    def doubly_covered(self) -> dict[Key, tuple[Budget, list[Pod]]]:
        """Pods that more than one budget covers, which the server refuses to evict: by the last of their budgets."""
        found: dict[Key, tuple[Budget, list[Pod]]] = {}
        with self._lock:
            for pod, _ in self._pods.values():
                covering = budgets_of(pod, self._budgets.values()) if not pod.stays else []
                if len(covering) > 1:
                    found.setdefault(covering[-1].key, (covering[-1], []))[1].append(pod)
        return found

    @contextmanager
    def judging(self, report: Callable[[str], None], fence: Callable[[], None]) -> Iterator[None]:
        """While the block runs, budgets that would hold for ever are noted and their pods deleted. Errors of that come
        out at the end of the block."""
        over = threading.Event()
        errors: list[BaseException] = []

        def judge() -> None:
            try:
                while not over.is_set():
                    self._judge(report, fence)
            except BaseException as error:  # noqa: BLE001 - raised in the thread that waits for it
                errors.append(error)

        thread = threading.Thread(target=judge, name="judge", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            self._news.set()
            thread.join()
        if errors:
            raise errors[0]

    def _judge(self, report: Callable[[str], None], fence: Callable[[], None]) -> None:
        now = self._clock.monotonic()
        with self._lock:
            self._raise_failure()
            self._look(now)
            pods, due = self._findings.holds.judge(now), self._findings.holds.due(now)
        for pod in pods:
            fence()
            path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
            with suppress(ApiNotFound, ApiConflict):
                self._client.delete(path, uid=pod.uid, grace=0)
                report(f"pod {pod} would be held on {pod.node} for ever: deleted on the twin, to go on")
        self._wait(60.0 if due is None else max(due, 0.2))

    def _wait(self, seconds: float) -> None:
        self._clock.wait(self._news, seconds)
        self._news.clear()

    # hearing

    def _told(self, path: str, tell: Callable[[Event], None]) -> Callable[[Event], None]:
        def take(event: Event) -> None:
            with self._lock:
                self._changed = self._clock.monotonic()
                if event.type == "SYNCED":
                    self._missing.discard(path)
                else:
                    tell(event)
            self._news.set()

        return take

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._news.set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _replica_set(self, event: Event) -> None:
        self._sets[place(event.object)] = event.object  # a deleted one still says whose its last pods are

    def _budget(self, event: Event) -> None:
        budget = read_budget(event.object)
        self._budgets[budget.key] = budget
        if event.type == "DELETED":
            del self._budgets[budget.key]

    def _pod(self, event: Event) -> None:
        document, now = event.object, self._clock.monotonic()
        pod, where = read_pod(document), place(document)
        if (known := self._names.get(where)) and known != pod.uid:
            self._forget(known, now)  # its end was missed
        if event.type == "DELETED":
            self._forget(pod.uid, now)
            return
        self._pods[pod.uid], self._names[where] = (pod, document), pod.uid
        name, why = workload(document, self._sets), unschedulable(document)
        if why is not None and alive(document):
            queue = self._findings.queues.setdefault(name, _Queue())
            queue.pods.add(pod.uid)
            if len(queue.pods) > self._before.get(name, 0):
                queue.since = now if queue.since is None else queue.since
                queue.most, queue.reason = max(queue.most, len(queue.pods)), why
        else:
            self._scheduled(name, pod.uid, now)

    def _forget(self, uid: str, now: float) -> None:
        pod, document = self._pods.pop(uid, (None, None))
        if pod is not None and document is not None:
            self._names.pop((pod.namespace, pod.name), None)
            self._scheduled(workload(document, self._sets), uid, now)

    def _scheduled(self, name: str, uid: str, now: float) -> None:
        if (queue := self._findings.queues.get(name)) is None:
            return
        queue.pods.discard(uid)
        if len(queue.pods) <= self._before.get(name, 0):
            _drop(queue, now)

    def _node(self, event: Event) -> None:
        name, now = name_of(event.object), self._clock.monotonic()
        pool = pool_by_label(event.object)
        if pool is None or pool != self._draining:
            return
        if event.type == "DELETED":
            if started := self._cordoned.pop(name, None):
                since, pods = started
                seconds = round(now - since, 1)
                self._findings.drained.append(Drained(pool=pool, node=name, pods=pods, seconds=seconds))
        elif not cordoned(event.object):
            self._cordoned.pop(name, None)
        elif name not in self._cordoned:
            self._cordoned[name] = (now, sum(pod.node == name and not pod.stays for pod, _ in self._pods.values()))

    def _look(self, now: float) -> None:
        """Not at each event but when somebody waits for news: of many at once, one look is enough."""
        pods = [pod for pod, _ in self._pods.values()]
        leaving = [pod for pod in pods if pod.node in self._cordoned]
        owners = {pod.uid: workload(self._pods[pod.uid][1], self._sets) for pod in leaving}
        self._findings.holds.look(now, leaving, list(self._budgets.values()), pods, owners)

    def _settled(self, wanted: Mapping[str, int]) -> bool:
        now = self.census()
        if any(now.bound[name] < count for name, count in wanted.items()):
            return False
        if now.unready.total():
            return False
        pods = [pod for pod, _ in self._pods.values() if not pod.finished and not pod.terminating]
        return all(
            budget.processed and budget.healthy >= sum(pod.ready for pod in pods if budget.covers(pod))
            for budget in self._budgets.values()
        )


def _drop(queue: _Queue, now: float) -> None:
    if queue.since is not None:
        queue.seconds += now - queue.since
        queue.since = None
