"""What an upgrade looks at besides the cluster itself: are the apps that have a budget whole, and if not, why not?"""

from collections.abc import Collection, Mapping
from typing import Any

from boatyard.errors import BoatyardError
from boatyard.kube.checks import ValidationResult
from boatyard.kube.client import Client
from boatyard.kube.diagnose import why
from boatyard.kube.eviction import Budget, read_budget
from boatyard.kube.health import Check, State, node_ready
from boatyard.kube.objects import Ref
from boatyard.kube.readiness import condition
from boatyard.kube.reading import NODES

Json = Mapping[str, Any]

_PODS = "/api/v1/pods"
_BUDGETS = "/apis/policy/v1/poddisruptionbudgets"
_NAMED = 3
_OBJECTS = 10
"""Of each kind, how many are looked into: enough to see what they have in common."""


def not_whole(client: Client) -> list[Budget]:
    """Budgets of which a pod is missing or not healthy, whether they allow that or not."""
    found = (read_budget(each) for each in client.list(_BUDGETS))
    return [each for each in found if each.healthy < each.expected]


def budgets_whole(client: Client, known: Collection[str]) -> list[Check]:
    """Have the apps that a budget guards all their pods? Waiting where not: they may be on their way.

    Evictions keep every budget, so that a pod which does not come back shows only in this. known: budgets, as
    `namespace/name`, that were not whole when the upgrade began.
    """
    try:
        short = [each for each in not_whole(client) if f"{each.namespace}/{each.name}" not in known]
    except BoatyardError as error:
        return [Check("budgets", State.FAIL, f"could not be read: {error}")]
    if not short:
        return [Check("budgets", State.OK, "every app with a PodDisruptionBudget has its pods")]
    rest = f" and {len(short) - _NAMED} more" if len(short) > _NAMED else ""
    return [Check("budgets", State.WAITING, "; ".join(each.explain() for each in short[:_NAMED]) + rest)]


def gather(client: Client, result: ValidationResult) -> list[str]:
    """Lines of evidence: each check that did not pass, then nodes and pods that are not Ready, with what is known of
    the cause. Never raises for what cannot be read."""
    lines = [f"check {check.name}: {check.message}" for check in result.problems]
    try:
        return lines + _nodes(client) + _pods(client)
    except BoatyardError as error:
        return [*lines, f"more could not be read: {error}"]


def _nodes(client: Client) -> list[str]:
    bad = [node for node in client.list(NODES) if not node_ready(node)]
    return [f"node {each['metadata']['name']}: {_not_ready(each)}" for each in bad[:_OBJECTS]] + _more(bad, "nodes")


def _not_ready(node: Json) -> str:
    seen = condition(node, "Ready")
    return str(seen.get("message") or seen.get("reason") or "not Ready")


def _pods(client: Client) -> list[str]:
    bad = [pod for pod in client.list(_PODS) if _unwell(pod)]
    lines = []
    for pod in bad[:_OBJECTS]:
        meta = pod["metadata"]
        causes = why(client, Ref("", "Pod", meta["namespace"], meta["name"]))
        place = (pod.get("spec") or {}).get("nodeName")
        where = f" on {place}" if place else ""
        lines.append(f"pod {meta['namespace']}/{meta['name']}{where}: {'; '.join(causes) or 'not Ready'}")
    return lines + _more(bad, "pods")


def _unwell(pod: Json) -> bool:
    done = (pod.get("status") or {}).get("phase") == "Succeeded" or pod["metadata"].get("deletionTimestamp")
    return not done and condition(pod, "Ready").get("status") != "True"


def _more(found: list[Any], what: str) -> list[str]:
    return [f"and {len(found) - _OBJECTS} more {what}"] if len(found) > _OBJECTS else []
