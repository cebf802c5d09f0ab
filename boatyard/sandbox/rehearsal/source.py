"""Reads a cluster for its rehearsal: by lists alone, through a client that cannot write."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from boatyard.drivers.kwok.control_plane import served_minor
from boatyard.drivers.kwok.snapshot import bare, export, key
from boatyard.kube.client import ApiNotFound
from boatyard.kube.discovery import Resource
from boatyard.kube.eviction import Key
from boatyard.kube.objects import Ref
from boatyard.kube.readonly import ReadOnlyClient
from boatyard.sandbox.rehearsal import objects
from boatyard.sandbox.rehearsal.blank import blanked
from boatyard.sandbox.rehearsal.budgets import Sick, sick, uncountable
from boatyard.sandbox.rehearsal.report import Hold
from boatyard.sandbox.rehearsal.workloads import Census, alive, census, place
from boatyard.words import some

Json = dict[str, Any]

_PARALLEL = 8
_PODS, _NODES = "/api/v1/pods", "/api/v1/nodes"
_REPLICA_SETS = "/apis/apps/v1/replicasets"
_API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
_BUDGETS = "/apis/policy/v1/poddisruptionbudgets"
_LISTS = (_PODS, _REPLICA_SETS, _NODES, _API_SERVICES, _BUDGETS)


@dataclass(frozen=True, eq=False)
class Form:
    """An object in a form in which it is served, and somebody may keep it. managers: who wrote it so, if anybody."""

    ref: Ref
    path: str
    api_version: str
    document: Json
    managers: tuple[str, ...] = ()


@dataclass
class Source:
    """What was read. Secrets' values are gone already.

    version: minor. objects: to be brought onto the twin. forms: what the new version has to take. apis: what the twin
    must serve beside its usual APIs. pods: how many each workload has. stuck: budgets that allow nothing because the
    cluster's own controllers cannot count their pods, which those of a twin may well do. sick: budgets with pods that
    are not ready.
    """

    version: str
    objects: list[Json]
    forms: list[Form]
    nodes: list[Json]
    pods: Census
    stuck: list[Hold] = field(default_factory=list)
    sick: dict[Key, Sick] = field(default_factory=dict)
    apis: dict[str, bool] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read(client: ReadOnlyClient, report: Callable[[str], None]) -> Source:
    """Everything worth copying; seconds for thousands of objects. What changes meanwhile is seen before or after."""
    found = [blanked(item) for item in export(client)]
    with ThreadPoolExecutor(4, "source") as threads:
        asked = [threads.submit(client.list, path) for path in _LISTS]
        pods, replica_sets, nodes, services, budgets = (each.result() for each in asked)
    aggregated = {f"{each['spec'].get('group')}/{each['spec'].get('version')}" for each in services if _elsewhere(each)}
    kept = [item for item in found if item["apiVersion"] not in aggregated and not objects.made_anew(item)]
    sets = {place(each): each for each in replica_sets}
    counted, ill = census(pods, sets), sick(budgets, pods)
    stranded = [pod for pod in pods if alive(pod) and objects.stranded(pod)]
    resources = client.discovery.all()
    foreign = objects.groups_of(kept) | {api.partition("/")[0] for api in aggregated}
    source = Source(
        version=served_minor(client.version()),
        objects=[_for_twin(item, ill) for item in kept] + [objects.stand_in(pod, sets) for pod in stranded],
        forms=_forms(client, kept, resources),
        nodes=nodes,
        pods=counted,
        stuck=uncountable(budgets, pods, sets),
        sick=ill,
        apis=objects.beta_apis((each.api_version for each in resources), foreign),
        notes=_notes(kept, aggregated, len(stranded), counted.unready),
    )
    report(f"{len(source.objects)} objects, {len(nodes)} nodes and {len(pods)} pods read; nothing was written")
    return source


def _for_twin(item: Json, ill: Mapping[Key, Sick]) -> Json:
    ref, wanted = Ref.of(item), objects.for_twin(item)
    if ref.type == ("policy", "PodDisruptionBudget") and (found := ill.get((ref.namespace, ref.name))):
        return found.tightened(wanted)
    return wanted


def _elsewhere(service: Json) -> bool:
    """Is this API served by a server behind the API server?"""
    return bool(service["spec"].get("service"))


def _forms(client: ReadOnlyClient, kept: list[Json], resources: Iterable[Resource]) -> list[Form]:
    """Each object in the version that the server prefers, and in each other served one in which a client wrote it."""
    by_kind = {(each.api_version, each.kind): each for each in resources}
    written: dict[Resource, dict[tuple[str, str, str, str], tuple[str, ...]]] = {}
    forms = []
    for item in kept:
        if item["kind"] == "Pod":
            continue  # a running one is not written again; those of workloads come of their templates
        writers = _writers(item)
        own = by_kind.get((item["apiVersion"], item["kind"]))
        if own is not None:
            forms.append(_form(item, own, writers.pop(item["apiVersion"], ())))
        for api_version, managers in writers.items():
            if (resource := by_kind.get((api_version, item["kind"]))) is not None:
                written.setdefault(resource, {})[key(item)] = managers
    with ThreadPoolExecutor(_PARALLEL, "forms") as threads:
        lists = threads.map(lambda resource: _list(client, resource), written)
    for (resource, wanted), items in zip(written.items(), lists, strict=True):
        forms += [
            _form(blanked(bare(each, "status" in resource.subresources)), resource, wanted[key(each)])
            for each in items
            if key(each) in wanted
        ]
    return forms


def _writers(item: Json) -> dict[str, tuple[str, ...]]:
    """API version → who wrote some of the object's fields in it, by the server's own record."""
    found: dict[str, dict[str, None]] = {}
    for entry in item["metadata"].get("managedFields") or ():
        if entry.get("apiVersion") and not entry.get("subresource"):
            found.setdefault(entry["apiVersion"], {})[str(entry.get("manager") or "somebody")] = None
    return {version: tuple(managers) for version, managers in found.items()}


def _form(item: Json, resource: Resource, managers: tuple[str, ...]) -> Form:
    namespace, name = place(item)
    document = objects.for_twin(item)
    return Form(Ref.of(item), resource.path(namespace, name), resource.api_version, document, managers)


def _list(client: ReadOnlyClient, resource: Resource) -> list[Json]:
    try:
        return client.list(resource.path())
    except ApiNotFound:
        return []


def _notes(kept: list[Json], aggregated: set[str], stranded: int, unready: Mapping[str, int]) -> list[str]:
    """How the twin will differ, in sentences."""
    hooks = [each["metadata"]["name"] for each in kept if each["kind"].endswith("WebhookConfiguration")]
    converted = [
        each["metadata"]["name"]
        for each in kept
        if each["kind"] == "CustomResourceDefinition" and (each["spec"].get("conversion") or {}).get("webhook")
    ]
    suspended = sum(each["kind"] == "CronJob" for each in kept)
    ill = [f"{name} ({count})" for name, count in sorted(unready.items())]
    told = [
        (hooks, f"webhooks are loaded and never called: {some(hooks, 5)}"),
        (converted, f"custom resources are not converted by their webhooks: {some(converted, 5)}"),
        (aggregated, f"APIs of other servers are left out: {some(sorted(aggregated), 5)}"),
        (stranded, f"pods of controllers that do not run on the twin have stand-ins that bring them back: {stranded}"),
        (ill, f"pods that are not ready in the cluster are missed by their budgets on the twin, too: {some(ill, 5)}"),
        (suspended, f"CronJobs are suspended: {suspended}"),
    ]
    return [text for there, text in told if there]
