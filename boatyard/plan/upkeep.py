"""What Boatyard does by itself, and when: clean-up, sleep by schedule, maintenance. Decisions only, no I/O.

Each function takes what is known and `now`, and returns a `Decision` whose reason a person can follow. In doubt, keep.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from boatyard.plan.model import Phase
from boatyard.spec.models import Cluster, Hibernate, Idle
from boatyard.spec.types import format_duration
from boatyard.spec.windows import SleepSchedule

_CLOCK_SKEW = timedelta(minutes=5)
"""A time further in the future than this is a wrong clock, and no reason to act."""


class Action(StrEnum):
    """What to do with one cluster."""

    KEEP = "keep"
    WARN = "warn"
    CLEAR_WARNING = "clear-warning"
    """It is in use again, or somebody woke it: clean-up starts from the beginning."""
    HIBERNATE = "hibernate"
    WAKE = "wake"
    DELETE = "delete"
    UPGRADE = "upgrade"


@dataclass(frozen=True)
class Decision:
    """`reason`: one clause for people, without the cluster's name. `to`: the version of an UPGRADE."""

    action: Action
    reason: str
    to: str | None = None


@dataclass(frozen=True)
class Usage:
    """Evidence of use. `last_active`: the newest use seen, None when there was none to see.

    evidence: one line for people. conclusive: False when something could not be read; then nothing may be concluded.
    """

    last_active: datetime | None
    evidence: str
    conclusive: bool


@dataclass(frozen=True)
class Record:
    """What the fleet remembers of a cluster.

    last_active: the newest use ever recorded. warned_at, hibernated_at: how far clean-up for idleness has gone; a
    cluster that sleeps by schedule or by hand has no `hibernated_at`.
    """

    created_at: datetime
    phase: Phase
    last_active: datetime | None = None
    warned_at: datetime | None = None
    hibernated_at: datetime | None = None


def decide_cleanup(
    cluster: Cluster, record: Record, usage: Usage | None, now: datetime, *, can_hibernate: bool = True
) -> Decision:
    """KEEP, WARN, CLEAR_WARNING, HIBERNATE or DELETE, in this order of precedence:

    protected and exempt clusters stay; a TTL that has passed deletes, busy or not, since it was promised; without an
    idle policy or without conclusive evidence nothing happens; else warn → grace → hibernate → grace → delete.
    usage: None when the cluster does not answer. can_hibernate: False skips the sleep, both graces still pass.
    """
    if now.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be compared")
    policy = cluster.policy
    if record.phase is Phase.ABSENT:
        return _keep("there is no cluster")
    if policy.protect or policy.exempt:
        return _keep("it is protected" if policy.protect else "it is exempt from clean-up")
    if policy.ttl is not None and now >= record.created_at + policy.ttl:
        born = f"{record.created_at:%Y-%m-%d %H:%M} UTC"
        return Decision(Action.DELETE, f"its time to live of {format_duration(policy.ttl)} since {born} is over")
    if policy.idle is None:
        return _in_use(record, "it has no idle policy")
    if record.phase is Phase.HIBERNATED:
        return _asleep(policy.idle, record, now)
    if record.phase is not Phase.RUNNING or usage is None:
        return _keep("it does not answer, so nothing is known of its use")
    if not usage.conclusive:
        return _keep(f"the evidence is not conclusive: {usage.evidence}")
    return _awake(cluster, policy.idle, record, usage, now, can_hibernate)


def _asleep(idle: Idle, record: Record, now: datetime) -> Decision:
    if record.hibernated_at is None:
        return _keep("it sleeps by schedule or by hand, which is no evidence of idleness")
    if not idle.delete:
        return _keep("it was hibernated for idleness, and its policy keeps it so")
    end = record.hibernated_at + idle.grace
    if now < end:
        return _keep(f"it was hibernated for idleness and is deleted at {end:%Y-%m-%d %H:%M} UTC unless woken")
    return Decision(
        Action.DELETE, f"nobody woke it in the {format_duration(idle.grace)} since it was hibernated for idleness"
    )


def _awake(cluster: Cluster, idle: Idle, record: Record, usage: Usage, now: datetime, can_hibernate: bool) -> Decision:
    if record.hibernated_at is not None:
        return Decision(Action.CLEAR_WARNING, "somebody woke it after it was hibernated for idleness")
    last = max(at for at in (usage.last_active, record.last_active, record.created_at) if at is not None)
    if last > now + _CLOCK_SKEW:
        return _keep(f"its last use lies in the future ({last:%Y-%m-%d %H:%M} UTC): a clock is wrong")
    if idle_time(cluster.policy.hibernate, last, now, enough=idle.after) < idle.after:
        return _in_use(record, f"it was used at {last:%Y-%m-%d %H:%M} UTC: {usage.evidence}")
    since = f"no use since {last:%Y-%m-%d %H:%M} UTC: {usage.evidence}"
    if record.warned_at is None or last > record.warned_at:
        return Decision(Action.WARN, since)
    end = record.warned_at + idle.grace
    if now < end:
        return _keep(f"its owner was warned; it is hibernated at {end:%Y-%m-%d %H:%M} UTC unless used")
    if can_hibernate:
        return Decision(Action.HIBERNATE, f"{since}; its owner was warned {format_duration(idle.grace)} ago")
    if not idle.delete:
        return _keep(f"{since}; it cannot hibernate, and its policy does not delete")
    if now < end + idle.grace:
        return _keep(
            f"{since}; it cannot hibernate and is deleted at {end + idle.grace:%Y-%m-%d %H:%M} UTC unless used"
        )
    return Decision(Action.DELETE, f"{since}; it cannot hibernate, and both graces are over")


def idle_time(schedule: Hibernate | None, last: datetime, now: datetime, *, enough: timedelta) -> timedelta:
    """How long the cluster was awake between `last` and `now`: scheduled sleep is no idleness.

    Counting stops once `enough` is reached.
    """
    if schedule is None or last >= now:
        return max(timedelta(), now - last)
    sleep = SleepSchedule.parse(schedule.sleep, schedule.wake, schedule.timezone)
    awake, at = timedelta(), last
    while at < now and awake < enough:
        change = sleep.next_change(at)
        until = min(now, change[0]) if change else now
        if not sleep.should_sleep(at):
            awake += until - at
        at = until
    return awake


def _in_use(record: Record, reason: str) -> Decision:
    return Decision(Action.CLEAR_WARNING if record.warned_at else Action.KEEP, reason)


def _keep(reason: str) -> Decision:
    return Decision(Action.KEEP, reason)


def decide_hibernation(
    cluster: Cluster,
    phase: Phase,
    now: datetime,
    *,
    hibernated_for_idleness: bool = False,
    changed_by_hand: datetime | None = None,
) -> Decision:
    """HIBERNATE, WAKE or KEEP by `policy.hibernate`.

    changed_by_hand: when a person last put it to sleep or woke it; that holds until the next change of the schedule.
    """
    policy = cluster.policy.hibernate
    if policy is None:
        return _keep("it has no sleep schedule")
    if phase not in (Phase.RUNNING, Phase.HIBERNATED):
        return _keep(f"it is {phase}")
    schedule = SleepSchedule.parse(policy.sleep, policy.wake, policy.timezone)
    asleep = schedule.should_sleep(now)
    if asleep is (phase is Phase.HIBERNATED):
        return _keep("it is as its schedule says")
    begun = [at for at, _ in schedule.changes(now) if at <= now.astimezone(UTC)][-1]
    if changed_by_hand is not None and changed_by_hand > begun:
        return _keep("a person changed it since the schedule last did")
    if asleep:
        return Decision(Action.HIBERNATE, f"its schedule says asleep from {policy.sleep} {policy.timezone}")
    if hibernated_for_idleness:
        return _keep("it was hibernated for idleness and waits for a person to wake it")
    return Decision(Action.WAKE, f"its schedule says awake from {policy.wake} {policy.timezone}")
