"""What is there now, in one look: the state store's record, the Auto Scaling groups, then the API server."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from boatyard.aws.errors import AwsBusy, AwsRefused
from boatyard.drivers.kops import access, nodes, render
from boatyard.drivers.kops.dead import dead, lines
from boatyard.drivers.kops.failures import Credentials, Denied, Throttled
from boatyard.drivers.kops.fleet import ScalingGroup
from boatyard.drivers.kops.members import members_differ
from boatyard.drivers.kops.nodes import NODES, Json
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.spec import BASTIONS
from boatyard.drivers.kops.store import Record
from boatyard.drivers.kops.versioning import newer_kops
from boatyard.errors import BoatyardError, DeadlineExceeded, MissingTool, Temporary
from boatyard.kube.client import Client
from boatyard.kube.health import served_version
from boatyard.kube.inventory import observed_apps
from boatyard.plan.model import Observed, ObservedApp, ObservedPool, Phase
from boatyard.spec.models import Cluster
from boatyard.versions import Version

_TIMEOUT = 5.0  # seconds for the API server's answer before the cluster counts as broken

_NOT_SEEN = (AwsBusy, AwsRefused, DeadlineExceeded, Credentials, Denied, Throttled, MissingTool)
"""What keeps us from looking, and says nothing of the cluster: no credentials, no permission, no answer in time."""
_PASSING = (Temporary, DeadlineExceeded)
"""Those of them that may pass by themselves."""

_COMPARED = ("spec.minSize:", "spec.maxSize:", "spec.machineType:", "spec.nodeLabels.", "spec.taints:")
"""Differences of a pool that plans know by themselves; `spec.nodeLabels:` as a whole never differs."""


@dataclass(frozen=True)
class Seen:
    """What the API server told."""

    version: str
    nodes: Sequence[Json] = ()
    apps: Mapping[str, ObservedApp] = field(default_factory=dict)


def observe(reach: Reach) -> Observed:
    """The cluster as it is. Never raises for one that is absent, asleep, broken or out of sight."""
    try:
        with ThreadPoolExecutor(2) as threads:
            record_, fleet_ = threads.submit(reach.store.read), threads.submit(reach.fleet.read)
            record, fleet = record_.result(), fleet_.result()
    except _NOT_SEEN as error:
        return _unseen(error)
    except BoatyardError as error:  # a record that is damaged
        return Observed(phase=Phase.BROKEN, detail=str(error))
    if record.cluster is None and not fleet:
        if record.deleting:
            return Observed(phase=Phase.PARTIAL, detail="its deletion was cut off")
        return Observed(phase=Phase.ABSENT)
    return unfinished(record, fleet) or _look(reach, record, fleet)


def _unseen(error: Exception, version: str | None = None) -> Observed:
    passing = isinstance(error, _PASSING)
    return Observed(phase=Phase.UNKNOWN, version=version, detail=str(error), passing=passing)


def unfinished(record: Record, fleet: Mapping[str, ScalingGroup]) -> Observed | None:
    """What can be told without asking the API server: half made, half deleted, asleep; None for all others."""
    if record.deleting:
        return Observed(phase=Phase.PARTIAL, version=record.version, detail="its deletion was cut off")
    if record.cluster is None:
        why = f"the state store has no record of it, but AWS has: {', '.join(sorted(fleet))}"
        return Observed(phase=Phase.PARTIAL, detail=why)
    control = [fleet[name] for name in record.control_plane if name in fleet]
    if not record.applied or not control:
        why = "it was registered with kOps, but " + ("not all of it was made" if fleet else "never made")
        # What was never made runs no version: it is registered anew as the spec says, and nothing is upgraded.
        return Observed(phase=Phase.PARTIAL, version=record.version if record.applied and fleet else None, detail=why)
    asleep = [group for group in fleet.values() if group.remembered is not None]
    if not asleep:
        return None
    if len(asleep) == len(fleet) and not any(group.machines or group.desired for group in fleet.values()):
        return Observed(phase=Phase.HIBERNATED, version=record.version)
    return Observed(phase=Phase.BROKEN, version=record.version, detail="going to sleep, or waking up, was cut off")


def _look(reach: Reach, record: Record, fleet: Mapping[str, ScalingGroup]) -> Observed:
    known = Observed(phase=Phase.BROKEN, version=record.version)
    try:
        try:
            admin = access.admin(reach, record)
        except _NOT_SEEN as error:
            return _unseen(error, record.version)
        known = known.model_copy(update={"endpoint": admin.endpoint or None})
        with Client(admin.document, timeout=_TIMEOUT, retries=0) as client:
            seen = _ask(client)
        gone = _dead(reach, record, fleet, seen.nodes)
    except BoatyardError as error:
        return known.model_copy(update={"detail": error.message})
    control = control_plane(record, fleet, seen.nodes)
    told = differing(reach.cluster, record)
    return known.model_copy(
        update={
            "phase": Phase.RUNNING,
            "version": running_version(seen.version, control),
            "pools": {name: _pool(reach.cluster, record, fleet, name, seen.nodes, told) for name in record.pools},
            "apps": seen.apps,
            "differs": (*cluster_differences(reach, record, told), *gone),
            "outdated": outdated_names(record.control_plane, fleet, seen.nodes),
        }
    )


def _ask(client: Client) -> Seen:
    with ThreadPoolExecutor(4) as threads:
        health = threads.submit(client.raw, "GET", "/readyz", check=False)
        version = threads.submit(client.version)
        found = threads.submit(client.list, NODES)
        apps = threads.submit(observed_apps, client)
        answer = health.result()
        if answer.status != 200:
            failing = [line[3:] for line in answer.text().splitlines() if line.startswith("[-]")]
            said = "; ".join(failing) or answer.text().strip()[:200]
            raise Temporary(f"/readyz answers {answer.status}: {said}")
        return Seen(served_version(version.result()), found.result(), apps.result())


def control_plane(record: Record, fleet: Mapping[str, ScalingGroup], found: Iterable[Json]) -> list[Json]:
    """Its nodes, by their instances, or by the group that the node names."""
    groups = set(record.control_plane)
    ids = {machine.id for name in groups if name in fleet for machine in fleet[name].machines}
    return [node for node in found if nodes.instance_of(node) in ids or nodes.group_of(node) in groups]


def running_version(served: str, control: Iterable[Json]) -> str:
    """Of the oldest control-plane node: kOps gives kubelet and control plane of a node the same version, and while one
    is replaced after another the load balancer lets any of them answer."""
    versions = sorted((nodes.version_of(node) for node in control), key=_order)
    return versions[0] if versions else served


def _order(version: str) -> tuple[int, int, int]:
    read = Version.parse(version)
    return read.of.major, read.of.minor, read.patch or 0


def differing(cluster: Cluster, record: Record) -> render.Differences:
    """What the spec asks for at the registered version, against what is registered."""
    return render.differences(render.manifests(cluster, record.version or "0.0.0"), record.documents)


def cluster_differences(reach: Reach, record: Record, told: render.Differences) -> tuple[str, ...]:
    """Of everything but the pools. One line alone where other control-plane nodes are wanted: see `members`."""
    if other := members_differ(reach.cluster, record):
        return (other,)
    newer = newer_kops(reach, record)
    others = [name for name in told.groups if name not in record.pools]
    lines = [f"{name}: {line}" for name in others for line in told.groups[name]]
    missing = [f"instance group {name}: nothing, it is wanted" for name in told.missing if _is_control_plane(name)]
    return (*told.cluster, *lines, *missing, *([newer] if newer else []))


def _dead(reach: Reach, record: Record, fleet: Mapping[str, ScalingGroup], found: Iterable[Json]) -> tuple[str, ...]:
    by_instance = {nodes.instance_of(node): node for node in found}
    groups = record.control_plane
    return lines(dead(reach, groups, fleet, by_instance), groups, fleet, by_instance)


def _is_control_plane(name: str) -> bool:
    return name.startswith(("control-plane-", "master-", BASTIONS))


def outdated_names(groups: Iterable[str], fleet: Mapping[str, ScalingGroup], found: Iterable[Json]) -> tuple[str, ...]:
    """Nodes (where they have not joined: instances) from an older launch template."""
    named = {nodes.instance_of(node): nodes.name_of(node) for node in found}
    machines = [machine for name in groups if name in fleet for machine in fleet[name].machines]
    return tuple(sorted(named.get(machine.id, machine.id) for machine in machines if machine.outdated))


def members_of(name: str, fleet: Mapping[str, ScalingGroup], found: Iterable[Json]) -> list[Json]:
    """Nodes of an instance group, by name."""
    ids = {machine.id for machine in fleet[name].machines} if name in fleet else set()
    here = [node for node in found if nodes.group_of(node) == name or nodes.instance_of(node) in ids]
    return sorted(here, key=nodes.name_of)


def standing_in(group: ScalingGroup | None, members: Iterable[Json]) -> int:
    """Nodes above the group's size, as long as there are some of machines that AWS does not count as the group's.

    Those were taken out of it for an update, or are ending; what AWS has started for them is there already. A plan
    that is made then, since the update was cut off, would else shrink the pool, or take its canary for done.
    """
    if group is None:
        return 0
    found, own = [nodes.instance_of(node) for node in members], {machine.id for machine in group.members}
    return max(0, min(sum(each not in own for each in found), len(found) - group.desired))


def _pool(
    cluster: Cluster,
    record: Record,
    fleet: Mapping[str, ScalingGroup],
    name: str,
    found: Sequence[Json],
    told: render.Differences,
) -> ObservedPool:
    group, members, wanted = record.groups[name], members_of(name, fleet, found), cluster.pool(name)
    labels, taints = nodes.pool_labels(group), nodes.pool_taints(group)
    # One node that differs from the spec is enough to say that the pool does: show that one.
    for node in members:
        seen = nodes.labels_seen(node, group), nodes.taints_seen(node, group)
        if wanted is not None and (seen[0] != dict(wanted.labels) or set(seen[1]) != set(wanted.taints)):
            labels, taints = seen
            break
    spec = group["spec"]
    return ObservedPool(
        name=name,
        size=spec.get("machineType"),
        labels=labels,
        taints=taints,
        versions={nodes.name_of(node): nodes.version_of(node) for node in members},
        ready=sum(nodes.ready(node) for node in members),
        bounds=(int(spec.get("minSize") or 0), int(spec.get("maxSize") or 0)),
        differs=tuple(line for line in told.groups.get(name, ()) if not line.startswith(_COMPARED)),
        outdated=outdated_names([name], fleet, members),
        standing_in=standing_in(fleet.get(name), members),
    )
