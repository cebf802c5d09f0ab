"""A cluster's objects as one file: gzip of JSON lines, a header first, then an object a line.

Not etcd's own snapshot: that one carries nodes, leases and the identity of the old cluster, and can only be put back
into a stopped one. Objects can be read, compared, and brought back into any running cluster, also a newer one.
"""

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from boatyard.drivers.base import Env
from boatyard.drivers.kwok.state import write_atomically
from boatyard.errors import InvalidSpec
from boatyard.kube.client import ApiNotFound, Client
from boatyard.kube.discovery import Resource

Json = dict[str, Any]

FORMAT = "boatyard/snapshot-v1"

_NOT_KEPT = {
    ("", "Event"),
    ("events.k8s.io", "Event"),
    ("", "Node"),  # machines are the pools' business
    ("storage.k8s.io", "CSINode"),
    ("storage.k8s.io", "VolumeAttachment"),
    ("storage.k8s.io", "CSIStorageCapacity"),
    ("coordination.k8s.io", "Lease"),
    ("coordination.k8s.io", "LeaseCandidate"),
    ("networking.k8s.io", "IPAddress"),  # follow the Services
    ("resource.k8s.io", "ResourceSlice"),
    ("metrics.k8s.io", "NodeMetrics"),
    ("metrics.k8s.io", "PodMetrics"),
}
_NEEDED = {"list", "create", "patch"}


def take(client: Client, to: Path, *, cluster: str, env: Env) -> None:
    """Write every object worth keeping to `to`, atomically, mode 0600: it holds Secrets."""
    found = sorted(export(client), key=_order)
    version = client.version()
    header = {
        "format": FORMAT,
        "cluster": cluster,
        "taken": env.clock.now().isoformat(),
        "version": version.get("gitVersion", ""),
        "objects": len(found),
    }
    write_atomically(to, _pack([header, *found]))
    env.report(f"{cluster}: {len(found)} objects written to {to}")


def read(source: Path) -> list[Json]:
    """The objects of a snapshot. `InvalidSpec` when the file is not one, is cut short or damaged."""
    try:
        with gzip.open(source, "rt", encoding="utf-8") as file:
            header = json.loads(file.readline())
            if not isinstance(header, dict) or header.get("format") != FORMAT:
                raise InvalidSpec([f"{source}: not a Boatyard snapshot (its first line does not name {FORMAT})."])
            objects = [json.loads(line) for line in file]
    except FileNotFoundError:
        raise InvalidSpec([f"{source}: there is no such file."]) from None
    except (OSError, EOFError, ValueError) as error:
        raise InvalidSpec([f"{source}: not a Boatyard snapshot, or a damaged one ({error})."]) from None
    whole = all(isinstance(each, dict) and each.get("kind") and each.get("metadata") for each in objects)
    if len(objects) != header.get("objects") or not whole:
        raise InvalidSpec([f"{source}: has {len(objects)} objects, its header promises {header.get('objects')}."])
    return objects


def export(client: Client) -> Iterator[Json]:
    """Every object that somebody made, in each kind's preferred version; what controllers make anew is left out."""
    with ThreadPoolExecutor(8) as threads:
        kinds = _kept_kinds(client.discovery.all())
        lists = list(threads.map(lambda resource: _list(client, resource), kinds))
    services = {
        _place(item) for group in lists for item in group if item["kind"] == "Service" and item["spec"].get("selector")
    }
    for resource, group in zip(kinds, lists, strict=True):
        controlled = "status" in resource.subresources
        yield from (bare(item, controlled) for item in group if not _ephemeral(item, services))


def key(item: Json) -> tuple[str, str, str, str]:
    """Group, kind, namespace, name: the same object in whichever version."""
    return (item["apiVersion"].rpartition("/")[0], item["kind"], *_place(item))


def _kept_kinds(resources: Iterable[Resource]) -> list[Resource]:
    """One version a kind: the preferred one, which comes first."""
    kinds: dict[tuple[str, str], Resource] = {}
    for resource in resources:
        kind = (resource.group, resource.kind)
        if resource.verbs >= _NEEDED and kind not in _NOT_KEPT:
            kinds.setdefault(kind, resource)
    return list(kinds.values())


def _list(client: Client, resource: Resource) -> list[Json]:
    try:
        return client.list(resource.path())
    except ApiNotFound:
        return []  # a custom resource whose definition has just gone


def _ephemeral(item: Json, services: set[tuple[str, str]]) -> bool:
    """Would a controller make it again by itself? Then a copy is only in its way."""
    metadata = item["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if metadata.get("deletionTimestamp"):
        return True
    match item["kind"]:
        case "Pod" | "Job":
            return _controlled(item) or _finished(item)
        case "ConfigMap":
            return bool(metadata["name"] == "kube-root-ca.crt")
        case "Secret":
            return item.get("type") == "bootstrap.kubernetes.io/token"
        case "EndpointSlice":
            manager = labels.get("endpointslice.kubernetes.io/managed-by", "")
            return str(manager).endswith("controller.k8s.io")
        case "Endpoints":
            return _place(item) in services or "endpoints.kubernetes.io/managed-by" in labels
        case "APIService":
            return "kube-aggregator.kubernetes.io/automanaged" in labels
        case "FlowSchema" | "PriorityLevelConfiguration":
            return annotations.get("apf.kubernetes.io/autoupdate-spec") == "true"
        case "ClusterRole" | "ClusterRoleBinding" | "Role" | "RoleBinding":
            return labels.get("kubernetes.io/bootstrapping") == "rbac-defaults"
        case _:
            return False


def _controlled(item: Json) -> bool:
    return any(owner.get("controller") for owner in item["metadata"].get("ownerReferences") or [])


def _finished(item: Json) -> bool:
    """Bringing back a Job or Pod that is done would run it a second time."""
    status = item.get("status") or {}
    done = any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in status.get("conditions") or [])
    return done or status.get("phase") in ("Succeeded", "Failed")


def bare(item: Json, has_controlled_status: bool) -> Json:
    """Without what servers and controllers write. The UID stays: owner references are found by it."""
    metadata = {k: v for k, v in item["metadata"].items() if k not in ("resourceVersion", "generation", "selfLink")}
    managed = [entry for entry in metadata.pop("managedFields", None) or [] if not entry.get("subresource")]
    if managed:
        metadata["managedFields"] = managed
    kept = {k: v for k, v in item.items() if k != "status" or not has_controlled_status}
    return kept | {"metadata": metadata}


def _place(item: Json) -> tuple[str, str]:
    return item["metadata"].get("namespace") or "", item["metadata"]["name"]


def _order(item: Json) -> tuple[str, ...]:
    return key(item)


def _pack(lines: Iterable[Json]) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
        for line in lines:
            file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
    return buffer.getvalue()
