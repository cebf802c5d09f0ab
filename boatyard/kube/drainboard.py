"""What a drain knows: pods that must leave, what their budgets allow, and which evictions may be tried now.

Fed by watches from their threads, asked by the drain from its own; every method takes the one lock. Evictions under one
budget go one after the other: two at once conflict in the API server, which then sleeps half a second before it looks
again. Different budgets go side by side. After a refusal a budget is left alone until the watch shows a newer version.
Pods of a later stage (see `drainstages`) wait until those of earlier ones are gone.
"""

import heapq
import math
import threading
from collections.abc import Callable, Iterable, Sequence

from boatyard.clock import Clock, Deadline
from boatyard.kube.client import Event
from boatyard.kube.drainentries import Attempt as Attempt
from boatyard.kube.drainentries import Entry, Ledger
from boatyard.kube.drainstages import Stages
from boatyard.kube.eviction import Budget, Json, Key, Pod, budgets_of, read_budget, read_pod

_NAMED = 5
"""How many pods an error names before it only counts the rest."""


class Board:
    """The state of one drain. `nodes` in the order in which they should become empty.

    order: label selectors, in the order in which their pods leave. force_after: seconds after which a budget that has
    let none of its pods go is passed over; None is never.
    """

    def __init__(
        self,
        nodes: Sequence[str],
        clock: Clock,
        report: Callable[[str], None],
        *,
        order: Sequence[str] = (),
        force_after: float | None = None,
    ) -> None:
        self._stages, self._force_after = Stages(order), force_after
        self._clock = clock
        self._report = report
        self._lock = threading.RLock()
        self._wakeup = threading.Event()
        self._rank = {node: index for index, node in enumerate(dict.fromkeys(nodes))}
        self._entries: dict[str, Entry] = {}
        self._names: dict[Key, str] = {}
        self._by_node: dict[str, set[str]] = {node: set() for node in self._rank}
        self._ledgers: dict[Key, Ledger] = {}
        self._unbudgeted: dict[str, None] = {}
        self._dirty: set[Key | None] = set()
        self._timers: list[tuple[float, str]] = []
        self._announced: set[str] = set()
        self._synced = {"pods": False, "budgets": False}
        self._failure: BaseException | None = None

    # fed by the watches

    def pod_changed(self, event: Event) -> None:
        """One watch event on pods."""
        with self._lock:
            if event.type == "SYNCED":
                self._synced["pods"] = True
            elif event.type == "DELETED":
                self._drop_pod(event.object["metadata"]["uid"])
            else:
                self._put_pod(event.object)
        self.wake()

    def budget_changed(self, event: Event) -> None:
        """One watch event on PodDisruptionBudgets."""
        with self._lock:
            if event.type == "SYNCED":
                self._synced["budgets"] = True
            elif event.type == "DELETED":
                self._drop_budget(read_budget(event.object).key)
            else:
                self._put_budget(read_budget(event.object))
        self.wake()

    def fail(self, error: BaseException) -> None:
        """Something that ends the drain; the first one counts."""
        with self._lock:
            self._failure = self._failure or error
        self.wake()

    # told by the threads that evict

    def evicted(self, attempt: Attempt) -> None:
        """The server agreed. If the budget has moved on since, its new status already shows that."""
        with self._lock:
            ledger = self._free(attempt)
            if ledger and not attempt.forced:
                ledger.held_since = None
            if ledger and ledger.budget.version == attempt.version:
                ledger.spent += 1
        self.wake()

    def refused(self, attempt: Attempt) -> None:
        """The budget said no: its pods wait until the watch shows another version of it."""
        with self._lock:
            if ledger := self._free(attempt):
                ledger.refused = attempt.version
            # Refused by a budget that the watch is about to show; the second is in case it came and went.
            self._ask_again(attempt.uid, 0.0 if ledger else self._clock.monotonic() + 1.0)
        self.wake()

    def postponed(self, attempt: Attempt, delay: float, why: str = "") -> None:
        """The server is pressed or could not be reached: the same pod again after `delay` seconds."""
        with self._lock:
            self._free(attempt)
            if entry := self._entries.get(attempt.uid):
                entry.said = why
            self._ask_again(attempt.uid, self._clock.monotonic() + delay)
        self.wake()

    def settled(self, attempt: Attempt) -> None:
        """No eviction is needed any more; the pod goes by itself."""
        with self._lock:
            self._free(attempt)
        self.wake()

    # asked by the drain

    def wake(self) -> None:
        self._wakeup.set()

    def wait(self, seconds: float) -> None:
        """Until something changed, or the first postponed pod or forced one is due, or `seconds` are over."""
        with self._lock:
            moments = [moment for moment, _ in self._timers[:1]] + [self._forced_at(each) for each in self._held()]
            if moments:
                seconds = min(seconds, max(0.0, min(moments) - self._clock.monotonic()))
        self._clock.wait(self._wakeup, seconds)
        self._wakeup.clear()

    def wait_synced(self, deadline: Deadline) -> None:
        """Until both watches have listed once."""
        while not all(self._synced.values()):
            self.raise_failure()
            deadline.check("the first list of pods and PodDisruptionBudgets")
            self.wait(deadline.left)

    def raise_failure(self) -> None:
        if self._failure:
            raise self._failure

    def attempts(self) -> list[Attempt]:
        """Evictions that may be tried now; each counts as under way until its outcome is told."""
        found, told = [], []
        with self._lock:
            self._expire_timers()
            dirty, self._dirty = self._dirty, set()
            if None in dirty:
                found += [self._attempt(uid, None) for uid in list(self._unbudgeted) if self._due(uid)]
            for key in dirty:
                ledger = self._ledgers.get(key) if key else None
                if ledger is None or ledger.busy:
                    continue
                if uid := self._admitted(ledger):
                    found.append(self._attempt(uid, ledger))
                elif held := self._first([uid for uid in ledger.waiting if self._due(uid)]):
                    if self._forced_at(ledger) <= self._clock.monotonic():
                        found.append(self._attempt(held, ledger, forced=True))
                    elif not ledger.told:
                        ledger.told = True
                        told.append(f"waiting for head-room: {ledger.budget.explain()}")
        for line in told:
            self._report(line)
        return found

    def newly_empty(self) -> list[str]:
        """Nodes that hold no pod that must leave, each given once unless `pods_found` took it back."""
        with self._lock:
            empty = [node for node in self._rank if not self._by_node[node] and node not in self._announced]
            self._announced.update(empty)
        return empty

    def pods_found(self, node: str, documents: Iterable[Json]) -> bool:
        """A fresh list of a node thought empty; True when something must leave it after all."""
        with self._lock:
            for document in documents:
                self._put_pod(document)
            if found := bool(self._by_node[node]):
                self._announced.discard(node)
        if found:
            self.wake()
        return found

    @property
    def done(self) -> bool:
        with self._lock:
            return not any(self._by_node.values()) and len(self._announced) == len(self._rank)

    def doubly_covered(self) -> list[str]:
        """Pods that the server will refuse for having more than one budget."""
        with self._lock:
            pods = [entry.pod for entry in self._entries.values() if not entry.pod.free]
            return [self.covering(pod) for pod in pods if len(budgets_of(pod, self._budgets())) > 1]

    def covering(self, pod: Pod | Attempt) -> str:
        """Which budgets cover a pod, for people."""
        with self._lock:
            found = self._entries.get(pod.uid)
            names = [budget.name for budget in budgets_of(found.pod, self._budgets())] if found else []
        where = f"pod {pod.namespace}/{pod.name} on node {pod.node}"
        return f"{where} is covered by PodDisruptionBudgets {' and '.join(names)}"

    def budget_of(self, attempt: Attempt) -> str:
        """What the attempt's budget says, for people."""
        with self._lock:
            ledger = self._ledgers.get(attempt.budget) if attempt.budget else None
            return ledger.budget.explain() if ledger else "its PodDisruptionBudget is gone by now"

    def unmanaged(self) -> list[str]:
        """Pods that nothing would bring back."""
        with self._lock:
            return [f"pod {e.pod} on node {e.pod.node}" for e in self._entries.values() if e.pod.controller is None]

    def explain(self) -> str:
        """Which pods are still there and why, by node; empty when none is."""
        with self._lock:
            left = sorted(self._entries.values(), key=lambda entry: (self._rank[entry.pod.node], str(entry.pod)))
            lines = [f"node {e.pod.node}: pod {e.pod} {self._reason(e)}" for e in left[:_NAMED]]
        rest = [f"and {len(left) - _NAMED} more pods"] if len(left) > _NAMED else []
        return "; ".join(lines + rest)

    # inside, under the lock

    def _reason(self, entry: Entry) -> str:
        if entry.pod.terminating or entry.asked:
            return "is terminating and has not gone"
        if entry.stage > self._stages.now:
            return "waits for those that leave before it"
        if entry.group in self._ledgers and not entry.pod.free:
            return f"is held back: {self._ledgers[entry.group].budget.explain()}"
        return ": ".join(filter(None, ("could not be evicted yet", entry.said.rstrip("."))))

    def _budgets(self) -> list[Budget]:
        return [ledger.budget for ledger in self._ledgers.values()]

    def _put_pod(self, document: Json) -> None:
        name = (document["metadata"]["namespace"], document["metadata"]["name"])
        known = self._names.get(name)
        if known and known != document["metadata"]["uid"]:
            self._drop_pod(known)  # its end was missed while the watch was cut off
        if (document.get("spec") or {}).get("nodeName") not in self._rank:
            return
        pod = read_pod(document)
        if pod.stays:
            self._drop_pod(pod.uid)
        elif entry := self._entries.get(pod.uid):
            self._leave_queue(entry)
            relabelled, entry.pod = entry.pod.labels != pod.labels, pod
            if relabelled:
                before, entry.stage = entry.stage, self._stages.enter(pod)
                self._leave_stage(before)
            (self._enter_queue if relabelled else self._enqueue)(entry)
        else:
            entry = self._entries[pod.uid] = Entry(pod, stage=self._stages.enter(pod))
            self._names[name] = pod.uid
            self._by_node[pod.node].add(pod.uid)
            self._enter_queue(entry)

    def _drop_pod(self, uid: str) -> None:
        if entry := self._entries.pop(uid, None):
            self._leave_queue(entry)
            self._by_node[entry.pod.node].discard(uid)
            self._names.pop((entry.pod.namespace, entry.pod.name), None)
            self._leave_stage(entry.stage)

    def _leave_stage(self, stage: int) -> None:
        """The last pod of a stage lets the next one begin."""
        if self._stages.leave(stage):
            self._dirty |= {*self._ledgers, None}

    def _enter_queue(self, entry: Entry) -> None:
        """Find the pod's budget and wait in its queue."""
        covering = budgets_of(entry.pod, self._budgets())
        entry.group = covering[0].key if covering else None
        self._enqueue(entry)

    def _enqueue(self, entry: Entry) -> None:
        if entry.asked or entry.pod.terminating:
            return
        self._queue(entry.group)[entry.pod.uid] = None
        self._dirty.add(entry.group)

    def _leave_queue(self, entry: Entry) -> None:
        self._queue(entry.group).pop(entry.pod.uid, None)

    def _queue(self, group: Key | None) -> dict[str, None]:
        ledger = self._ledgers.get(group) if group else None
        return ledger.waiting if ledger else self._unbudgeted

    def _put_budget(self, budget: Budget) -> None:
        ledger = self._ledgers.get(budget.key)
        if ledger is None:
            self._ledgers[budget.key] = Ledger(budget)
            self._regroup(budget.namespace)
            return
        moved = ledger.budget.selector != budget.selector
        if ledger.budget.version != budget.version:
            ledger.budget, ledger.spent = budget, 0
        if moved:
            self._regroup(budget.namespace)
        self._dirty.add(budget.key)

    def _drop_budget(self, key: Key) -> None:
        ledger = self._ledgers.pop(key, None)
        if ledger:
            self._unbudgeted.update(ledger.waiting)
            self._regroup(key[0])

    def _regroup(self, namespace: str) -> None:
        for entry in self._entries.values():
            if entry.pod.namespace == namespace:
                self._unbudgeted.pop(entry.pod.uid, None)
                self._leave_queue(entry)
                self._enter_queue(entry)

    def _due(self, uid: str) -> bool:
        entry = self._entries[uid]
        return entry.stage <= self._stages.now and entry.not_before <= self._clock.monotonic()

    def _held(self) -> list[Ledger]:
        """Budgets that hold pods back which may be forced in time."""
        if self._force_after is None:
            return []
        counting = [each for each in self._ledgers.values() if each.held_since is not None and not each.busy]
        return [each for each in counting if any(self._due(uid) for uid in each.waiting)]

    def _forced_at(self, ledger: Ledger) -> float:
        """When the pods that this budget holds back are forced; the count begins with the first call."""
        if self._force_after is None:
            return math.inf
        if ledger.held_since is None:
            ledger.held_since = self._clock.monotonic()
        return ledger.held_since + self._force_after

    def _admitted(self, ledger: Ledger) -> str | None:
        """The pod of the earliest node that the budget lets go now."""
        if ledger.refused == ledger.budget.version:
            return None
        fitting = [
            uid
            for uid in ledger.waiting
            if self._due(uid) and ledger.budget.admits(self._entries[uid].pod, ledger.spent)
        ]
        return self._first(fitting)

    def _first(self, uids: Iterable[str]) -> str | None:
        return min(uids, key=lambda uid: self._rank[self._entries[uid].pod.node], default=None)

    def _attempt(self, uid: str, ledger: Ledger | None, *, forced: bool = False) -> Attempt:
        entry = self._entries[uid]
        entry.asked = True
        self._leave_queue(entry)
        if ledger:
            ledger.busy = True
        pod = entry.pod
        budget = ledger.budget if ledger else None
        key, version = (budget.key, budget.version) if budget else (None, "")
        return Attempt(uid, pod.namespace, pod.name, pod.node, key, version, forced)

    def _free(self, attempt: Attempt) -> Ledger | None:
        """The attempt's budget may be asked again."""
        ledger = self._ledgers.get(attempt.budget) if attempt.budget else None
        if ledger:
            ledger.busy = False
            self._dirty.add(attempt.budget)
        return ledger

    def _ask_again(self, uid: str, not_before: float = 0.0) -> None:
        entry = self._entries.get(uid)
        if entry is None:
            return
        entry.asked, entry.not_before = False, not_before
        if not_before:
            heapq.heappush(self._timers, (not_before, uid))
        self._enter_queue(entry)

    def _expire_timers(self) -> None:
        while self._timers and self._timers[0][0] <= self._clock.monotonic():
            _, uid = heapq.heappop(self._timers)
            if uid in self._entries:
                self._dirty.add(self._entries[uid].group)
        now = self._clock.monotonic()
        self._dirty |= {each.budget.key for each in self._held() if self._forced_at(each) <= now}
