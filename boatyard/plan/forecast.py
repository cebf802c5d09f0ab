"""What the scheduler of upgrades will do in the time to come: the scheduler itself, run ahead from event to event.

Assumed, and to be said to whoever reads it: each upgrade takes as long as expected and ends well; health, freezes and
rules stay as they are; an approval is granted at the moment it is asked for; clusters neither come nor go.
"""

import heapq
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from boatyard.plan.fleet import Answer, Ask, FleetState, Halted, Soaked, Verdict
from boatyard.plan.scheduler import Scheduler
from boatyard.plan.seats import Seat
from boatyard.plan.waves import explain
from boatyard.spec.waves import Waves

EVERY = timedelta(minutes=10)
"""How often the maintenance flow looks; what becomes possible in between starts at its next look."""
YEAR = timedelta(days=365)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Move:
    """One upgrade of one cluster. forced: over soak or approval, since the support of `version` ends."""

    name: str
    ring: str | None
    version: str
    to: str
    begins: datetime
    ends: datetime
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Forecast:
    """From `since` to `until`.

    moves: in the order in which they begin. stays: one a cluster, by name: why it goes no further by the end of it.
    approvals: what people are asked, and when. soaked: which ring proves what, and when. halted: rings that stand still
    from the beginning.
    """

    since: datetime
    until: datetime
    moves: tuple[Move, ...]
    stays: tuple[Verdict, ...]
    approvals: tuple[tuple[datetime, Ask], ...] = ()
    soaked: tuple[Soaked, ...] = ()
    halted: tuple[Halted, ...] = ()


def forecast(
    waves: Waves | None, state: FleetState, now: datetime, *, period: timedelta = YEAR, every: timedelta = EVERY
) -> Forecast:
    """What happens in `period`. Releases with a future `since` come out then.

    every: time between two looks of the scheduler, counted from midnight UTC. The cost grows with what happens, not
    with clusters times looks.
    """
    if now.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be compared")
    run = _Run(waves, state, now.astimezone(UTC), every)
    return run.until(now.astimezone(UTC) + period)


class _Run:
    def __init__(self, waves: Waves | None, state: FleetState, now: datetime, every: timedelta) -> None:
        self._since = now
        self._every = every
        self._scheduler = Scheduler(waves, state, now)
        self._ends: list[tuple[datetime, str, Seat]] = []
        self._moves: list[Move] = []
        self._approvals: list[tuple[datetime, Ask]] = []
        self._soaked: list[Soaked] = []
        seats = self._scheduler.seats.by_name
        for running in state.running:
            seat = seats.get(running.name)
            if seat is not None and seat.to is not None:
                begun = running.begun.astimezone(UTC)
                self._begin(seat, seat.to, begun, max(now, begun + seat.member.expected), forced=False)

    def until(self, end: datetime) -> Forecast:
        now, halted = self._look_from(self._since), self._scheduler.halted
        while now < end:
            asked = self._look(now)
            now = self._next(now, asked)
        self._scheduler.choices.renew(())
        return Forecast(
            since=self._since,
            until=end,
            moves=tuple(self._moves),
            stays=tuple(self._stay(seat, end) for seat in self._scheduler.seats),
            approvals=tuple(self._approvals),
            soaked=tuple(self._soaked),
            halted=halted,
        )

    def _look(self, now: datetime) -> bool:
        """One look of the scheduler; whether its rings asked for an approval, which the next look finds granted."""
        while self._ends and self._ends[0][0] <= now:
            ended, _, seat = heapq.heappop(self._ends)
            self._scheduler.finish(seat, ended)
        starts, facts = self._scheduler.look(now)
        self._soaked += facts
        for start in starts:
            self._begin(start.seat, start.to, now, now + start.seat.member.expected, start.forced)
        asks = self._scheduler.asks
        for ask in asks:
            self._approvals.append((now, ask))
            self._scheduler.answer(Answer(ask.ring, ask.target, granted=True, at=now))
        return bool(asks)

    def _begin(self, seat: Seat, to: str, now: datetime, ends: datetime, forced: bool) -> None:
        heapq.heappush(self._ends, (ends, seat.member.name, seat))
        self._moves.append(Move(seat.member.name, seat.member.ring, seat.version, to, now, ends, forced))

    def _next(self, now: datetime, asked: bool) -> datetime:
        """The next look at which anything can have changed."""
        if asked:
            return now + self._every
        events = [self._scheduler.next_event, self._ends[0][0] if self._ends else None]
        first = min((event for event in events if event is not None), default=_NEVER)
        return max(self._look_from(first), now + self._every)

    def _look_from(self, moment: datetime) -> datetime:
        """The first look at `moment` or after it."""
        return _EPOCH - (_EPOCH - moment) // self._every * self._every

    def _stay(self, seat: Seat, end: datetime) -> Verdict:
        opening = self._scheduler.last_opening.get(seat.member.windows)
        return explain(self._scheduler, seat, end if opening is None else max(self._since, opening.start))
