"""Which of a cluster's objects go onto a twin, and in what form. Pure."""

import copy
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from boatyard.drivers.kwok.restore import prepared
from boatyard.kube.objects import CRD, Ref
from boatyard.sandbox.rehearsal.workloads import STANDS_IN, Place, controller, workload

Json = dict[str, Any]

SERVERS_OWN = {
    ("apiregistration.k8s.io", "APIService"),  # what serves them does not run there
    ("certificates.k8s.io", "CertificateSigningRequest"),
    ("internal.apiserver.k8s.io", "StorageVersion"),
}
_CONTROLLERS = {"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicationController"}
"""Kinds whose controllers run on the twin: what they own they make there anew."""
KUBERNETES = {
    *("admissionregistration.k8s.io", "apiextensions.k8s.io", "apps", "authentication.k8s.io", "authorization.k8s.io"),
    *("autoscaling", "batch", "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io"),
    *("flowcontrol.apiserver.k8s.io", "internal.apiserver.k8s.io", "networking.k8s.io", "node.k8s.io", "policy"),
    *("rbac.authorization.k8s.io", "resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io", "storagemigration.k8s.io"),
}
"""Groups that a Kubernetes 1.33 to 1.36 API server knows; told to serve another one, it does not start."""
_MEMBER = "boatyard.dev/stands-in"
_NOBODY = {"matchExpressions": [{"key": "boatyard.dev/rehearsed-webhook", "operator": "Exists"}]}
_HOOKS = {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"}


def made_anew(item: Json) -> bool:
    """Would a controller of the twin, or its server, make the object by itself?"""
    ref = Ref.of(item)
    if ref.type in SERVERS_OWN or (ref.kind, ref.name) == ("ServiceCIDR", "kubernetes"):
        return True
    if (ref.namespace, ref.name) == ("default", "kubernetes") and ref.kind in ("Service", "Endpoints", "EndpointSlice"):
        return True
    owner = controller(item)
    claim = ref.kind == "PersistentVolumeClaim"  # of a StatefulSet: it holds the volume that is there
    return owner is not None and owner["kind"] in _CONTROLLERS and not claim


def stranded(pod: Json) -> bool:
    """Is the pod's controller one that does not run on a twin: an operator, by a custom resource?"""
    owner = controller(pod)
    return owner is not None and owner["kind"] not in _CONTROLLERS and owner["kind"] != "Node"


def for_twin(item: Json) -> Json:
    """What to send: without the cluster's own identities and bindings, and nothing in it that calls out."""
    wanted = prepared(item, [])
    for field in ("finalizers", "managedFields", "resourceVersion", "generation", "selfLink"):
        wanted["metadata"].pop(field, None)  # whoever finishes what a finalizer waits for does not run there
    if change := _CHANGES.get(wanted["kind"]):
        change(wanted)
    return wanted


def stand_in(pod: Json, replica_sets: Mapping[Place, Json]) -> Json:
    """A ReplicaSet of one that brings the pod back as its own controller would, with its labels, so that budgets and
    services find it."""
    wanted = for_twin(pod)
    namespace, name = wanted["metadata"]["namespace"], wanted["metadata"]["name"]
    member = {_MEMBER: hashlib.sha256(f"{namespace}/{name}".encode()).hexdigest()[:16]}
    spec = wanted["spec"] | {"restartPolicy": "Always"}
    spec.pop("activeDeadlineSeconds", None)
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name[:50]}-{member[_MEMBER][:8]}",
            "namespace": namespace,
            "annotations": {STANDS_IN: workload(pod, replica_sets)},
        },
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": member},
            "template": {"metadata": {"labels": (wanted["metadata"].get("labels") or {}) | member}, "spec": spec},
        },
    }


def beta_apis(api_versions: Iterable[str], custom: Iterable[str]) -> dict[str, bool]:
    """What the twin's server has to serve beside its usual APIs. custom: groups that CustomResourceDefinitions define
    or other servers serve."""
    foreign = set(custom)
    return {
        api: True
        for api in api_versions
        if ("beta" in api or "alpha" in api) and api.partition("/")[0] in KUBERNETES - foreign
    }


def groups_of(objects: Iterable[Json]) -> set[str]:
    """Groups that CustomResourceDefinitions among the objects define."""
    return {str(item["spec"]["group"]) for item in objects if Ref.of(item).type == CRD}


def _pod(pod: Json) -> None:
    pod["spec"].pop("ephemeralContainers", None)


def _service(service: Json) -> None:
    """Addresses are the twin's to give; a headless one stays so."""
    spec = service["spec"]
    headless = spec.get("clusterIP") == "None"
    for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"):
        spec.pop(field, None)
    if headless:
        spec["clusterIP"] = "None"


def _cron_job(job: Json) -> None:
    """What it starts is not part of the upgrade."""
    job["spec"]["suspend"] = True


def _hooks(configuration: Json) -> None:
    """Loaded, so that the new version has its say on them, but called for nothing: their endpoints are elsewhere."""
    for hook in configuration.get("webhooks") or ():
        hook["failurePolicy"] = "Ignore"
        hook["objectSelector"] = copy.deepcopy(_NOBODY)


def _definition(definition: Json) -> None:
    """Versions are converted by their names only; the webhook that could do more is elsewhere."""
    if (definition["spec"].get("conversion") or {}).get("strategy") == "Webhook":
        definition["spec"]["conversion"] = {"strategy": "None"}
    definition.pop("status", None)


_CHANGES: dict[str, Callable[[Json], None]] = {
    "Pod": _pod,
    "Service": _service,
    "CronJob": _cron_job,
    "CustomResourceDefinition": _definition,
    **dict.fromkeys(_HOOKS, _hooks),
}
