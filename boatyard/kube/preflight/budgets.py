"""PodDisruptionBudgets that would hold a drain up: for ever, as things are, or because there are two of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from boatyard.kube.eviction import Budget, Key, Pod, budgets_of, matches, read_budget, read_pod
from boatyard.kube.objects import Ref
from boatyard.kube.preflight.culprit import Culprit
from boatyard.kube.preflight.owners import Owners
from boatyard.kube.preflight.seen import BUDGETS, PODS, Json, Seen

_TEMPLATED = (("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "ReplicaSet"), ("", "ReplicationController"))

Covered = tuple[Pod, Json, int]
"""A pod, its document, and how many budgets cover it."""


def budgets(seen: Seen, owners: Owners) -> Iterator[Culprit]:
    """Every budget that blocks or covers nothing, and every pod that more than one covers."""
    if not seen.has(PODS, BUDGETS):
        return
    documents = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in seen.of(BUDGETS)}
    known = [read_budget(one) for one in documents.values()]
    in_namespace: dict[str, list[Budget]] = defaultdict(list)
    for budget in known:
        in_namespace[budget.namespace].append(budget)
    covered: dict[Key, list[Covered]] = defaultdict(list)
    for document in seen.of(PODS):
        pod = read_pod(document)
        found = budgets_of(pod, in_namespace[pod.namespace])
        for budget in found:
            covered[budget.key].append((pod, document, len(found)))
        if len(found) > 1 and not pod.stays and not pod.free:
            yield _overlap(document, found, owners)
    templates = [_template(one) for one in seen.of(*_TEMPLATED)]
    for budget in known:
        yield from _judge(budget, documents[budget.key], covered[budget.key], templates, owners)


def _judge(
    budget: Budget, document: Json, pods: list[Covered], templates: Iterable[tuple[str, Json]], owners: Owners
) -> Iterator[Culprit]:
    # Pods of two budgets are named by themselves, and the controller counts them for one of the two at most.
    leaving = [(pod, one) for pod, one, budgets in pods if budgets == 1 and not pod.stays and not pod.free]
    held = [(pod, one) for pod, one in leaving if not budget.admits(pod)]
    if not pods:
        if not any(space == budget.namespace and matches(budget.selector, marks) for space, marks in templates):
            yield _empty(budget, document, owners)
        return
    if not held:
        return
    whose = owners.of(held[0][1]) if owners.top(held[0][1]) is not held[0][1] else owners.of(document)
    if budget.desired >= budget.expected > 0 or _never(budget):
        yield Culprit(
            "pdb-blocks",
            Ref.of(document),
            whose,
            f"{budget.explain()}, so none of them may ever be evicted.",
            "Add a replica, or let the budget allow one disruption (maxUnavailable: 1).",
        )
    else:
        unready = [str(pod) for pod, *_ in pods if not pod.ready and not pod.finished]
        told = f"; not ready: {', '.join(unready[:3])}" if unready else ""
        yield Culprit(
            "pdb-blocks-now",
            Ref.of(document),
            whose,
            f"{budget.explain()}{told}.",
            "Get its pods ready first, or set unhealthyPodEvictionPolicy: AlwaysAllow if they never will be.",
        )


def _never(budget: Budget) -> bool:
    return str(budget.spec.get("maxUnavailable")) in ("0", "0%")


def _overlap(document: Json, found: list[Budget], owners: Owners) -> Culprit:
    names = " and ".join(f"{each.namespace}/{each.name}" for each in found)
    return Culprit(
        "pdb-overlaps",
        Ref.of(document),
        owners.of(document),
        f"The PodDisruptionBudgets {names} both cover it, and the server answers its eviction with an error.",
        "Narrow their selectors so that one covers the pod.",
    )


def _empty(budget: Budget, document: Json, owners: Owners) -> Culprit:
    return Culprit(
        "pdb-empty",
        Ref.of(document),
        owners.of(document),
        "Its selector covers no pod and no workload of its namespace, so it protects nothing.",
        "Mend its selector, or delete it.",
        blocks=False,
    )


def _template(document: Json) -> tuple[str, Json]:
    """Namespace and labels of the pods that a workload makes, or would make with more than 0 replicas."""
    template = (document.get("spec") or {}).get("template") or {}
    return document["metadata"]["namespace"], (template.get("metadata") or {}).get("labels") or {}
