"""What an eviction depends on, as pure functions: which pods must leave a node, and what their budgets allow.

The rules are the API server's own (pkg/registry/core/pod/storage/eviction.go), so that a refusal is the exception.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]
Key = tuple[str, str]
"""Namespace and name."""

_MIRROR = "kubernetes.io/config.mirror"
_FINISHED = ("Succeeded", "Failed")


@dataclass
class Pod:
    """The part of a pod that draining needs."""

    uid: str
    namespace: str
    name: str
    node: str
    labels: Json
    phase: str
    ready: bool
    terminating: bool
    controller: str | None
    """Kind of the owner that would make a new one; None for a bare pod."""
    mirror: bool

    @property
    def finished(self) -> bool:
        return self.phase in _FINISHED

    @property
    def stays(self) -> bool:
        """True for pods that a drain leaves alone: DaemonSet, mirror and finished ones."""
        return self.controller == "DaemonSet" or self.mirror or self.finished

    @property
    def free(self) -> bool:
        """True when the server ignores budgets for it: it does not run yet, or not any more."""
        return self.phase == "Pending" or self.finished or self.terminating

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass
class Budget:
    """The part of a PodDisruptionBudget that draining needs."""

    namespace: str
    name: str
    version: str
    selector: Json | None
    processed: bool
    """False while the controller has not yet seen the newest spec: the server then refuses."""
    allowed: int
    healthy: int
    desired: int
    expected: int
    always_allow_unready: bool
    spec: Json = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return self.namespace, self.name

    def covers(self, pod: Pod) -> bool:
        return pod.namespace == self.namespace and matches(self.selector, pod.labels)

    def admits(self, pod: Pod, spent: int = 0) -> bool:
        """Would the server let this pod go now, when `spent` disruptions are not in `allowed` yet?"""
        if pod.free:
            return True
        if not pod.ready:
            if self.always_allow_unready:
                return True
            if self.processed and self.healthy >= self.desired > 0:
                return True
        return self.processed and self.allowed - spent > 0

    @property
    def rule(self) -> str:
        """`minAvailable 2`."""
        rules = (f"{key} {self.spec[key]}" for key in ("minAvailable", "maxUnavailable") if key in self.spec)
        return next(rules, "no rule")

    def explain(self) -> str:
        """What it allows, for people."""
        text = f"PodDisruptionBudget {self.namespace}/{self.name} ({self.rule}) allows {self.allowed} disruptions"
        return f"{text}: {self.healthy} of {self.expected} pods healthy, {self.desired} must stay"


def read_pod(document: Json) -> Pod:
    """A Pod from its API document."""
    meta, status = document["metadata"], document.get("status") or {}
    owner = next((ref for ref in meta.get("ownerReferences") or () if ref.get("controller")), None)
    conditions = status.get("conditions") or ()
    return Pod(
        uid=meta["uid"],
        namespace=meta["namespace"],
        name=meta["name"],
        node=(document.get("spec") or {}).get("nodeName") or "",
        labels=meta.get("labels") or {},
        phase=status.get("phase") or "Pending",
        ready=any(c["type"] == "Ready" and c["status"] == "True" for c in conditions),
        terminating=bool(meta.get("deletionTimestamp")),
        controller=owner["kind"] if owner else None,
        mirror=_MIRROR in (meta.get("annotations") or {}),
    )


def read_budget(document: Json) -> Budget:
    """A Budget from its API document."""
    meta, spec, status = document["metadata"], document.get("spec") or {}, document.get("status") or {}
    return Budget(
        namespace=meta["namespace"],
        name=meta["name"],
        version=meta.get("resourceVersion", ""),
        selector=spec.get("selector"),
        processed=status.get("observedGeneration", 0) >= meta.get("generation", 0),
        allowed=status.get("disruptionsAllowed", 0),
        healthy=status.get("currentHealthy", 0),
        desired=status.get("desiredHealthy", 0),
        expected=status.get("expectedPods", 0),
        always_allow_unready=spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow",
        spec=spec,
    )


def matches(selector: Json | None, labels: Json) -> bool:
    """A label selector as policy/v1 reads it: none selects nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(rule, labels) for rule in selector.get("matchExpressions") or ())


def parse_selector(text: str) -> Json:
    """`tier=batch`, `tier` (has the label), or several of these joined by `,`, all of which must hold."""
    equal = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
    there = [{"key": part, "operator": "Exists"} for part in text.split(",") if "=" not in part]
    return {"matchLabels": equal, "matchExpressions": there}


def _expression(rule: Json, labels: Json) -> bool:
    key, values = rule["key"], rule.get("values") or ()
    match rule["operator"]:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False


def budgets_of(pod: Pod, budgets: Iterable[Budget]) -> list[Budget]:
    """Every budget that covers the pod, by name; more than one makes eviction impossible."""
    return sorted((budget for budget in budgets if budget.covers(pod)), key=lambda budget: budget.key)
