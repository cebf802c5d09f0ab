"""API objects for tests, as short as they may be."""

from typing import Any

Json = dict[str, Any]


def obj(kind: str, name: str, namespace: str = "team", *, api: str = "v1", owner: str = "", **more: Any) -> Json:
    """owner: the kind of its controller; it is called like the object."""
    metadata: Json = {"name": name, "uid": f"uid-{kind}-{name}", **({"namespace": namespace} if namespace else {})}
    if owner:
        metadata["ownerReferences"] = [
            {"apiVersion": "x/v1", "kind": owner, "name": name, "uid": "u", "controller": True}
        ]
    metadata |= more.pop("metadata", {})
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **more}


def pod(name: str, *, node: str = "n1", owner: str = "", ready: bool = True, **labels: str) -> Json:
    conditions = [{"type": "Ready", "status": str(ready)}]
    spec = {"containers": [{"name": "main", "image": "x"}], **({"nodeName": node} if node else {})}
    status = {"phase": "Running" if node else "Pending", "conditions": conditions}
    return obj("Pod", name, owner=owner, metadata={"labels": labels}, spec=spec, status=status)


def unscheduled(name: str, why: str, **labels: str) -> Json:
    made = pod(name, node="", **labels)
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}
    made["status"]["conditions"] = [condition]
    return made


def budget(name: str, *, allowed: int, healthy: int, desired: int, expected: int, version: str = "1") -> Json:
    status = {
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "observedGeneration": 1,
    }
    return obj(
        "PodDisruptionBudget",
        name,
        api="policy/v1",
        metadata={"generation": 1, "resourceVersion": version},
        spec={"minAvailable": desired, "selector": {"matchLabels": {"app": name}}},
        status=status,
    )
