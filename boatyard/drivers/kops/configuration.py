"""Settings of a running cluster: recorded, shown by kOps, applied, and taken up by new machines, group after group."""

from collections.abc import Sequence

from boatyard.drivers.kops import changes, guard, render
from boatyard.drivers.kops import members as etcd
from boatyard.drivers.kops.dead import Dead, dead, quorum_lost, refused
from boatyard.drivers.kops.groups import refuse_ahead
from boatyard.drivers.kops.judging import judge
from boatyard.drivers.kops.observe import cluster_differences, differing
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.rolling import Rolling
from boatyard.drivers.kops.scene import look
from boatyard.drivers.kops.store import Document, Record
from boatyard.drivers.kops.upgrade import drain_timeout, registered
from boatyard.errors import Unsafe


def configure(reach: Reach, agreed: Sequence[str]) -> None:
    """What `Observed.differs` told, and nothing that it did not tell."""
    record = registered(reach)
    if other := etcd.members_differ(reach.cluster, record):
        raise etcd.refused(reach.cluster, other)
    now = cluster_differences(reach, record, differing(reach.cluster, record))
    if strange := [line for line in now if line not in agreed]:
        raise Unsafe(f"cluster {reach.name}: nobody agreed to {'; '.join(strange)}.", hint="Plan again.")
    with reach.client() as client:
        scene = look(reach, client)
        gone = [each for each in dead(reach, record.control_plane, scene.fleet, scene.nodes) if each.line in agreed]
        if lost := gone and quorum_lost(gone, record.control_plane, scene.fleet, scene.nodes):
            raise refused(reach.cluster, lost)
        refuse_ahead(reach, record, scene)
    whole = bool(now) or not gone
    if whole:
        _record(reach, record)
    if gone:
        _replace(reach, record, gone)
    if whole:
        roll(reach, reach.store.read())


def _record(reach: Reach, record: Record) -> None:
    """The documents as the spec says, and applied."""
    scope = guard.settings(f"configuring {reach.name}")
    wanted = documents(reach, record)
    if any(each not in record.documents for each in wanted):
        judge(reach, record.version or "")
        with changes.changing(reach, scope):
            reach.kops.replace(wanted)
    else:
        changes.apply(reach, scope)


def _replace(reach: Reach, record: Record, gone: Sequence[Dead]) -> None:
    """Dead control-plane machines, then what else of the control plane is outdated."""
    with reach.client() as client:
        rolling = Rolling(reach, client, drain_timeout=drain_timeout(reach))
        rolling.dead(gone, record.control_plane)
        changes.arrived(reach)
        rolling.control_plane(record.control_plane)


def roll(reach: Reach, record: Record) -> None:
    """Everything that is outdated: control plane, bastions, then one pool after another."""
    surge = reach.cluster.policy.upgrade.surge
    with reach.client() as client:
        rolling = Rolling(reach, client, drain_timeout=drain_timeout(reach))
        rolling.control_plane(record.control_plane)
        rolling.bastions(record.of_role("Bastion"))
        for name in record.pools:
            rolling.pool(name, surge)


def documents(reach: Reach, record: Record) -> list[Document]:
    """The cluster's document and those of all groups but pools, which have steps of their own."""
    known = {(each["kind"], each["metadata"]["name"]): each for each in record.documents}
    found = []
    for each in render.manifests(reach.cluster, record.version or ""):
        if each["kind"] == "InstanceGroup" and each["spec"].get("role") == "Node":
            continue
        stored = known.get((each["kind"], each["metadata"]["name"]))
        found.append(each if stored is None else render.merged(each, stored))
    return found
