"""Node objects: how one is made from its pool, and what can be read back from it. Pure."""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from boatyard.drivers.kwok import sizes
from boatyard.drivers.kwok.state import PoolRecord
from boatyard.kube.nodes import annotation as annotation
from boatyard.kube.nodes import cordoned as cordoned
from boatyard.kube.nodes import name_of as name_of
from boatyard.kube.nodes import parse_taint as parse_taint
from boatyard.kube.nodes import taint_text as taint_text

Json = dict[str, Any]

NODES = "/api/v1/nodes"
POOL = "boatyard.dev/pool"
CAPACITY_TYPE = "boatyard.dev/capacity-type"
OUR_LABELS = "boatyard.dev/labels"
OUR_TAINTS = "boatyard.dev/taints"
REPLACES = "boatyard.dev/replaces"
"""On a node made for an upgrade: the UID of the node it stands in for. While that one lives, this one is surplus."""
OUTDATED = "boatyard.dev/outdated"
CORDONED = "boatyard.dev/cordoned-for"
SIZE = "node.kubernetes.io/instance-type"
HOSTNAME = "kubernetes.io/hostname"
ZONES = ("local-a", "local-b", "local-c")

_NOT_READY = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def build(cluster: str, pool: str, record: PoolRecord, name: str, number: int, *, replaces: str = "") -> Json:
    """A whole Node, status included, as a kubelet would register it."""
    capacity = sizes.capacity(record.size)
    annotations = {"kwok.x-k8s.io/node": "fake", **ownership(record.labels, record.taints)}
    if replaces:
        annotations[REPLACES] = replaces
    labels = {
        **record.labels,
        POOL: pool,
        CAPACITY_TYPE: "spot" if record.spot else "on-demand",
        HOSTNAME: name,
        SIZE: record.size,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/region": "local",
        "topology.kubernetes.io/zone": ZONES[number % len(ZONES)],
    }
    info = dict.fromkeys(("bootID", "machineID", "systemUUID"), name) | {
        "architecture": "amd64",
        "containerRuntimeVersion": "kwok://0.8.0",
        "kernelVersion": "kwok",
        "kubeProxyVersion": f"v{record.version}.0",
        "kubeletVersion": f"v{record.version}.0",
        "operatingSystem": "linux",
        "osImage": "KWOK",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": {"providerID": f"kwok://{cluster}/{name}", "taints": [parse_taint(text) for text in record.taints]},
        "status": {"capacity": capacity, "allocatable": capacity, "nodeInfo": info},
    }


def ownership(labels: Collection[str], taints: Iterable[str]) -> dict[str, str]:
    """The annotations that remember which labels and taints are ours to change; all others are somebody else's."""
    return {OUR_LABELS: ",".join(sorted(labels)), OUR_TAINTS: ",".join(sorted(taints))}


def names(pool: str, existing: Collection[str]) -> Iterator[tuple[int, str]]:
    """(number, name) of nodes to come, above all that exist. Short enough for a label, whatever the pool is called."""
    prefix = pool if len(pool) <= 56 else f"{pool[:49]}{hashlib.sha256(pool.encode()).hexdigest()[:7]}"
    numbers = (name.removeprefix(f"{prefix}-") for name in existing if name.startswith(f"{prefix}-"))
    number = max((int(text) for text in numbers if text.isdecimal()), default=0)
    while True:
        number += 1
        if (name := f"{prefix}-{number:03d}") not in existing:
            yield number, name


def uid_of(node: Json) -> str:
    return str(node["metadata"]["uid"])


def pool_of(node: Json) -> str:
    return str((node["metadata"].get("labels") or {}).get(POOL) or "")


def size_of(node: Json) -> str:
    return str((node["metadata"].get("labels") or {}).get(SIZE) or "")


def is_spot(node: Json) -> bool:
    return (node["metadata"].get("labels") or {}).get(CAPACITY_TYPE) == "spot"


def standing_in(members: Collection[Json]) -> list[Json]:
    """Nodes that were made in place of others which are still there."""
    living = {uid_of(node) for node in members}
    return [node for node in members if annotation(node, REPLACES) in living]


def version_of(node: Json) -> str:
    """The kubelet's minor."""
    return ".".join(str(node["status"]["nodeInfo"]["kubeletVersion"]).removeprefix("v").split(".")[:2])


def ready(node: Json) -> bool:
    """Ready, and the node controller has taken its not-ready taints off, so that pods can come."""
    conditions = (node.get("status") or {}).get("conditions") or []
    is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return is_ready and not any(taint["key"] in _NOT_READY for taint in node["spec"].get("taints") or [])


def our_labels(node: Json) -> dict[str, str]:
    """Labels that the pool gave this node."""
    labels = node["metadata"].get("labels") or {}
    return {key: labels[key] for key in annotation(node, OUR_LABELS).split(",") if key in labels}


def our_taints(node: Json) -> tuple[str, ...]:
    """Taints that the pool gave this node."""
    present = {taint_text(taint) for taint in node["spec"].get("taints") or []}
    return tuple(text for text in annotation(node, OUR_TAINTS).split(",") if text in present)


def configured(node: Json, record: PoolRecord) -> bool:
    """Are the labels and taints that the pool gives exactly those on the node?"""
    return our_labels(node) == dict(record.labels) and set(our_taints(node)) == set(record.taints)


def configuration(node: Json, record: PoolRecord) -> Json:
    """The merge patch that makes the pool's labels and taints so, and keeps everybody else's."""
    labels: dict[str, str | None] = {key: None for key in annotation(node, OUR_LABELS).split(",") if key}
    labels |= dict(record.labels)
    ours = set(annotation(node, OUR_TAINTS).split(","))
    foreign = [taint for taint in node["spec"].get("taints") or [] if taint_text(taint) not in ours]
    wanted = [parse_taint(text) for text in record.taints]
    replaced = {(taint["key"], taint["effect"]) for taint in wanted}
    kept = [taint for taint in foreign if (taint["key"], taint["effect"]) not in replaced]
    return {
        "metadata": {
            "resourceVersion": node["metadata"]["resourceVersion"],
            "labels": labels,
            "annotations": ownership(record.labels, record.taints),
        },
        "spec": {"taints": kept + wanted},
    }
