"""What is read from Node and Pod objects of a kOps cluster. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from boatyard.kube.health import node_ready
from boatyard.kube.nodes import annotation as annotation
from boatyard.kube.nodes import cordoned as cordoned
from boatyard.kube.nodes import name_of as name_of
from boatyard.kube.nodes import parse_taint as parse_taint
from boatyard.kube.nodes import taint_text as taint_text

Json = dict[str, Any]

NODES = "/api/v1/nodes"
SYSTEM_PODS = "/api/v1/namespaces/kube-system/pods"
GROUP = "kops.k8s.io/instancegroup"
POOL = "boatyard.dev/pool"
CORDONED = "boatyard.dev/cordoned-for"
STATIC = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""Static pods that each control-plane node must have, as `kops validate` asks for them."""

_NOT_READY = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def instance_of(node: Json) -> str:
    """The instance it runs on: the end of `aws:///eu-central-1a/i-0123`, else its name, which kOps takes from there."""
    return str(node.get("spec", {}).get("providerID") or "").rpartition("/")[2] or name_of(node)


def labels_of(node: Json) -> Mapping[str, str]:
    return node["metadata"].get("labels") or {}


def group_of(node: Json) -> str:
    return labels_of(node).get(GROUP, "")


def version_of(node: Json) -> str:
    """The kubelet's, like 1.35.5."""
    return str(node["status"]["nodeInfo"]["kubeletVersion"]).removeprefix("v")


def ready(node: Json) -> bool:
    """Ready, and the node controller has taken its not-ready taints off, so that pods can come."""
    return node_ready(node) and not any(taint["key"] in _NOT_READY for taint in node["spec"].get("taints") or [])


def ready_since(node: Json) -> tuple[bool, datetime]:
    """Does its kubelet say that it is Ready, and since when it has or has not."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    told: Json = next((each for each in conditions if each["type"] == "Ready"), {})
    since = told.get("lastTransitionTime") or node["metadata"]["creationTimestamp"]
    return told.get("status") == "True", datetime.fromisoformat(since)


def pool_labels(group: Json) -> dict[str, str]:
    """Labels that the group's document gives its nodes, without kOps' and Boatyard's own."""
    given = group.get("spec", {}).get("nodeLabels") or {}
    return {
        key: str(value) for key, value in given.items() if key != POOL and not key.split("/")[0].endswith("kops.k8s.io")
    }


def pool_taints(group: Json) -> tuple[str, ...]:
    return tuple(str(text) for text in group.get("spec", {}).get("taints") or ())


def labels_seen(node: Json, group: Json) -> dict[str, str]:
    """Of the labels that its group gives, those the node has, as it has them."""
    have = labels_of(node)
    return {key: have[key] for key in pool_labels(group) if key in have}


def taints_seen(node: Json, group: Json) -> tuple[str, ...]:
    have = {taint_text(taint) for taint in node["spec"].get("taints") or []}
    return tuple(text for text in pool_taints(group) if text in have)


def static_pods_missing(node: Json, pods: Iterable[Json]) -> list[str]:
    """Parts of the control plane that do not run, or are not Ready, on this node; etcd's too where they are seen."""
    name = name_of(node)
    here = [pod for pod in pods if (pod.get("spec") or {}).get("nodeName") == name]
    found = {str((pod["metadata"].get("labels") or {}).get("k8s-app") or ""): _pod_ready(pod) for pod in here}
    etcd = sorted(part for part, well in found.items() if part.startswith("etcd-manager") and not well)
    return [part for part in STATIC if not found.get(part)] + etcd


def _pod_ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
