"""What a cluster's budgets know and those of a twin would not: there every pod is ready, and can be counted. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from boatyard.kube.eviction import Budget, Key, Pod, read_budget, read_pod
from boatyard.sandbox.rehearsal.report import Hold
from boatyard.sandbox.rehearsal.workloads import Place, workload

Json = dict[str, Any]


@dataclass(frozen=True)
class Sick:
    """A budget of the cluster some of whose pods are not ready. count: how many."""

    budget: Budget
    count: int

    def tightened(self, item: Json) -> Json:
        """The same for a twin, where all pods are ready: it allows as much as in the cluster, also once pods were
        replaced, since nothing says that their successors would come up."""
        spec = {key: value for key, value in item["spec"].items() if key != "maxUnavailable"}
        return item | {"spec": spec | {"minAvailable": self.budget.desired + self.count}}

    def told(self, hold: Hold) -> Hold:
        """What the twin's budget did, in the words of the cluster's."""
        ready = self.budget.expected - self.count
        why = f"{ready} of its {self.budget.expected} pods are ready in the cluster, {self.budget.desired} must stay"
        rule = self.budget.rule
        return hold.model_copy(update={"rule": rule, "why": f"{why} ({rule})" if hold.for_ever else ""})


def sick(budgets: Iterable[Json], pods: Iterable[Json]) -> dict[Key, Sick]:
    """Budgets that cover pods which are on a node, not on their way out, and not ready."""
    unready = [pod for pod in map(read_pod, pods) if pod.node and not pod.ready and not pod.terminating]
    found = {}
    for budget in map(read_budget, budgets):
        if count := sum(budget.covers(pod) and not pod.stays for pod in unready):
            found[budget.key] = Sick(budget, count)
    return found


def uncountable(budgets: Iterable[Json], pods: Iterable[Json], replica_sets: Mapping[Place, Json]) -> list[Hold]:
    """Budgets whose own condition says that their pods could not be counted; such a one allows nothing."""
    running = [(read_pod(each), each) for each in pods]
    found = []
    for document in budgets:
        conditions = document["status"].get("conditions") or ()
        why = next((each["message"] for each in conditions if each["reason"] == "SyncFailed"), "")
        budget = read_budget(document)
        held = [(pod, each) for pod, each in running if budget.covers(pod) and not pod.stays]
        if why and held:
            owners = (workload(each, replica_sets) for _, each in held)
            reason = f"the cluster's disruption controller cannot count its pods: {why.strip().rstrip('.')}"
            found.append(for_ever(budget, owners, (pod for pod, _ in held), reason))
    return found


def for_ever(budget: Budget, owners: Iterable[str], pods: Iterable[Pod], why: str) -> Hold:
    """A budget that will not let go, known before anything is drained."""
    return Hold(
        namespace=budget.namespace,
        name=budget.name,
        rule=budget.rule,
        seconds=0.0,
        for_ever=True,
        owners=tuple(sorted(set(owners))),
        nodes=tuple(sorted({pod.node for pod in pods if pod.node})),
        why=why,
    )
