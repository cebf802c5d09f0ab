"""A person's cancel of an upgrade in Prefect: noticed while it works, and afterwards where its run was killed by it.

Prefect first sets the run to Cancelling. Whoever started its process (the worker) then sends SIGTERM, and 30 seconds
later SIGKILL; of a run inside another one, which has no process of its own, nobody takes notice. So Prefect's word on
the run is what counts, not the signal: that comes with every other end of a process, too.
"""

import contextvars
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Literal
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterId
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger

from boatyard.drivers.fleet_state import let_go_on, may_go_on
from boatyard.drivers.last_upgrade import cordons
from boatyard.drivers.operation import JOURNAL, Operation, Yard
from boatyard.drivers.upgrading import cordoned_nodes
from boatyard.errors import BoatyardError, Permanent
from boatyard.plan.fleet import stays_cancelled
from boatyard.plan.model import Verb
from boatyard.spec.models import Cluster
from boatyard.store.process import is_dead
from boatyard.store.records import Upgrade
from tasks.events import tell
from tasks.yard import yard

BEFORE = "before its first change"
CHANGES = frozenset(
    verb.value for verb in (Verb.UPGRADE_CONTROL_PLANE, Verb.PREPARE_POOL, Verb.UPGRADE_POOL, Verb.ROLL_BACK_POOL)
)
"""The journal's words for what an upgrade changes a cluster by."""
_LOOK_AGAIN = 3.0  # seconds; nobody tells a run inside another one that it was cancelled
_SILENT = (httpx.HTTPError, PrefectException)
"""What a server says or does not say that is away for a moment."""


@dataclass(frozen=True)
class Cancel:
    """Which flow run was cancelled, and when. Prefect does not know by whom."""

    run: str
    at: datetime

    def __str__(self) -> str:
        return f"by a person in Prefect at {self.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC (flow run {self.run})"


class Cancels:
    """Whether a person cancelled the running flow, or one that it is part of."""

    def __init__(self, run_id: str | None) -> None:
        self._run_id = run_id
        self._around: list[UUID] = []
        self.found: Cancel | None = None

    def look(self) -> Cancel | None:
        """Ask Prefect; None also where it does not answer now."""
        if self.found is None and self._run_id is not None:
            try:
                with get_client(sync_client=True) as client:
                    self._around = self._around or runs_around(client, UUID(self._run_id))
                    runs = self._around or [UUID(self._run_id)]
                    self.found = next((found for each in runs if (found := _cancel_of(client, each))), None)
            except _SILENT:
                return None
        return self.found


@contextmanager
def heeding(op: Operation, cancels: Cancels) -> Iterator[None]:
    """While the block runs, a cancel stops the operation before its next change; one that came before it, at once."""
    if cancels.look() is not None:
        raise Permanent(f"{op.name} of cluster {op.cluster.name} was cancelled {cancels.found}.")
    ended, context = threading.Event(), contextvars.copy_context()
    watch = threading.Thread(target=partial(context.run, _watch, cancels, op, ended), daemon=True, name="cancels")
    watch.start()
    try:
        yield
    finally:
        ended.set()


def _watch(cancels: Cancels, op: Operation, ended: threading.Event) -> None:
    while not op.yard.machine.wait(ended, _LOOK_AGAIN):
        if cancels.look() is not None:
            op.stopped.set(f"it was cancelled {cancels.found}")
            return


def stays_so(op: Operation, kept: Upgrade, cancel: Cancel, *, changed: bool) -> str:
    """Write down that an upgrade was cancelled, end what is under way, and say what stands; that sentence."""
    why = f"{cancel}, {'after it had begun to change the cluster' if changed else BEFORE}"
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
                why = f"{cancel}, {'and its process ended where it stood' if changed else BEFORE}"
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


def runs_around(client: SyncPrefectClient, run_id: UUID) -> list[UUID]:
    """The run, the one that it is part of, and so on."""
    found = [run_id]
    while (parent := client.read_flow_run(found[-1]).parent_task_run_id) is not None:
        outer = client.read_flow_runs(task_run_filter=TaskRunFilter(id=TaskRunFilterId(any_=[parent])))
        if not outer:
            return []  # Prefect writes tasks down a moment after they begin: the next look finds it
        found.append(outer[0].id)
    return found


def _cancel_of(client: SyncPrefectClient, run_id: UUID) -> Cancel | None:
    run = client.read_flow_run(run_id)
    if run.state is None or not (run.state.is_cancelling() or run.state.is_cancelled()):
        return None
    return Cancel(run.name, run.state.timestamp)
