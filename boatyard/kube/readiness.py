"""When an object is ready: pure rules, one a kind, on the object alone. `wait_ready` (boatyard.kube.waiting) uses them.

The rules are those of `kubectl rollout status` where it has them, else of kstatus: the controller must have seen the
newest spec (`observedGeneration`), and what it reports must agree with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Status:
    """ready: done. waiting: it may become so. failed: it never will by itself. `reason` is for people."""

    state: Literal["ready", "waiting", "failed"]
    reason: str = ""

    def __bool__(self) -> bool:
        return self.state == "ready"


READY = Status("ready")


def _waiting(reason: str) -> Status:
    return Status("waiting", reason)


def _failed(reason: str) -> Status:
    return Status("failed", reason)


def status(document: Json) -> Status:
    """How far one object is. Kinds without a rule of their own are judged by their conditions, if they have any."""
    metadata = document.get("metadata") or {}
    if metadata.get("deletionTimestamp"):
        return _waiting("is being deleted")
    state = _mapping(document.get("status"))
    group = str(document.get("apiVersion", "")).rpartition("/")[0]
    rule = _RULES.get((group, str(document.get("kind"))))
    if rule is not None:
        return rule(document, document.get("spec") or {}, state)
    return _by_conditions(document, state)


def finished(document: Json) -> bool:
    """Has a Job or Pod done its work? So it has, whether or not it was deleted since."""
    if document.get("apiVersion") == "batch/v1" and document.get("kind") == "Job":
        return bool(condition(document, "Complete").get("status") == "True")
    pod = (document.get("apiVersion"), document.get("kind")) == ("v1", "Pod")
    return pod and (document.get("status") or {}).get("phase") == "Succeeded"


def never_waits(group: str, kind: str) -> bool:
    """True for kinds that are ready as soon as they exist, so that nobody need watch them."""
    return (group, kind) in _IMMEDIATE


def condition(document: Json, kind: str) -> Json:
    """The condition of that type, or an empty one."""
    conditions = _mapping(document.get("status")).get("conditions")
    if not isinstance(conditions, list):
        return {}
    return next((entry for entry in conditions if _mapping(entry).get("type") == kind), {})


def _mapping(value: Any) -> Json:
    """Custom resources may put anything into their status."""
    return value if isinstance(value, Mapping) else {}


def _seen(document: Json, state: Json) -> bool:
    return int(state.get("observedGeneration") or 0) >= int((document.get("metadata") or {}).get("generation") or 0)


_UNSEEN = _waiting("its controller has not seen the newest version yet")


def _deployment(document: Json, spec: Json, state: Json) -> Status:
    if not _seen(document, state):
        return _UNSEEN
    wanted = int(spec.get("replicas", 1))
    updated, available = int(state.get("updatedReplicas") or 0), int(state.get("availableReplicas") or 0)
    if spec.get("paused"):
        return READY
    if updated < wanted:
        return _waiting(f"{updated} of {wanted} pods updated")
    if int(state.get("replicas") or 0) > updated:
        return _waiting(f"{int(state['replicas']) - updated} old pods are still there")
    return READY if available >= wanted else _waiting(f"{available} of {wanted} pods available")


def _stateful_set(document: Json, spec: Json, state: Json) -> Status:
    if not _seen(document, state):
        return _UNSEEN
    wanted, ready = int(spec.get("replicas", 1)), int(state.get("readyReplicas") or 0)
    strategy = spec.get("updateStrategy") or {}
    if ready < wanted:
        return _waiting(f"{ready} of {wanted} pods ready")
    if strategy.get("type") == "OnDelete":
        return READY
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    updated = int(state.get("updatedReplicas") or 0)
    if updated < max(0, wanted - partition):
        return _waiting(f"{updated} of {max(0, wanted - partition)} pods updated")
    if not partition and state.get("updateRevision") != state.get("currentRevision"):
        return _waiting("the last pods are being updated")
    return READY


def _daemon_set(document: Json, spec: Json, state: Json) -> Status:
    if not _seen(document, state):
        return _UNSEEN
    wanted, available = int(state.get("desiredNumberScheduled") or 0), int(state.get("numberAvailable") or 0)
    updated = int(state.get("updatedNumberScheduled") or 0)
    if (spec.get("updateStrategy") or {}).get("type") != "OnDelete" and updated < wanted:
        return _waiting(f"{updated} of {wanted} pods updated")
    return READY if available >= wanted else _waiting(f"{available} of {wanted} pods available")


def _replicas(document: Json, spec: Json, state: Json) -> Status:
    if not _seen(document, state):
        return _UNSEEN
    wanted, available = int(spec.get("replicas", 1)), int(state.get("availableReplicas") or 0)
    return READY if available >= wanted else _waiting(f"{available} of {wanted} pods available")


def _pod(document: Json, spec: Json, state: Json) -> Status:
    phase = state.get("phase")
    if phase == "Succeeded":
        return READY
    if phase == "Failed":
        return _failed(state.get("message") or state.get("reason") or "its containers failed")
    if condition(document, "Ready").get("status") == "True":
        return READY
    unscheduled = condition(document, "PodScheduled")
    if unscheduled.get("status") == "False":
        return _waiting("it has no node yet")
    return _waiting("it runs but is not ready" if phase == "Running" else "its containers are starting")


def _job(document: Json, spec: Json, state: Json) -> Status:
    if condition(document, "Complete").get("status") == "True":
        return READY
    failure = condition(document, "Failed")
    if failure.get("status") == "True":
        return _failed(failure.get("message") or failure.get("reason") or "its pods failed")
    if spec.get("suspend"):
        return READY
    wanted = spec.get("completions")
    return _waiting(f"{state.get('succeeded') or 0} of {1 if wanted is None else wanted} completions")


def _service(document: Json, spec: Json, state: Json) -> Status:
    if spec.get("type") != "LoadBalancer" or (state.get("loadBalancer") or {}).get("ingress"):
        return READY
    return _waiting("no load balancer address yet")


def _claim(document: Json, spec: Json, state: Json) -> Status:
    phase = state.get("phase")
    if phase == "Lost":
        return _failed("its volume is lost")
    return READY if phase == "Bound" else _waiting("no volume is bound to it yet")


def _definition(document: Json, spec: Json, state: Json) -> Status:
    names = condition(document, "NamesAccepted")
    if names.get("status") == "False":
        return _failed(names.get("message") or "its names clash with another definition")
    return READY if condition(document, "Established").get("status") == "True" else _waiting("it is not served yet")


def _namespace(document: Json, spec: Json, state: Json) -> Status:
    return READY if state.get("phase") == "Active" else _waiting(f"it is {state.get('phase') or 'not active yet'}")


def _on(kind: str) -> Callable[[Json, Json, Json], Status]:
    """Ready when that condition is True."""

    def rule(document: Json, spec: Json, state: Json) -> Status:
        found = condition(document, kind)
        if found.get("status") == "True":
            return READY
        return _waiting(found.get("message") or found.get("reason") or f"not {kind} yet")

    return rule


def _by_conditions(document: Json, state: Json) -> Status:
    if isinstance(state.get("observedGeneration"), int) and not _seen(document, state):
        return _UNSEEN
    stalled = condition(document, "Stalled")
    if stalled.get("status") == "True":
        return _failed(stalled.get("message") or stalled.get("reason") or "its controller gave up")
    if condition(document, "Reconciling").get("status") == "True":
        return _waiting(condition(document, "Reconciling").get("message") or "its controller is at work")
    for kind in ("Ready", "Available"):
        if condition(document, kind):
            return _on(kind)(document, {}, state)
    return READY


_RULES: dict[tuple[str, str], Callable[[Json, Json, Json], Status]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replicas,
    ("", "ReplicationController"): _replicas,
    ("", "Pod"): _pod,
    ("batch", "Job"): _job,
    ("", "Service"): _service,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Namespace"): _namespace,
    ("", "Node"): _on("Ready"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apiregistration.k8s.io", "APIService"): _on("Available"),
}

_IMMEDIATE = frozenset(
    {("", kind) for kind in ("ConfigMap", "Secret", "ServiceAccount", "LimitRange", "ResourceQuota", "Endpoints")}
    | {("rbac.authorization.k8s.io", k) for k in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")}
    | {("networking.k8s.io", kind) for kind in ("Ingress", "IngressClass", "NetworkPolicy")}
    | {("admissionregistration.k8s.io", f"{kind}WebhookConfiguration") for kind in ("Mutating", "Validating")}
    | {("admissionregistration.k8s.io", f"ValidatingAdmissionPolicy{tail}") for tail in ("", "Binding")}
    | {("batch", "CronJob"), ("policy", "PodDisruptionBudget"), ("autoscaling", "HorizontalPodAutoscaler")}
    | {("scheduling.k8s.io", "PriorityClass"), ("node.k8s.io", "RuntimeClass"), ("storage.k8s.io", "StorageClass")}
    | {("discovery.k8s.io", "EndpointSlice"), ("coordination.k8s.io", "Lease")}
)
