"""Which upgrades start now, and why the others do not: the scheduler of the whole fleet, without any I/O.

`decide` is a pure function of the rules, the fleet's state and the time. Whoever calls it carries out the starts, asks
the questions, and keeps the facts; then calls it again, as often as it likes: every ten minutes, by schedule.
"""

from datetime import UTC, datetime, timedelta

from boatyard.plan.admission import FLEET
from boatyard.plan.fleet import Ask, Attempt, FleetState, Halted, Outcome, Running, Schedule, Verdict
from boatyard.plan.model import Phase
from boatyard.plan.openings import Opening
from boatyard.plan.scheduler import Scheduler, Start
from boatyard.plan.seats import Seat
from boatyard.spec.types import format_duration
from boatyard.spec.waves import Waves

__all__ = ["Ask", "Halted", "Schedule", "Verdict", "decide", "explain"]

WHY = 300
"""Most letters of a reason why an upgrade did not come about; the journal has all of it."""


def decide(waves: Waves | None, state: FleetState, now: datetime) -> Schedule:
    """What starts now, in the whole fleet.

    waves: None for a fleet without `upgrades`: every cluster by itself, as its own window and channel allow.
    Deterministic: equal values in any order give the same schedule; ties go by ring, then by name.
    """
    if now.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be compared")
    now = now.astimezone(UTC)
    scheduler = Scheduler(waves, state, now)
    starts, facts = scheduler.look(now)
    asks = scheduler.asks
    for seat in scheduler.admission.left_over():
        seat.blocked_by = FLEET
    running = {each.name: each for each in state.running}
    started = {start.seat.member.name: _started(scheduler, start) for start in starts}
    verdicts = tuple(
        started.get(seat.member.name) or explain(scheduler, seat, now, running.get(seat.member.name))
        for seat in scheduler.seats
    )
    return Schedule(
        verdicts=verdicts,
        starts=tuple(started.values()),
        soaked=tuple(facts),
        asks=asks,
        halted=scheduler.halted,
    )


def _started(scheduler: Scheduler, start: Start) -> Verdict:
    seat = start.seat
    if seat.pools_behind:
        pools = ", ".join(sorted(seat.pools_behind))
        reason = f"pools {pools} are behind the control plane at {seat.version}"
    elif seat.half_done:
        reason = f"its upgrade to {seat.version} was begun and has not come to its end"
    elif start.forced:
        reason = f"support of {seat.version} ends, and this is the last window before, or it has ended already"
    else:
        reason = scheduler.choices.of(seat.key).reason
    asleep = seat.member.phase is Phase.HIBERNATED
    return Verdict(seat.member.name, reason, to=start.to, target=start.to, wake=asleep, forced=start.forced)


def explain(scheduler: Scheduler, seat: Seat, now: datetime, running: Running | None = None) -> Verdict:
    """Why a cluster does not start now: what lasts longest comes first.

    With a `now` in the past, for which the scheduler keeps the last opening: why it did not start then.
    """
    name = seat.member.name
    if seat.to is not None:
        since = f" since {running.begun.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if running is not None else ""
        return Verdict(name, f"its upgrade to {seat.to} is under way{since}", target=seat.to)
    if (reason := scheduler.excluded(seat)) is not None:
        return Verdict(name, reason)
    opening = scheduler.opening(seat, now)
    choice, (to, _) = scheduler.choices.of(seat.key), scheduler.wanted(seat, opening)
    if to is None:
        reason = choice.halt if seat.half_done and choice.halt is not None else choice.reason
        return Verdict(name, reason, target=choice.target)
    if seat.member.by_hand:
        reason = f"an upgrade to {to} is due, and its policy asks for approval: start upgrade-cluster"
    elif opening is None:
        reason = scheduler.calendars[seat.member.windows].why_closed(now)
    elif (attempt := scheduler.tried(seat, to, opening, now)) is not None:
        reason = _tried(scheduler, seat, attempt, opening)
    elif seat.member.expected > opening.end - now:
        reason = _no_fit(to, seat.member.expected, opening)
    else:
        reason = _limited(scheduler, seat) if seat.blocked_by is not None else f"an upgrade to {to} is due"
    return Verdict(name, reason, target=to)


def _tried(scheduler: Scheduler, seat: Seat, attempt: Attempt, opening: Opening) -> str:
    how = "was refused" if attempt.outcome is Outcome.BLOCKED else "failed"
    again = scheduler.again(attempt)
    fits = again is not None and again + seat.member.expected <= opening.end
    when = f"after {again:%H:%M} UTC" if again is not None and fits else "in its next window"
    why = f": {attempt.why.splitlines()[0][:WHY]}" if attempt.why else ""
    return f"its upgrade to {attempt.to} {how} at {attempt.ended:%H:%M} UTC and is tried again {when}{why}"


def _no_fit(to: str, needed: timedelta, opening: Opening) -> str:
    closes = opening.end.astimezone(UTC)
    return f"the upgrade to {to} takes about {format_duration(needed)}, and the window closes at {closes:%H:%M} UTC"


def _limited(scheduler: Scheduler, seat: Seat) -> str:
    limit = seat.blocked_by
    if not isinstance(limit, int):
        most = scheduler.admission.limits[limit]
        return f"{limit} already has {most} {'upgrade' if most == 1 else 'upgrades'} under way, and no more are allowed"
    busy = min(other.member.name for other in scheduler.seats if other.to is not None and limit in other.member.mutexes)
    return f"it is never upgraded together with {busy}, whose upgrade is under way"
