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
_CONVERSION = "conversion webhook for"
"""In the server's own words for objects that it cannot give in the version asked for."""
_SIDE_BY_SIDE = 8


@dataclass(frozen=True)
class Unread:
    """What could not be read. needed: a check depends on it."""

    what: str
    error: BoatyardError
    needed: bool


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
    unread: tuple[Unread, ...] = ()

    @property
    def next(self) -> Minor:
        """The minor that comes first on the way to the target: nodes follow the control plane before it goes on."""
        return min(self.target, self.current.plus(1))

    def of(self, *types: Type) -> list[Json]:
        """All objects of these kinds, [] for those that are not served or could not be read."""
        return [document for each in types for document in self.kinds.get(each, ())]

    def has(self, *types: Type) -> bool:
        """Were all of these kinds read? Of what was not, nothing may be concluded."""
        return all(each in self.kinds for each in types)


def see(client: Client, to: str, now: datetime) -> Seen:
    """Look at everything once. Raises what is `Temporary`; what may not be read is kept in `unread`."""
    version = client.version()
    # Before anything is listed: a list of a kind that has no other version is a call of a deprecated API, too.
    requested = _caught(lambda: requested_deprecated(client.raw("GET", "/metrics").text()))
    served = client.discovery.all()
    api_services = _caught(lambda: client.list(f"/apis/{API_SERVICES[0]}/v1/apiservices"))
    elsewhere = _of_extensions(api_services) if isinstance(api_services, list) else frozenset()
    own = tuple(each for each in served if (each.group, each.version) not in elsewhere)
    wanted = [each for each in _preferred(own) if (each.group, each.kind) != API_SERVICES]
    with ThreadPoolExecutor(_SIDE_BY_SIDE, "preflight") as pool:
        secrets = pool.submit(_caught, lambda: client.list("/api/v1/secrets", **_HELM))
        lists = list(pool.map(lambda each: _caught(lambda: _list(client, each)), wanted))
        releases = secrets.result()
    found: list[tuple[Type, str, list[Json] | BoatyardError | None]] = [
        (API_SERVICES, f"apiservices.{API_SERVICES[0]}", api_services)
    ]
    found += [((each.group, each.kind), _name(each), one) for each, one in zip(wanted, lists, strict=True)]
    unread = [Unread(name, one, kind in WHOLE) for kind, name, one in found if isinstance(one, BoatyardError)]
    for name, one in (("/metrics", requested), ("secrets of Helm releases", releases)):
        if isinstance(one, BoatyardError):
            unread.append(Unread(name, one, False))
    return Seen(
        now=now,
        current=Minor.parse(served_version(version)),
        target=Minor.parse(to),
        kinds={kind: one for kind, _, one in found if isinstance(one, list)},
        served=own,
        requested=requested if isinstance(requested, tuple) else (),
        releases=tuple(releases) if isinstance(releases, list) else (),
        unread=tuple(unread),
    )


_HELM = {"fieldSelector": "type=helm.sh/release.v1", "labelSelector": "owner=helm,status=deployed"}


def _of_extensions(api_services: Iterable[Json]) -> frozenset[Type]:
    """Group and version of what other servers serve: a Kubernetes upgrade changes nothing of it."""
    specs = [document.get("spec") or {} for document in api_services]
    return frozenset((str(spec.get("group")), str(spec.get("version"))) for spec in specs if spec.get("service"))


def _name(resource: Resource) -> str:
    """`pods`, `deployments.apps`: as kubectl takes it."""
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


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
        if _CONVERSION in str(error):  # no other try mends it: the webhook behind a definition does not answer
            return error
        raise
