"""One pass over a cluster: each kind listed once, side by side, as metadata alone where no more is needed."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from boatyard.errors import BoatyardError, Temporary
from boatyard.kube.client import ApiForbidden, ApiGone, ApiNotFound, ApiRejected, Client
from boatyard.kube.discovery import Resource
from boatyard.kube.health import served_version
from boatyard.kube.preflight.metrics import Requested, requested_deprecated
from boatyard.versions import Minor

Json = dict[str, Any]
Type = tuple[str, str]
"""Group and kind."""
T = TypeVar("T")

PODS: Type = ("", "Pod")
NODES: Type = ("", "Node")
BUDGETS: Type = ("policy", "PodDisruptionBudget")
API_SERVICES: Type = ("apiregistration.k8s.io", "APIService")
WHOLE = frozenset(
    {
        PODS,
        NODES,
        BUDGETS,
        API_SERVICES,
        ("", "Namespace"),
        ("", "PersistentVolumeClaim"),
        ("", "PersistentVolume"),
        ("", "Service"),
        ("apps", "Deployment"),
        ("apps", "StatefulSet"),
        ("apps", "ReplicaSet"),
        ("apps", "DaemonSet"),
        ("", "ReplicationController"),
        ("batch", "Job"),
        ("discovery.k8s.io", "EndpointSlice"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
    }
)
"""Kinds of which checks need more than metadata; of all others nothing more is read, no value of a Secret either."""
_LEFT_OUT = frozenset({("", "Event"), ("events.k8s.io", "Event"), ("coordination.k8s.io", "Lease")})
"""Many, short-lived, and of no interest."""

_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
_CHUNK = 500
_SIDE_BY_SIDE = 8


@dataclass(frozen=True)
class Seen:
    """A cluster as one pass found it. Times are the machine's.

    current, target: minors of the API server now and after the upgrade. kinds: what was listed. served: every version
    of every kind that the API server itself serves, the preferred one first. requested: deprecated APIs that were
    called since the API server's start. releases: Secrets of Helm releases, whole. unread: what could not be read.
    """

    now: datetime
    current: Minor
    target: Minor
    kinds: Mapping[Type, list[Json]] = field(default_factory=dict)
    served: tuple[Resource, ...] = ()
    requested: tuple[Requested, ...] = ()
    releases: tuple[Json, ...] = ()
    unread: Mapping[str, BoatyardError] = field(default_factory=dict)

    @property
    def next(self) -> Minor:
        """The minor that comes first on the way to the target: nodes follow the control plane before it goes on."""
        return min(self.target, self.current.plus(1))

    def of(self, *types: Type) -> list[Json]:
        """All objects of these kinds, [] for those that are not served or could not be read."""
        return [document for each in types for document in self.kinds.get(each, ())]

    def has(self, kind: Type) -> bool:
        """Was that kind read?"""
        return kind in self.kinds


def see(client: Client, to: str, now: datetime) -> Seen:
    """Look at everything once. Raises what is `Temporary`; what may not be read is kept in `unread`."""
    version = client.version()
    unread: dict[str, BoatyardError] = {}
    # Before anything is listed: a list of a kind that has no other version is a call of a deprecated API, too.
    requested = _or_unread(unread, "/metrics", lambda: requested_deprecated(client.raw("GET", "/metrics").text()))
    served = client.discovery.all()
    extensions, api_services = _api_services(client, unread)
    own = tuple(each for each in served if (each.group, each.version) not in extensions)
    kinds: dict[Type, list[Json]] = {API_SERVICES: api_services} if api_services is not None else {}
    wanted = [each for each in _preferred(own) if (each.group, each.kind) not in kinds]
    with ThreadPoolExecutor(_SIDE_BY_SIDE, "preflight") as pool:
        lists = pool.map(lambda each: _caught(lambda: _list(client, each)), wanted)
        releases = pool.submit(_caught, lambda: client.list("/api/v1/secrets", **_HELM))
        for each, found in zip(wanted, lists, strict=True):
            if isinstance(found, BoatyardError):
                unread[each.plural if not each.group else f"{each.plural}.{each.group}"] = found
            elif found is not None:
                kinds[each.group, each.kind] = found
        secrets = releases.result()
    if isinstance(secrets, BoatyardError):
        unread["secrets of Helm releases"] = secrets
    return Seen(
        now=now,
        current=Minor.parse(served_version(version)),
        target=Minor.parse(to),
        kinds=kinds,
        served=own,
        requested=requested or (),
        releases=tuple(secrets) if isinstance(secrets, list) else (),
        unread=unread,
    )


_HELM = {"fieldSelector": "type=helm.sh/release.v1", "labelSelector": "owner=helm,status=deployed"}


def _api_services(client: Client, unread: dict[str, BoatyardError]) -> tuple[set[Type], list[Json] | None]:
    """Group and version of what other servers serve: a Kubernetes upgrade changes nothing of it."""
    path = f"/apis/{API_SERVICES[0]}/v1/apiservices"
    found = _or_unread(unread, f"apiservices.{API_SERVICES[0]}", lambda: client.list(path))
    specs = [document.get("spec") or {} for document in found or ()]
    return {(str(spec.get("group")), str(spec.get("version"))) for spec in specs if spec.get("service")}, found


def _preferred(served: Iterable[Resource]) -> list[Resource]:
    """Each kind that can be listed once, in the server's preferred version."""
    found: dict[Type, Resource] = {}
    for each in served:
        if "list" in each.verbs and (each.group, each.kind) not in _LEFT_OUT:
            found.setdefault((each.group, each.plural), each)
    return list(found.values())


def _list(client: Client, resource: Resource) -> list[Json] | None:
    """None for a kind that went away meanwhile."""
    try:
        if (resource.group, resource.kind) in WHOLE:
            return client.list(resource.path())
        return metadata_of(client, resource)
    except ApiNotFound:
        return None


def metadata_of(client: Client, resource: Resource) -> list[Json]:
    """Like `Client.list`, but each object has its metadata alone."""
    for last in (False, True):
        try:
            return _pages(client, resource)
        except ApiGone:  # the list grew too old between two pages
            if last:
                raise
    raise AssertionError("unreachable")


def _pages(client: Client, resource: Resource) -> list[Json]:
    items: list[Json] = []
    token = None
    while True:
        params = {"limit": _CHUNK, "continue": token}
        page = client.raw("GET", resource.path(), accept=_METADATA, params=params).json()
        for item in page.get("items") or ():
            names = {"apiVersion": resource.api_version, "kind": resource.kind}
            items.append({**names, "metadata": item["metadata"]})
        if not (token := (page.get("metadata") or {}).get("continue")):
            return items


def _caught(look: Callable[[], T]) -> T | BoatyardError:
    try:
        return look()
    except (ApiForbidden, ApiRejected) as error:
        return error
    except Temporary as error:
        if getattr(error, "status", 0) == 500:  # the server is there, and cannot say: a conversion that fails
            return error
        raise


def _or_unread(unread: dict[str, BoatyardError], what: str, look: Callable[[], T]) -> T | None:
    found = _caught(look)
    if isinstance(found, BoatyardError):
        unread[what] = found
        return None
    return found
