"""Which nodes to empty together: as many as the PodDisruptionBudgets of their pods have head-room for.

A node joins while one of its pods may leave at once, by a disruption that no earlier node of the batch has taken. More
nodes would only stand cordoned beside machines that are paid for, and wait. Budgets are kept by the drain in any case:
this decides how much is begun at once, not what may be evicted.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from boatyard.kube.client import Client
from boatyard.kube.eviction import Budget, Key, Pod, budgets_of, read_budget, read_pod

_PODS = "/api/v1/pods"
_BUDGETS = "/apis/policy/v1/poddisruptionbudgets"


def batch(client: Client, nodes: Sequence[str], most: int) -> list[str]:
    """Of `nodes`, in their order, those to be emptied together now: at most `most`, and always one."""
    if len(nodes) <= 1 or most <= 1:
        return list(nodes[:1])
    pods = [read_pod(each) for each in client.list(_PODS)]
    budgets = [read_budget(each) for each in client.list(_BUDGETS)]
    return fitting(nodes, pods, budgets, most)


def fitting(nodes: Sequence[str], pods: Iterable[Pod], budgets: Sequence[Budget], most: int) -> list[str]:
    """The same from what was read. Pure."""
    by_namespace: dict[str, list[Budget]] = defaultdict(list)
    for budget in budgets:
        by_namespace[budget.namespace].append(budget)
    on: dict[str, list[Pod]] = {node: [] for node in nodes}
    for pod in pods:
        if pod.node in on and not pod.stays:
            on[pod.node].append(pod)
    spent: Counter[Key] = Counter()
    chosen: list[str] = []
    for node in nodes:
        if len(chosen) >= most:
            break
        if _joins(on[node], by_namespace, spent):
            chosen.append(node)
    return chosen or list(nodes[:1])


def _joins(pods: Sequence[Pod], budgets: Mapping[str, Sequence[Budget]], spent: Counter[Key]) -> bool:
    """Does one of these pods find head-room? It is taken then. Pods that no budget covers never stand in the way."""
    guarded = [(pod, covering[0]) for pod in pods if (covering := budgets_of(pod, budgets.get(pod.namespace, ())))]
    for pod, budget in guarded:
        if pod.free:
            return True
        if budget.admits(pod, spent[budget.key]):
            spent[budget.key] += 1
            return True
    return not guarded
