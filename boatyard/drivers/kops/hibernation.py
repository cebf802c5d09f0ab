"""Sleep: all groups to no machines, nodes first; etcd's volumes, the state store and the load balancer stay.

The sizes are remembered in a tag on each Auto Scaling group, written before the first is changed, so that a run that
was cut off is known by them. kOps' record is not touched: what it says stays true of the cluster that is awake.
"""

from collections.abc import Iterable, Mapping

from boatyard.drivers.kops import access
from boatyard.drivers.kops.create import wait_for_control_plane
from boatyard.drivers.kops.fleet import ETCD_TAG, ScalingGroup
from boatyard.drivers.kops.nodes import NODES
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.scene import look, unsettled
from boatyard.drivers.kops.store import Record
from boatyard.drivers.kops.waiting import Lookout, watching
from boatyard.errors import NotFound, Permanent

Groups = Mapping[str, ScalingGroup]


def hibernate(reach: Reach) -> None:
    """No machine left, etcd's volumes there and free. A no-op when it is so."""
    record, fleet = _there(reach)
    for group in fleet.values():
        reach.fleet.remember(group)
    control = set(record.control_plane)
    _empty(reach, [name for name in fleet if name not in control])
    _empty(reach, [name for name in fleet if name in control])
    Lookout(reach.env).until(lambda: _volumes_busy(reach))
    _volumes_kept(reach, record)
    access.forget(reach)
    reach.env.report(f"{reach.name}: asleep; its etcd volumes, state store and load balancer are kept")


def wake(reach: Reach) -> None:
    """Control plane, then nodes, as many as there were; the notes are taken off last. `NotFound` when there is none."""
    record, fleet = _there(reach)
    if all(group.remembered is None for group in fleet.values()):
        return
    control = set(record.control_plane)
    _volumes_kept(reach, record)
    for name in sorted(control & set(fleet)):
        _restore(reach, fleet[name])
    reach.env.report(f"{reach.name}: the control plane is starting")
    wait_for_control_plane(reach, record)
    others = [name for name in fleet if name not in control]
    for name in others:
        _restore(reach, fleet[name])
    _joined(reach, [name for name in others if name in record.pools])
    for group in reach.fleet.read().values():
        reach.fleet.forget(group)
    reach.env.report(f"{reach.name}: awake")


def _there(reach: Reach) -> tuple[Record, Groups]:
    record = reach.store.read()
    fleet = reach.fleet.read() if record.cluster is not None else {}
    if record.cluster is None or not fleet:
        raise NotFound(f"there is no cluster {reach.name} in {reach.provider.state_store}.")
    return record, fleet


def _empty(reach: Reach, names: Iterable[str]) -> None:
    """To nothing, and wait until it is so. Pods have nowhere to go, so nothing is drained: nodes are shut down, and
    their kubelets end what runs there."""
    wanted = list(names)
    for group in (reach.fleet.read()[name] for name in wanted):
        reach.fleet.resize(group, 0, 0, 0)
        for machine in group.detached:
            reach.fleet.end(machine)

    def left() -> str:
        fleet = reach.fleet.read()
        ids = [machine.id for name in wanted for machine in fleet[name].machines]
        return f"{', '.join(ids[:3])}{' and more' if len(ids) > 3 else ''} to end" if ids else ""

    Lookout(reach.env).until(left)


def _restore(reach: Reach, group: ScalingGroup) -> None:
    if group.remembered is not None:
        reach.fleet.resize(group, *group.remembered)


def _joined(reach: Reach, names: Iterable[str]) -> None:
    wanted = list(names)
    with reach.client(timeout=10, retries=0) as client, watching(reach.env, client, NODES) as lookout:

        def left() -> str:
            scene = look(reach, client)
            return next((rest for name in wanted if (rest := unsettled(scene, name))), "")

        lookout.until(left)


def _volumes_busy(reach: Reach) -> str:
    busy = [str(each["VolumeId"]) for each in reach.fleet.etcd_volumes() if each.get("State") == "in-use"]
    return f"etcd's volumes {', '.join(busy)} to be detached" if busy else ""


def _volumes_kept(reach: Reach, record: Record) -> None:
    """One volume for each member of each etcd cluster, or somebody has to look before anything is started."""
    kept = {
        (str(tag["Key"]), str(tag.get("Value") or "").partition("/")[0])
        for each in reach.fleet.etcd_volumes()
        for tag in each.get("Tags") or []
        if str(tag["Key"]).startswith(ETCD_TAG)
    }
    wanted = {
        (f"{ETCD_TAG}{etcd['name']}", str(member["name"]))
        for etcd in (record.cluster or {}).get("spec", {}).get("etcdClusters") or []
        for member in etcd.get("etcdMembers") or []
    }
    if missing := sorted(wanted - kept):
        named = ", ".join(f"{key.rpartition('/')[2]}/{member}" for key, member in missing)
        raise Permanent(
            f"cluster {reach.name}: there is no volume of etcd's member {named}.",
            hint=f"Restore it from a backup in {reach.provider.state_store} (docs/kops.md) before it is woken.",
        )
