"""Pods by what they belong to, so that a cluster and its twin can be compared although their pods have other names."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Place = tuple[str, str]
"""Namespace and name."""

STANDS_IN = "boatyard.dev/stands-in-for"
"""On a ReplicaSet of the twin that keeps a pod whose own controller does not run there: that controller's name."""
_BY_SCHEDULE = {"Job", "CronJob"}


@dataclass
class Census:
    """How many pods each workload has on nodes, how many of them are not ready, and how many no node takes."""

    bound: Counter[str] = field(default_factory=Counter)
    unready: Counter[str] = field(default_factory=Counter)
    pending: Counter[str] = field(default_factory=Counter)


def controller(item: Json) -> Json | None:
    """The owner that would make the object anew."""
    return next((ref for ref in item["metadata"].get("ownerReferences") or () if ref.get("controller")), None)


def place(item: Json) -> Place:
    return item["metadata"].get("namespace") or "", item["metadata"]["name"]


def workload(pod: Json, replica_sets: Mapping[Place, Json]) -> str:
    """`Deployment shop/web`; the pod itself where nothing would bring it back."""
    namespace, name = place(pod)
    owner = controller(pod)
    if owner is None:
        return f"Pod {namespace}/{name}"
    if owner["kind"] == "ReplicaSet" and (known := replica_sets.get((namespace, owner["name"]))) is not None:
        if stands_for := (known["metadata"].get("annotations") or {}).get(STANDS_IN):
            return str(stands_for)
        owner = controller(known) or owner
    return f"{owner['kind']} {namespace}/{owner['name']}"


def alive(pod: Json) -> bool:
    """Neither finished nor on its way out."""
    phase = (pod.get("status") or {}).get("phase")
    return phase not in ("Succeeded", "Failed") and not pod["metadata"].get("deletionTimestamp")


def ready(pod: Json) -> bool:
    """Does the pod count as healthy?"""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def unschedulable(pod: Json) -> str | None:
    """Why no node takes the pod, in the scheduler's words; None when one has, or nobody has tried yet."""
    if (pod.get("spec") or {}).get("nodeName"):
        return None
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason") or "no reason given")
    return None


def census(pods: Iterable[Json], replica_sets: Mapping[Place, Json]) -> Census:
    """Of what is meant to run on: pods of jobs come and go by themselves."""
    found = Census()
    for pod in pods:
        owner = controller(pod)
        if not alive(pod) or (owner is not None and owner["kind"] in _BY_SCHEDULE):
            continue
        name = workload(pod, replica_sets)
        if not (pod.get("spec") or {}).get("nodeName"):
            found.pending[name] += 1
            continue
        found.bound[name] += 1
        if not ready(pod):
            found.unready[name] += 1
    return found
