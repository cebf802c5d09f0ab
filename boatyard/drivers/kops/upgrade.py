"""Kubernetes one minor up: the control plane first, its groups alone; each pool when its turn comes.

`kops update cluster --instance-group=…` gives the new version to the control plane's launch templates only, so that a
node which joins meanwhile is never newer than the API server. It is what `kops reconcile cluster` does by roles.
"""

from boatyard.drivers.kops import changes, guard, nodes
from boatyard.drivers.kops.groups import Groups
from boatyard.drivers.kops.merge import merge
from boatyard.drivers.kops.observe import members_of
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.rolling import Rolling, oldest_version
from boatyard.drivers.kops.scene import Scene, look
from boatyard.drivers.kops.store import Record
from boatyard.drivers.kops.versioning import full_version, one_step
from boatyard.errors import NotFound, Temporary, Unsafe
from boatyard.spec.models import Pool
from boatyard.versions import Minor, Version


def upgrade_control_plane(reach: Reach, to: str) -> None:
    """Control plane at `to`: a full version, or a minor, of which the channel says the patch."""
    record = registered(reach)
    with reach.client() as client:
        scene = look(reach, client)
        current = running(reach, record, scene)
        one_step(reach.name, current, to)
        target = target_version(reach, record, current, to)
        if target != record.version:
            reach.env.report(f"{reach.name}: Kubernetes {current} → {target}, control plane first")
            scope = guard.versions(f"upgrading the control plane to {target}", record.control_plane)
            with changes.changing(reach, scope, record.control_plane):
                reach.kops.replace([merge(record.cluster, {"spec": {"kubernetesVersion": target}})])
        elif current != target:
            scope = guard.versions(f"upgrading the control plane to {target}", record.control_plane)
            changes.apply(reach, scope, record.control_plane)  # an upgrade that was cut off
        else:
            changes.arrived(reach)
        rolling = Rolling(reach, client, drain_timeout=drain_timeout(reach))
        rolling.control_plane(record.control_plane, target)
        rolling.bastions(record.of_role("Bastion"))


def upgrade_pool(
    reach: Reach, pool: Pool, to: str, *, surge: int | None, drain_timeout: float, canary: bool = False
) -> None:
    """Every node, or one as a canary, from the pool's newest launch template.

    That has the version which the control plane runs."""
    record = registered(reach)
    with Groups(reach) as groups:
        scene = look(reach, groups.client)
        current = running(reach, record, scene)
        _refuse_downgrade(pool, to, current, scene)
        groups.record_pool(record, pool, guard.versions(f"upgrading pool {pool.name}", [pool.name]))
        Rolling(reach, groups.client, drain_timeout=drain_timeout).pool(pool.name, surge, canary=canary)


def registered(reach: Reach) -> Record:
    """`NotFound` when there is none, `Unsafe` when it sleeps."""
    record = reach.store.read()
    if record.cluster is None or not record.applied:
        raise NotFound(f"there is no cluster {reach.name} in {reach.provider.state_store}.")
    if any(group.remembered is not None for group in reach.fleet.read().values()):
        raise Unsafe(f"cluster {reach.name} is hibernated, or on its way there.", hint="Wake it first.")
    return record


def running(reach: Reach, record: Record, scene: Scene) -> str:
    """Version of the oldest control-plane node."""
    found = oldest_version(scene, record.control_plane)
    if found is None:
        raise Temporary(f"cluster {reach.name}: no control-plane node has joined.", delay=30)
    return found


def drain_timeout(reach: Reach) -> float:
    return reach.cluster.policy.upgrade.drain_timeout.total_seconds()


def target_version(reach: Reach, record: Record, current: str, to: str) -> str:
    """The full version to go to from `current`.

    A minor that is registered already has one; the minor that runs is not changed by itself.
    """
    if Version.parse(to).patch is not None:
        return full_version(reach, to) if to != record.version else to
    for known in (record.version or current, current):
        if Minor.parse(known) == Minor.parse(to):
            return known
    return full_version(reach, to)


def _refuse_downgrade(pool: Pool, to: str, current: str, scene: Scene) -> None:
    if Minor.parse(to) > Minor.parse(current):
        raise Unsafe(
            f"pool {pool.name}: kubelet {to} would be ahead of the API server {current}.",
            hint="Upgrade the control plane first.",
        )
    members = members_of(pool.name, scene.fleet, scene.nodes.values())
    newest = max((Minor.parse(nodes.version_of(node)) for node in members), default=None)
    if newest is not None and newest > Minor.parse(to):
        raise Unsafe(f"pool {pool.name} has kubelets {newest}; going down to {to} is not possible.")
