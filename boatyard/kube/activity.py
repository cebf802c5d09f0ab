"""Evidence of use: do people run something here, and when did one of them last change anything?

Reads metadata only, so no Secret's content ever leaves the API server. Objects that controllers made or touched say
nothing about people; whoever is not known as a controller counts as a person, so that in doubt a cluster is in use.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from boatyard.errors import BoatyardError
from boatyard.kube.client import ApiNotFound, Client
from boatyard.plan.upkeep import Usage

Json = Mapping[str, Any]

_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PODS = "/api/v1/pods"
_KINDS = {
    "Namespace": "/api/v1/namespaces",
    "Deployment": "/apis/apps/v1/deployments",
    "StatefulSet": "/apis/apps/v1/statefulsets",
    "DaemonSet": "/apis/apps/v1/daemonsets",
    "Job": "/apis/batch/v1/jobs",
    "CronJob": "/apis/batch/v1/cronjobs",
    "ConfigMap": "/api/v1/configmaps",
    "Secret": "/api/v1/secrets",
    "Service": "/api/v1/services",
    "PersistentVolumeClaim": "/api/v1/persistentvolumeclaims",
    "Ingress": "/apis/networking.k8s.io/v1/ingresses",
}

_SYSTEM = re.compile(r"kube-.*|boatyard-system")
"""Namespaces where nobody's work lives."""

_CONTROLLERS = re.compile(
    r"kube-.*|kubelet|kwok.*|boatyard.*|cloud-controller-manager|cluster-autoscaler|karpenter|coredns|metrics-server"
    r"|vpa-.*|vertical-pod-autoscaler.*|keda.*|external-dns|external-secrets|cert-manager.*|cainjector|konnectivity.*"
    r"|.*-controller|.*-controller-manager|.*-operator|.*-csi-.*|csi-.*|eks|gke-.*|aks.*|k3s|rke2|descheduler"
)
"""Field managers that are programs of the cluster, by name."""


@dataclass(frozen=True)
class _Write:
    at: datetime
    text: str


def is_user_namespace(name: str) -> bool:
    """False for the namespaces of Kubernetes and of Boatyard itself."""
    return not _SYSTEM.fullmatch(name)


def is_controller(manager: str) -> bool:
    """True for a field manager known as a program of the cluster, not a person or a person's tool."""
    return bool(_CONTROLLERS.fullmatch(manager))


def usage(client: Client, now: datetime) -> Usage:
    """What can be seen of use, read at `now`. Never raises for a cluster that does not answer: then not conclusive.

    A user's pod that has not finished is use now. Else the newest write by a person counts.
    """
    with ThreadPoolExecutor(6, "activity") as pool:
        pods = pool.submit(_user_pods, client)
        writes = {kind: pool.submit(_last_write, client, kind, path) for kind, path in _KINDS.items()}
    futures: dict[str, Future[Any]] = {"Pod": pods, **writes}
    failed = {name: error for name, future in futures.items() if (error := future.exception())}
    for error in failed.values():
        if not isinstance(error, BoatyardError):
            raise error
    running = [] if "Pod" in failed else pods.result()
    if running:
        rest = f" and {len(running) - 1} more" if len(running) > 1 else ""
        return Usage(now, f"user pod {running[0]}{rest}", True)
    found = [write for kind, future in writes.items() if kind not in failed and (write := future.result())]
    last = max(found, key=lambda write: write.at, default=None)
    seen = f"no user pods; {last.text}" if last else "no user pods and no writes by people"
    if failed:
        kind, error = next(iter(failed.items()))
        return Usage(last.at if last else None, f"not everything could be read, {kind} for one: {error}", False)
    return Usage(last.at if last else None, seen, True)


def _user_pods(client: Client) -> list[str]:
    """Pods of users that have not finished, by name."""
    unfinished = "status.phase!=Succeeded,status.phase!=Failed"
    names = (item["metadata"] for item in _metadata(client, _PODS, fieldSelector=unfinished))
    return sorted(f"{meta['namespace']}/{meta['name']}" for meta in names if is_user_namespace(meta["namespace"]))


def _last_write(client: Client, kind: str, path: str) -> _Write | None:
    try:
        items = list(_metadata(client, path))
    except ApiNotFound:  # this server does not have the kind
        return None
    return newest_write(kind, items)


def newest_write(kind: str, items: Iterable[Json]) -> _Write | None:
    """The newest change by a person among objects of one kind, in users' namespaces."""
    found = [write for item in items if (write := _written(kind, item["metadata"]))]
    return max(found, key=lambda write: write.at, default=None)


def _written(kind: str, meta: Json) -> _Write | None:
    place = meta.get("namespace") or (meta["name"] if kind == "Namespace" else "")
    if not is_user_namespace(place):
        return None
    name = f"{kind} {meta['namespace']}/{meta['name']}" if meta.get("namespace") else f"{kind} {meta['name']}"
    entries = meta.get("managedFields") or []
    people = [
        entry for entry in entries if entry.get("subresource") != "status" and not is_controller(entry["manager"])
    ]
    times = [(_time(entry["time"]), entry["manager"]) for entry in people if entry.get("time")]
    if times:
        at, manager = max(times)
        return _Write(at, f"{name} was written by {manager}")
    owned = any(owner.get("controller") for owner in meta.get("ownerReferences") or ())
    if people or not (entries or owned):  # nobody noted a time, or somebody dropped the notes
        return _Write(_time(meta["creationTimestamp"]), f"{name} was created")
    return None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _metadata(client: Client, path: str, **params: Any) -> Iterator[Json]:
    """Metadata of every object of a collection, in chunks."""
    query: dict[str, Any] = {"limit": 500, **params}
    while True:
        page = client.raw("GET", path, params=query, accept=_METADATA).json()
        yield from page.get("items") or ()
        token = (page.get("metadata") or {}).get("continue")
        if not token:
            return
        query["continue"] = token
