"""What Boatyard does by itself with one cluster: the evidence for a decision, and what follows from it in the store."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime

from prefect.logging import get_run_logger
from pydantic import ValidationError

from boatyard.drivers.base import Hibernatable
from boatyard.drivers.fleet_state import rules
from boatyard.drivers.operation import Operation
from boatyard.errors import BoatyardError, Held, NotFound
from boatyard.plan.model import Phase, Verb
from boatyard.plan.upkeep import (
    Action,
    Decision,
    Record,
    Usage,
    decide_cleanup,
    decide_hibernation,
)
from boatyard.spec.models import Cluster
from boatyard.spec.waves import Upgrades, ring_of
from boatyard.store.records import ClusterRecord, Entry
from tasks.events import tell
from tasks.steps import converge
from tasks.yard import CLEAN_UP, SCHEDULED, operate, yard

__all__ = ["Action", "idle_decision", "sleep_decision", "upkeep_of", "warn_owner"]

BY_HAND = frozenset({"hibernate", "wake"})
"""Operations that a person starts; the schedule's own run under other names."""

_STOPS = frozenset({Verb.REPAIR.value, Verb.WAKE.value, Verb.HIBERNATE.value, Verb.UPGRADE_CONTROL_PLANE.value})
"""Steps in the middle of which the control plane does not run."""


def fleet(names: list[str] | None, rings: list[str] | None = None) -> list[str]:
    """The clusters to look after: those named, else all that Boatyard keeps; of these, those in one of `rings`."""
    if rings is None:
        return list(names) if names is not None else [record.name for record in yard().store.clusters.list()]
    waves = rules(yard())
    upgrades = waves.upgrades if waves is not None else Upgrades()
    kept = [each for record in yard().store.clusters.list() if (each := _readable(record)) is not None]
    inside = [each.name for each in kept if ring_of(upgrades, each.labels, each.policy.maintenance.ring) in rings]
    return [name for name in inside if names is None or name in names]


def _readable(record: ClusterRecord) -> Cluster | None:
    """None, with a word in the log, for one that another version wrote: it keeps no other from its upkeep."""
    try:
        return Cluster.model_validate(record.desired)
    except ValidationError:
        get_run_logger().warning(
            "%s is left alone: this version of Boatyard cannot read what the store has of it; apply its file again",
            record.name,
        )
        return None


@contextmanager
def upkeep_of(name: str, operation: str) -> Iterator[Operation | None]:
    """Hold the cluster for upkeep; None, with the reason in the log, when it is busy or gone: next time, then.

    One that a killed upkeep left with its control plane half stopped is up again before anything is decided about it.
    """
    with ExitStack() as stack:
        try:
            held = stack.enter_context(operate(name, operation))
        except (Held, NotFound) as reason:
            get_run_logger().info("%s is left alone this time: %s", name, reason)
            held = None
        if held is not None and _was_left_broken(held):
            converge(Verb.REPAIR)
        yield held


def sleep_decision(op: Operation) -> Decision:
    """Sleep or wake by the cluster's schedule."""
    activity = op.yard.store.activity.get(op.cluster.name)
    return _told(
        op,
        decide_hibernation(
            op.cluster,
            op.observe().phase,
            op.yard.clock.now(),
            hibernated_for_idleness=bool(activity and activity.hibernated_at),
            changed_by_hand=_changed_by_hand(op),
        ),
    )


def idle_decision(op: Operation) -> Decision:
    """Warn, hibernate, delete or keep: by TTL, or by evidence that nobody uses the cluster."""
    store, name = op.yard.store, op.cluster.name
    observed = op.observe()
    known = store.clusters.get(name)
    if known is None:
        return Decision(Action.KEEP, "nobody knows it any more")
    usage = _usage(op, observed.phase)
    activity = store.activity.get(name)
    if observed.phase is Phase.HIBERNATED and activity and _was_cut_off_asleep(op, activity.warned_at):
        activity = store.activity.hibernated(name, fence=op.lease.number)
    if usage is not None and usage.conclusive:
        activity = store.activity.record(name, usage.last_active, usage.evidence, "usage", fence=op.lease.number)
    record = Record(
        created_at=known.created_at,
        phase=observed.phase,
        last_active=activity.last_active_at if activity else None,
        warned_at=activity.warned_at if activity else None,
        hibernated_at=activity.hibernated_at if activity else None,
    )
    can_hibernate = isinstance(op.driver(), Hibernatable)
    return _told(op, decide_cleanup(op.cluster, record, usage, op.yard.clock.now(), can_hibernate=can_hibernate))


def warn_owner(op: Operation, reason: str) -> None:
    """Write the warning down, and tell it to whoever listens: automations turn the event into mail or chat."""
    name, owner = op.cluster.name, op.cluster.owner
    op.yard.store.activity.warned(name, fence=op.lease.number)
    get_run_logger().warning("%s of %s looks idle: %s", name, owner or "nobody in particular", reason)
    tell(name, "cluster.idle", {"cluster": name, "owner": owner, "reason": reason})


def fell_idle(op: Operation) -> None:
    """The cluster was put to sleep because nobody used it; the second grace runs from now.

    Written down last: a kill in between is noticed from the journal by the next clean-up, while a note of a sleep that
    did not happen would look as if somebody had woken the cluster.
    """
    op.yard.store.activity.hibernated(op.cluster.name, fence=op.lease.number)


def _was_left_broken(op: Operation) -> bool:
    """Is it broken because a step of upkeep was cut off? Nobody would run that again; all else waits for a person."""
    newest = newest_step(op, _STOPS)
    if newest is None or newest.outcome != "interrupted" or newest.operation not in SCHEDULED:
        return False
    return op.observe().phase is Phase.BROKEN


def _was_cut_off_asleep(op: Operation, warned_at: datetime | None) -> bool:
    """Was it clean-up that put it to sleep since the warning, perhaps in a run that died before it wrote that down?

    A sleep from before the warning is over: whoever put it to sleep since did so without Boatyard.
    """
    slept = newest_step(op, {Verb.HIBERNATE.value})
    return slept is not None and slept.operation == CLEAN_UP and warned_at is not None and slept.begun_at >= warned_at


def newest_step(op: Operation, verbs: Collection[str]) -> Entry | None:
    """The journal's newest entry of one of these verbs, not too long ago."""
    entries = op.yard.store.journal.list(op.cluster.name, limit=200)
    return next((entry for entry in reversed(entries) if entry.verb in verbs), None)


def _usage(op: Operation, phase: Phase) -> Usage | None:
    """Evidence of use, None where the cluster does not answer."""
    if phase is not Phase.RUNNING or op.cluster.policy.idle is None:
        return None
    from boatyard.drivers.talking import client_of
    from boatyard.kube.activity import usage

    try:
        with client_of(op.driver()) as client:
            return usage(client, op.yard.clock.now())
    except BoatyardError as error:
        return Usage(None, f"it could not be read ({error})", conclusive=False)


def _changed_by_hand(op: Operation) -> datetime | None:
    entries = op.yard.store.journal.list(op.cluster.name, limit=200)
    return max((e.begun_at for e in entries if e.operation in BY_HAND and e.outcome == "done"), default=None)


def _told(op: Operation, decision: Decision) -> Decision:
    get_run_logger().info("%s: %s, for %s", op.cluster.name, decision.action, decision.reason)
    return decision
