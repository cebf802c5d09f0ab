"""Would the pods of a drained node find room on the others? Asked when no node can be added first."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from boatyard.kube.eviction import read_pod
from boatyard.kube.health import node_ready
from boatyard.kube.objects import Ref
from boatyard.kube.preflight.culprit import Culprit
from boatyard.kube.preflight.owners import Owners
from boatyard.kube.preflight.seen import NODES, PODS, Json, Seen

_COUNTED = ("cpu", "memory", "pods")
_QUANTITY = re.compile(r"^([0-9]*\.?[0-9]+)(e[0-9]+|[numkMGTPE]|[KMGTPE]i)?$")
_UNITS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_UNITS |= {unit + "i": 1024.0**power for power, unit in enumerate("KMGTPE", 1)}
_HARD = ("NoSchedule", "NoExecute")


@dataclass
class _Node:
    document: Json
    free: dict[str, float]
    leaving: list[Json] = field(default_factory=list)
    """Pods that a drain evicts."""

    def asked(self, what: str) -> float:
        return sum(needs(pod)[what] for pod in self.leaving)


def room(seen: Seen, owners: Owners) -> Iterator[Culprit]:
    """The node whose pods ask for most cpu, and the one whose pods ask for most memory, if its pods fit nowhere else.

    By requests, taints and node selectors; affinity and topology spread are not looked at, so that a pod may be pending
    all the same.
    """
    if not seen.has(NODES, PODS):
        return
    nodes = {one["metadata"]["name"]: _Node(one, _allocatable(one)) for one in seen.of(NODES) if _takes_pods(one)}
    for document in seen.of(PODS):
        pod = read_pod(document)
        node = nodes.get(pod.node)
        if node is None or pod.finished:
            continue
        for what, amount in needs(document).items():
            node.free[what] -= amount
        if not pod.stays:
            node.leaving.append(document)
    busiest = [max(nodes.values(), key=lambda node: node.asked(what)) for what in _COUNTED[:2] if nodes]
    for node in {id(each): each for each in busiest}.values():
        if homeless := _homeless(node, [each for each in nodes.values() if each is not node]):
            names = ", ".join(f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in homeless[:3])
            more = f" and {len(homeless) - 3} more" if len(homeless) > 3 else ""
            yield Culprit(
                "no-room",
                Ref.of(node.document),
                "",
                f"No node can be added first, and of the {len(node.leaving)} pods that must leave it {len(homeless)}"
                f" would fit on no other node: {names}{more}.",
                "Make surge possible (see the provider's findings), add a node, or lower requests.",
            )


def _takes_pods(node: Json) -> bool:
    return node_ready(node) and not (node.get("spec") or {}).get("unschedulable")


def _allocatable(node: Json) -> dict[str, float]:
    given = (node.get("status") or {}).get("allocatable") or {}
    return {what: quantity(given.get(what, "0")) for what in _COUNTED}


def _homeless(node: _Node, others: list[_Node]) -> list[Json]:
    """Pods that fit nowhere, the largest placed first, each on the fullest node that still takes it."""
    free = [(other.document, dict(other.free)) for other in others]
    left = []
    for pod in sorted(node.leaving, key=lambda one: tuple(-needs(one)[what] for what in _COUNTED)):
        wanted = needs(pod)
        fitting = [
            room
            for document, room in free
            if _allowed(pod, document) and all(room[what] >= wanted[what] for what in wanted)
        ]
        if not fitting:
            left.append(pod)
            continue
        chosen = min(fitting, key=lambda room: room["cpu"])
        for what, amount in wanted.items():
            chosen[what] -= amount
    return left


def _allowed(pod: Json, node: Json) -> bool:
    """By taints and the node selector."""
    spec = pod.get("spec") or {}
    marks: Mapping[str, str] = node["metadata"].get("labels") or {}
    if any(marks.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    hard = [taint for taint in (node.get("spec") or {}).get("taints") or () if taint["effect"] in _HARD]
    return all(any(_tolerates(each, taint) for each in spec.get("tolerations") or ()) for taint in hard)


def _tolerates(toleration: Json, taint: Json) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if not toleration.get("key"):
        return toleration.get("operator") == "Exists"
    if toleration["key"] != taint["key"]:
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")


def needs(pod: Json) -> dict[str, float]:
    """What the scheduler sets aside: cores, bytes and one pod. All containers, or an init container if larger."""
    spec = pod.get("spec") or {}
    found = {"pods": 1.0}
    for what in _COUNTED[:2]:
        running = sum(_request(each, what) for each in spec.get("containers") or ())
        sidecars = sum(_request(each, what) for each in _inits(spec) if each.get("restartPolicy") == "Always")
        first = max((_request(each, what) for each in _inits(spec)), default=0.0)
        found[what] = max(running + sidecars, first) + quantity((spec.get("overhead") or {}).get(what, "0"))
    return found


def _inits(spec: Json) -> list[Json]:
    return spec.get("initContainers") or []


def _request(container: Json, what: str) -> float:
    return quantity(((container.get("resources") or {}).get("requests") or {}).get(what, "0"))


def quantity(text: object) -> float:
    """`250m`, `1.5Gi`, `2e3` → a number; 0 for what is no quantity."""
    found = _QUANTITY.match(str(text))
    if found is None:
        return 0.0
    number, unit = float(found[1]), found[2] or ""
    return number * (10.0 ** int(unit[1:]) if unit[:1] == "e" else _UNITS.get(unit, 1.0))
