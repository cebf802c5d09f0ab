"""Nodes emptied and their machines ended."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from boatyard.drivers.kops import nodes
from boatyard.drivers.kops.fleet import Machine
from boatyard.drivers.kops.nodes import NODES, Json
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.scene import Scene
from boatyard.drivers.rules import drain_rules
from boatyard.kube.client import ApiConflict, ApiNotFound, Client
from boatyard.kube.drain import drain_nodes

_SOFT = {"key": "kops.k8s.io/scheduled-for-update", "effect": "PreferNoSchedule"}
"""kOps' own: a pod that has to move goes to a new node if it can, and so moves once."""


def drain_and_end(
    reach: Reach,
    client: Client,
    scene: Scene,
    machines: Sequence[Machine],
    limit: float,
    end: Callable[[Machine], None],
) -> None:
    """All at once, by eviction, `limit` seconds a node; each machine is ended as soon as its node is empty.

    A machine that never joined has nothing to be drained. `DeadlineExceeded` names node, pod and budget.
    """
    joined: Mapping[str, Machine] = {
        nodes.name_of(node): machine for machine in machines if (node := scene.node(machine)) is not None
    }
    for machine in machines:
        if scene.node(machine) is None:
            end(machine)
    if joined:
        drain_nodes(
            client,
            list(joined),
            deadline=reach.env.deadline.named(f"draining {', '.join(joined)}"),
            report=reach.env.report,
            fence=reach.env.fence,
            on_empty=lambda name: end(joined[name]),
            rules=drain_rules(reach.cluster, reach.env, limit),
        )


def discourage(reach: Reach, client: Client, found: Iterable[Json]) -> None:
    """A soft taint on nodes that are about to be replaced; only a hint to the scheduler."""
    for node in found:
        taints = node["spec"].get("taints") or []
        if any(taint["key"] == _SOFT["key"] for taint in taints):
            continue
        version = {"resourceVersion": node["metadata"]["resourceVersion"]}
        patch(reach, client, node, {"metadata": version, "spec": {"taints": [*taints, _SOFT]}})


def patch(reach: Reach, client: Client, node: Json, body: Json) -> bool:
    """A merge patch; False when the node is gone or has changed meanwhile."""
    reach.env.fence()
    try:
        client.patch(f"{NODES}/{nodes.name_of(node)}", body)
    except (ApiNotFound, ApiConflict):
        return False
    return True
