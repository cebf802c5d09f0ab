"""Machines and nodes of a cluster side by side, at one moment: what rolling, scaling and waiting go by."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from boatyard.drivers.kops import nodes
from boatyard.drivers.kops.fleet import Machine, ScalingGroup
from boatyard.drivers.kops.nodes import NODES, SYSTEM_PODS, Json
from boatyard.drivers.kops.reach import Reach
from boatyard.kube.client import Client
from boatyard.kube.reading import read_readyz
from boatyard.words import some

_ANSWER = 10.0  # seconds


@dataclass(frozen=True)
class Scene:
    """One look. `nodes`: by instance."""

    fleet: Mapping[str, ScalingGroup]
    nodes: Mapping[str, Json]

    def group(self, name: str) -> ScalingGroup | None:
        return self.fleet.get(name)

    def node(self, machine: Machine) -> Json | None:
        return self.nodes.get(machine.id)

    def strangers(self, name: str) -> list[Json]:
        """Nodes of a group whose instance AWS no longer counts: they are on their way out."""
        group = self.fleet.get(name)
        known = {machine.id for machine in group.machines} if group is not None else set()
        return [node for key, node in self.nodes.items() if nodes.group_of(node) == name and key not in known]


def look(reach: Reach, client: Client) -> Scene:
    """Nodes first: a machine that comes in between is only seen later."""
    found = {nodes.instance_of(node): node for node in client.list(NODES)}
    return Scene(reach.fleet.read(), found)


def unsettled(scene: Scene, name: str, but: Container[str] = ()) -> str:
    """What a group still lacks: machines, joined nodes, readiness, or that old nodes are gone; "" when nothing.

    but: instances that need not have joined nor be Ready.
    """
    group = scene.group(name)
    if group is None:
        return f"the Auto Scaling group of {name}"
    if len(group.members) != group.desired:
        return f"{group.desired} instances of {name}, it has {len(group.members)}"
    asked = [machine for machine in group.members if machine.id not in but]
    coming = [machine.id for machine in asked if scene.node(machine) is None]
    if coming:
        return f"{some(coming)} of {name} to join"
    not_ready = [machine.id for machine in asked if not nodes.ready(scene.nodes[machine.id])]
    if not_ready:
        return f"{some(not_ready)} of {name} to be Ready"
    leaving = [nodes.name_of(node) for node in scene.strangers(name)]
    return f"{some(leaving)} of {name} to leave the cluster" if leaving else ""


def control_plane_lacks(client: Client, scene: Scene, groups: Sequence[str], but: Container[str] = ()) -> str:
    """Like `unsettled` for the control plane, its static pods and the API server's own checks (etcd among them)."""
    for name in groups:
        if rest := unsettled(scene, name, but):
            return rest
    failing = [check for check, ok in read_readyz(client, _ANSWER).items() if not ok]
    if failing:
        return f"the API server's checks {some(failing)}"
    pods = client.list(SYSTEM_PODS)
    for node in of(scene, groups):
        if nodes.instance_of(node) in but:
            continue
        if missing := nodes.static_pods_missing(node, pods):
            return f"{some(missing)} on {nodes.name_of(node)}"
    return ""


def of(scene: Scene, groups: Iterable[str]) -> list[Json]:
    """Nodes of these groups that have joined."""
    machines = [machine for name in groups if (group := scene.group(name)) for machine in group.members]
    return [node for machine in machines if (node := scene.node(machine)) is not None]
