"""A cancelled upgrade: written down, told, and found where its run was killed by the cancel."""

from contextlib import suppress
from typing import Literal

from prefect.logging import get_run_logger

from boatyard.drivers.fleet_state import let_go_on, may_go_on
from boatyard.drivers.last_upgrade import cordons
from boatyard.drivers.operation import JOURNAL, Operation, Yard
from boatyard.drivers.upgrading import cordoned_nodes
from boatyard.errors import BoatyardError
from boatyard.plan.fleet import stays_cancelled
from boatyard.plan.model import Verb
from boatyard.spec.models import Cluster
from boatyard.store.process import is_dead
from boatyard.store.records import Upgrade
from tasks.cancels import Cancel, Cancels
from tasks.events import tell
from tasks.yard import yard

_BEFORE = "before its first change"
CHANGES = frozenset(
    verb.value for verb in (Verb.UPGRADE_CONTROL_PLANE, Verb.PREPARE_POOL, Verb.UPGRADE_POOL, Verb.ROLL_BACK_POOL)
)
"""The journal's words for what an upgrade changes a cluster by."""


def stays_so(op: Operation, kept: Upgrade, cancel: Cancel, *, changed: bool) -> str:
    """Write down that an upgrade was cancelled, end what is under way, and say what stands; that sentence."""
    why = f"{cancel}, {'after it had begun to change the cluster' if changed else _BEFORE}"
    stands = _end(op.yard, op.cluster, kept, why, changed=changed)  # first: in 30 seconds the process is killed
    op.end(f"it was cancelled {cancel}")
    left: list[str] = []
    with suppress(BoatyardError):  # the condition LastUpgradeWell names them as soon as they can be seen
        left = cordoned_nodes(op.yard.reader(op.cluster))
    return _say(op.cluster, kept, why, left, stands=stands)


def settle_cancelled() -> None:
    """End the upgrades whose run was cancelled and then killed, so that it could not say so itself."""
    here = yard()
    now = here.clock.now()
    open_ones = [each for each in here.store.rollout.upgrades(since=now) if each.ended_at is None]
    if not (left := [each for each in open_ones if not may_go_on(each, now)]):
        return  # as nearly every minute
    working = {each.cluster for each in here.store.leases.list() if not is_dead(each.machine, each.pid, each.started)}
    kept = {record.name for record in here.store.clusters.list()} - working
    for each in left:
        if each.cluster in kept:
            cancel = Cancels(each.run_id).look()
            if cancel is not None:
                cluster, changed = here.registered(each.cluster), _has_changed(here, each)
                why = f"{cancel}, {'and its process ended where it stood' if changed else _BEFORE}"
                _say(cluster, each, why, [], stands=_end(here, cluster, each, why, changed=changed))


def _has_changed(here: Yard, upgrade: Upgrade) -> bool:
    entries = here.store.journal.list(upgrade.cluster, limit=JOURNAL)
    return any(entry.verb in CHANGES for entry in entries if entry.begun_at >= upgrade.begun_at)


def _end(here: Yard, cluster: Cluster, upgrade: Upgrade, why: str, *, changed: bool) -> bool:
    """Write the end down; whether the cancel stands until a person takes it back.

    Where only people upgrade a cluster, who cancels one of these before its first change, as while it waits for
    approval, has refused it: nobody else would begin it anew, and no ring has to wait for that.
    """
    stands = changed or not cluster.policy.upgrade.approve
    outcome: Literal["cancelled", "blocked"] = "cancelled" if stands else "blocked"
    here.store.rollout.end(upgrade.id, outcome, why if stands else f"cancelled {why}")
    return stands


def _say(cluster: Cluster, upgrade: Upgrade, why: str, cordoned: list[str], *, stands: bool) -> str:
    """Into the run's log, and to whoever listens."""
    ring, _ = let_go_on(yard(), cluster)
    said = f"its upgrade to {upgrade.version} was cancelled {why}"
    if stands:
        said = f"{stays_cancelled(cluster.name, upgrade.version, why, ring)}{cordons(cordoned)}"
    get_run_logger().warning("%s: %s", cluster.name, said)
    payload = {"cluster": cluster.name, "owner": cluster.owner, "to": upgrade.version, "error": said}
    tell(cluster.name, "upgrade.cancelled", payload)
    return f"{cluster.name}: {said}."
