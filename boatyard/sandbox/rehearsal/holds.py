"""PodDisruptionBudgets that keep pods on nodes which are being drained: how long each did, and which never will let go.

Fed with what is there at each moment; judges by evidence, not by a time limit. A budget is said to hold for ever when
 - it allows nothing although all its pods are healthy, and nothing about it or its pods has changed for `STILL`
   seconds: nothing is on its way that could change it, or
 - it allows nothing, and nothing has changed for `STUCK` seconds: the pods it misses do not come.
On a twin pods are ready a second or two after they got a node, so both times are long.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from boatyard.kube.eviction import Budget, Key, Pod, budgets_of
from boatyard.sandbox.rehearsal.report import Hold

STILL = 10.0
"""Seconds."""
STUCK = 30.0
"""Seconds."""


@dataclass
class _Case:
    """One budget's part in it. since: from when it holds, None while it does not. changed: when anything last did."""

    budget: Budget
    since: float | None = None
    total: float = 0.0
    changed: float = 0.0
    seen: object = None
    held: dict[str, Pod] = field(default_factory=dict)
    owners: dict[str, None] = field(default_factory=dict)
    nodes: dict[str, None] = field(default_factory=dict)
    why: str = ""
    certain: bool = False
    """Was it judged while all its pods were healthy?"""

    @property
    def whole(self) -> bool:
        """Are all its pods healthy, so that it can only allow less?"""
        return self.budget.processed and self.budget.healthy >= self.budget.expected > 0

    def patience(self) -> float:
        """Seconds without any change after which it is judged; none for one that was, and still has all its pods."""
        if not self.whole:
            return STUCK
        return 0.0 if self.certain else STILL


class Holds:
    """All budgets of one twin. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._cases: dict[Key, _Case] = {}

    def look(
        self,
        now: float,
        leaving: Iterable[Pod],
        budgets: Collection[Budget],
        pods: Iterable[Pod],
        owner_of: Mapping[str, str],
    ) -> None:
        """What is there now. leaving: pods on nodes that are being drained. owner_of: pod UID → its workload."""
        held: dict[Key, dict[str, Pod]] = {}
        by_key = {budget.key: budget for budget in budgets}
        for pod in leaving:
            if pod.stays or pod.terminating:
                continue
            for budget in budgets_of(pod, budgets):
                if not budget.admits(pod):
                    held.setdefault(budget.key, {})[pod.uid] = pod
        for key, which in held.items():
            case = self._cases.setdefault(key, _Case(by_key[key], changed=now))
            case.budget, case.held = by_key[key], which
            case.since = now if case.since is None else case.since
            case.owners |= dict.fromkeys(owner_of.get(uid, str(pod)) for uid, pod in which.items())
            case.nodes |= dict.fromkeys(pod.node for pod in which.values())
        everything = list(pods)
        for key, case in self._cases.items():
            if key not in held:
                self._let_go(case, now)
            elif (seen := _fingerprint(case, everything)) != case.seen:
                case.seen, case.changed = seen, now

    def judge(self, now: float) -> list[Pod]:
        """Pods whose budgets would, by now, hold them for ever."""
        found = []
        for case in self._cases.values():
            if case.since is not None and now - case.changed >= case.patience():
                case.why, case.certain = case.why or _why(case), case.certain or case.whole
                found += list(case.held.values())
        return found

    def due(self, now: float) -> float | None:
        """Seconds until a budget has to be judged if nothing changes; None while none holds."""
        waits = [case.changed + case.patience() - now for case in self._cases.values() if case.since is not None]
        return max(0.0, min(waits)) if waits else None

    def end(self, now: float) -> None:
        """Nothing is drained any more."""
        for case in self._cases.values():
            self._let_go(case, now)

    def found(self) -> list[Hold]:
        """What each budget did, the longest first."""
        made = [
            Hold(
                namespace=case.budget.namespace,
                name=case.budget.name,
                rule=case.budget.rule,
                seconds=round(case.total, 1),
                for_ever=bool(case.why),
                owners=tuple(sorted(case.owners)),
                nodes=tuple(sorted(case.nodes)),
                why=case.why,
            )
            for case in self._cases.values()
        ]
        return sorted(made, key=lambda hold: (not hold.for_ever, -hold.seconds, hold.namespace, hold.name))

    @staticmethod
    def _let_go(case: _Case, now: float) -> None:
        if case.since is not None:
            case.total += now - case.since
        case.since, case.held, case.seen = None, {}, None


def _fingerprint(case: _Case, pods: Iterable[Pod]) -> object:
    """Whatever would have to change before the budget allows more."""
    budget = case.budget
    covered = frozenset((pod.uid, pod.ready, pod.phase, pod.terminating) for pod in pods if budget.covers(pod))
    return budget.allowed, budget.healthy, budget.desired, budget.expected, budget.processed, covered


def _why(case: _Case) -> str:
    budget = case.budget
    numbers = f"{budget.healthy} of {budget.expected} pods healthy, {budget.desired} must stay ({budget.rule})"
    if case.whole:
        return f"it allows no disruption although all its pods are healthy: {numbers}"
    return f"it allows no disruption, and nothing changed for {STUCK:g} s: {numbers}"
