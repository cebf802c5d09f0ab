"""Delete what is no longer wanted: only objects that carry our label, and nothing that holds somebody else's data."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from boatyard.clock import Deadline
from boatyard.errors import NotFound
from boatyard.kube.apply import Fence, Guard
from boatyard.kube.client import ApiConflict, ApiNotFound, Client
from boatyard.kube.objects import APP_LABEL, CRD, NAMESPACE, Ref, annotations, labels, served_path, wave
from boatyard.kube.waiting import wait_gone
from boatyard.words import some

Report = Callable[[str], None]

_WITH_DEPENDENTS = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "ReplicationController"}
_MADE_BY_CLUSTER = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
_NO_CONTENT = {"Event", "Endpoints", "EndpointSlice", "Lease", "PodMetrics"}
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PARALLEL = 16


@dataclass(frozen=True)
class Pruned:
    """deleted: gone now. kept: object → why it was left. held: those of `kept` that are ours, to be tried again."""

    deleted: tuple[Ref, ...] = ()
    kept: tuple[tuple[Ref, str], ...] = ()
    held: frozenset[Ref] = frozenset()


def prune(
    client: Client,
    app: str,
    refs: Iterable[Ref],
    *,
    deadline: Deadline,
    report: Report | None = None,
    fence: Fence | None = None,
) -> Pruned:
    """Delete those of `refs` that carry our label for `app`, and wait until they are gone.

    Left alone: objects of others, those annotated `helm.sh/resource-policy: keep`, namespaces that hold anything else,
    definitions of which others have objects. `DeadlineExceeded` names what does not go away, and its finalizers.
    """
    wanted = set(refs)
    guard = Guard(fence, deadline)
    deleted: list[Ref] = []
    kept: list[tuple[Ref, str]] = []
    held: set[Ref] = set()
    groups = {ref.name.partition(".")[2] for ref in wanted if ref.type == CRD}
    for number in range(5):
        group = sorted(ref for ref in wanted if _order(ref, groups) == number)
        if not group:
            continue
        with ThreadPoolExecutor(max_workers=_PARALLEL, thread_name_prefix="prune") as pool:
            verdicts = list(pool.map(lambda ref: _delete(client, app, ref, guard), group))
        going = {ref: uid for ref, (verdict, uid) in zip(group, verdicts, strict=True) if verdict == "deleted"}
        for ref, (verdict, reason) in zip(group, verdicts, strict=True):
            if verdict in ("foreign", "held"):
                kept.append((ref, reason))
                held |= {ref} if verdict == "held" else set()
                if report:
                    report(f"{ref} is kept: {reason}")
        if going and report:
            report(f"removing {some(list(going), 5)}")
        wait_gone(client, going, deadline=deadline, uids=going)
        deleted += going
    return Pruned(tuple(deleted), tuple(kept), frozenset(held))


def _order(ref: Ref, groups: set[str]) -> int:
    """Webhooks first, as they could refuse the rest; custom resources while their controller runs; namespaces last."""
    if ref.type == NAMESPACE:
        return 4
    if wave(ref) == 0:
        return 3
    if wave(ref) == 3 and ref.kind != "Pod":
        return 0
    return 1 if ref.group in groups else 2


def _delete(client: Client, app: str, ref: Ref, guard: Guard) -> tuple[str, str]:
    """("absent" | "deleted" | "foreign" | "held", the uid of what is deleted or why it is kept)."""
    guard()
    try:
        path = client.discovery.preferred(*ref.type).path(ref.namespace or None, ref.name)
        document = client.get(path)
    except NotFound:
        return "absent", ""
    if labels(document).get(APP_LABEL) != app:
        return "foreign", f"it does not carry the label {APP_LABEL}={app}"
    if to_be_kept(document):
        return "foreign", "its chart asks for it to be kept"
    if reason := _in_use(client, app, ref, document):
        return "held", reason
    propagation = "Foreground" if ref.kind in _WITH_DEPENDENTS else "Background"
    try:
        client.delete(path, propagation=propagation, uid=document["metadata"]["uid"])
    except ApiNotFound:
        return "absent", ""
    except ApiConflict:  # another object took the name since we looked
        return "foreign", "it was made anew by somebody else meanwhile"
    return "deleted", str(document["metadata"]["uid"])


def to_be_kept(document: Mapping[str, Any]) -> bool:
    """Does its chart ask for it to be left where it is?"""
    return annotations(document).get("helm.sh/resource-policy") == "keep"


def _in_use(client: Client, app: str, ref: Ref, document: dict[str, Any]) -> str:
    if ref.type == CRD:
        path = served_path(document)
        if path is None:
            return "none of its versions is served, so nobody can tell whether it still has objects"
        items = client.list(path, limit=50)
        return f"it still has objects, such as {items[0]['metadata']['name']}" if items else ""
    if ref.type == NAMESPACE:
        strangers = foreign_content(client, app, ref.name)
        return f"it holds {', '.join(strangers[:3])}" if strangers else ""
    return ""


def foreign_content(client: Client, app: str, namespace: str) -> list[str]:
    """Names of the objects in a namespace that are not this app's nor the cluster's own, or that are to be kept."""
    seen: set[tuple[str, str]] = set()
    paths = []
    for resource in client.discovery.all():
        key = resource.group, resource.plural
        if resource.namespaced and {"list", "delete"} <= resource.verbs and key not in seen:
            seen.add(key)
            if resource.kind not in _NO_CONTENT:
                paths.append((resource.kind, resource.path(namespace)))
    with ThreadPoolExecutor(max_workers=_PARALLEL, thread_name_prefix="content") as pool:
        lists = pool.map(lambda entry: _strangers(client, app, *entry), paths)
        return sorted(name for names in lists for name in names)


def _strangers(client: Client, app: str, kind: str, path: str) -> list[str]:
    try:
        items = client.raw("GET", path, accept=_METADATA).json().get("items") or []
    except NotFound:  # its definition has just gone
        return []
    return [
        f"{kind} {item['metadata']['name']}"
        for item in items
        if (labels(item).get(APP_LABEL) != app or to_be_kept(item))
        and (kind, item["metadata"]["name"]) not in _MADE_BY_CLUSTER
        and not item["metadata"].get("ownerReferences")
        and not item["metadata"].get("deletionTimestamp")
    ]
