"""Small documents for the preflight's checks, and one pass made of them."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from boatyard.kube.discovery import Resource
from boatyard.kube.preflight.owners import Owners
from boatyard.kube.preflight.seen import BUDGETS, NODES, PODS, Seen
from boatyard.versions import Minor

Json = dict[str, Any]

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def ago(**span: float) -> str:
    return (NOW - timedelta(**span)).isoformat().replace("+00:00", "Z")


def thing(api_version: str, kind: str, name: str, namespace: str = "shop", **rest: Any) -> Json:
    """Any object. `meta`: more metadata."""
    meta = {"name": name, "uid": f"{kind}-{name}", "creationTimestamp": ago(days=1), **rest.pop("meta", {})}
    if namespace:
        meta["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **rest}


def owned(by: Json) -> Json:
    """Metadata of something that `by` controls."""
    reference = {"apiVersion": by["apiVersion"], "kind": by["kind"], "name": by["metadata"]["name"]}
    return {"ownerReferences": [{**reference, "uid": by["metadata"]["uid"], "controller": True}]}


def pod(name: str, *, node: str = "n1", ready: bool = True, phase: str = "Running", **rest: Any) -> Json:
    """spec: more of it. meta: more metadata. requests: of its one container. image: its container's."""
    container = {
        "name": "main",
        "image": rest.pop("image", "pause"),
        "resources": {"requests": rest.pop("requests", {})},
    }
    spec = {"nodeName": node, "containers": [container], **rest.pop("spec", {})}
    status = {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]}
    return thing("v1", "Pod", name, rest.pop("namespace", "shop"), spec=spec, status=rest.pop("status", status), **rest)


def node(name: str, *, ready: str = "True", kubelet: str = "v1.34.1", cpu: str = "4", **rest: Any) -> Json:
    """conditions: more of them. spec, meta: more."""
    conditions = [{"type": "Ready", "status": ready, "message": "as it says"}, *rest.pop("conditions", [])]
    allocatable = {"cpu": cpu, "memory": "8Gi", "pods": "10"}
    status = {"conditions": conditions, "nodeInfo": {"kubeletVersion": kubelet}, "allocatable": allocatable}
    return thing("v1", "Node", name, "", spec=rest.pop("spec", {}), status=status, **rest)


def served(*kinds: str) -> tuple[Resource, ...]:
    """`group/version Kind plural`, preferred version first."""
    found = []
    for text in kinds:
        api_version, kind, plural = text.split()
        group, _, version = api_version.rpartition("/")
        found.append(Resource(group, version, kind, plural, kind != "FlowSchema", frozenset({"list"})))
    return tuple(found)


def scene(*documents: Json, current: str = "1.34", target: str = "1.35", **rest: Any) -> tuple[Seen, Owners]:
    """What a pass over these objects gives; kinds that checks ask for count as read, also when there is none."""
    kinds: dict[tuple[str, str], list[Json]] = defaultdict(list)
    read = rest.pop("read", (PODS, NODES, BUDGETS, ("", "Service"), ("discovery.k8s.io", "EndpointSlice")))
    kinds.update({each: [] for each in read})
    for document in documents:
        group = document["apiVersion"].rpartition("/")[0]
        kinds[group, document["kind"]].append(document)
    seen = Seen(NOW, Minor.parse(current), Minor.parse(target), dict(kinds), **rest)
    return seen, Owners(documents)
