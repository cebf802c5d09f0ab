"""The scheduler of upgrades: one working copy of the fleet, looked at as often as time goes on.

`boatyard.plan.waves.decide` looks once, `boatyard.plan.forecast` goes on for a year; both run what is here.
"""

import functools
import heapq
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from boatyard.plan.admission import FLEET, Admission
from boatyard.plan.choosing import Choices
from boatyard.plan.fleet import (
    Answer,
    Ask,
    Attempt,
    FleetState,
    Halted,
    Member,
    Offer,
    Outcome,
    Soaked,
    stays_cancelled,
)
from boatyard.plan.model import Phase
from boatyard.plan.openings import Calendar, Closed, Opening
from boatyard.plan.proving import Halts, Proofs, Ways
from boatyard.plan.seats import Key, Seat, Seats
from boatyard.spec.waves import Ring, Upgrades, Waves
from boatyard.versions import Minor

Windows = tuple[str, ...]

AGAIN = timedelta(hours=1)
"""What did not come about in a fleet without rules is left alone for so long, then tried again while it is open."""
_NOT_COME_ABOUT = (Outcome.FAILED, Outcome.BLOCKED)
"""What waits for a next try. Of one that a person cancelled only a person says when."""


@dataclass(frozen=True, slots=True)
class Start:
    """An upgrade that starts now. forced: soak days or approval were passed over, since support ends."""

    seat: Seat
    to: str
    forced: bool


class Scheduler:
    """Rules, state and what follows from them, at a time that only goes forward.

    Call `look` at a moment, then `finish` for upgrades that have ended, `look` again, and so on.
    """

    def __init__(self, waves: Waves | None, state: FleetState, now: datetime) -> None:
        self.waves = waves
        rules = waves.upgrades if waves is not None else None
        self._rings: tuple[Ring, ...] = rules.rings if rules is not None else ()
        self.admission = Admission(_limits(rules, state.members))
        self.seats = Seats([self._seat(member) for member in sorted(state.members, key=lambda each: each.name)])
        self._ways = Ways()
        self._offers = dict(state.offers)
        self._coming = sorted({each.since for offer in state.offers.values() for each in offer.releases}, reverse=True)
        self._proofs = Proofs(self._rings, self.seats, self._ways, state.soaked)
        self._halts = Halts(rules, self.seats, state.lifted)
        self.choices = Choices(self._rings, self._ways, self._proofs, self._halts, state.answers)
        self._stale = True
        for running in state.running:
            self._is_running(running.name, running.to)
        self._lanes: defaultdict[Windows, dict[Key, set[Seat]]] = defaultdict(dict)
        for seat in self.seats:
            if seat.to is None and self.schedulable(seat):
                self._lanes[seat.member.windows].setdefault(seat.key, set()).add(seat)
        closed = Closed(waves)
        self.calendars = {texts: Calendar(texts, closed, now) for texts in self._windows()}
        self._open: dict[Windows, Opening] = {}
        self.last_opening: dict[Windows, Opening] = {}
        self._opens: list[tuple[datetime, Windows]] = []
        self._again = sorted(
            (
                (again, seat)
                for seat in self.seats
                for each in seat.member.attempts
                if (again := self.again(each)) and again > now
            ),
            key=lambda pair: (pair[0], pair[1].member.name),
            reverse=True,
        )
        for texts, calendar in self.calendars.items():
            self._wait_for(texts, calendar.at(now) or calendar.after(now))

    @property
    def asks(self) -> tuple[Ask, ...]:
        """Approvals that are missing now."""
        return tuple(sorted(self.choices.asks, key=lambda ask: (ask.ring, ask.target)))

    @property
    def halted(self) -> tuple[Halted, ...]:
        """Rings that stand still by themselves, in order."""
        return tuple(halted for _, halted in sorted(self._halts.found.items()))

    @property
    def next_event(self) -> datetime | None:
        """When something changes by itself: an opening, the end of a soak, a release, another try."""
        moments = [self._proofs.next_due, self._opens[0][0] if self._opens else None, *self._coming[-1:]]
        moments += [again for again, _ in self._again[-1:]]
        return min((moment for moment in moments if moment is not None), default=None)

    def answer(self, answer: Answer) -> None:
        """A person's word came in."""
        self.choices.answer(answer)
        self._stale = True

    def look(self, now: datetime) -> tuple[list[Start], list[Soaked]]:
        """What starts now, in order, and the facts that are new."""
        if self._coming and self._coming[-1] <= now:
            self._take_offers(now)
        facts = self._proofs.settle(now)
        changed: set[Key] = set()
        if facts or self._stale:
            self._stale = False
            changed = self.choices.renew({key for lanes in self._lanes.values() for key in lanes})
        fresh = self._opening_now(now)
        for texts, opening in self._open.items() if changed else [(texts, self._open[texts]) for texts in fresh]:
            for key, seats in self._lanes[texts].items():
                if key in changed or texts in fresh:
                    for seat in seats:
                        self._enter(seat, opening)
        self._try_again(now)
        starts: list[Start] = []
        for seat, to in self.admission.admit(functools.partial(self._judge, now)):
            choice = self.choices.of(seat.key)
            starts.append(Start(seat, to, forced=to not in (choice.to, seat.version)))
            self._off_lane(seat)
            self.seats.depart(seat, to)
            seat.blocked_by = None
        return starts, facts

    def finish(self, seat: Seat, at: datetime) -> None:
        """The upgrade of a cluster ended well."""
        if seat.to is None:
            raise ValueError(f"no upgrade of {seat.member.name} is running")
        failed = self._halts.failed_at(seat) is not None
        self.admission.leave(seat)
        self.seats.arrive(seat, seat.to, at)
        self._proofs.ring_changed(seat.key.ring)
        if failed:
            self._halts.judge()
            self._stale = True
        if self.schedulable(seat):
            self._lanes[seat.member.windows].setdefault(seat.key, set()).add(seat)
            self.choices.of(seat.key)
            opening = self._open.get(seat.member.windows)
            if opening is not None:
                self._enter(seat, opening)

    def schedulable(self, seat: Seat) -> bool:
        """Whether the scheduler may ever start an upgrade of it, as it is."""
        return self.excluded(seat) is None and not seat.member.by_hand

    def excluded(self, seat: Seat) -> str | None:
        """Why a cluster is not upgraded by schedule at all, in one clause."""
        member = seat.member
        if seat.ring is None:
            return "no ring of the fleet matches its labels"
        if not member.windows:
            return "it has no maintenance window"
        if member.idle:
            return "it was hibernated for idleness and waits for a person to wake it"
        if (cancelled := self._halts.cancelled(seat)) is not None:
            return stays_cancelled(member.name, cancelled.to, cancelled.why, self._halts.ring_of(seat))
        if member.unseen:
            return f"it could not be looked at ({member.unseen})"
        if member.busy:
            return f"it is busy: {member.busy}"
        if member.phase is not Phase.RUNNING and (member.phase is not Phase.HIBERNATED or self.waves is None):
            return f"it is {member.phase}"
        if member.channel == "pinned":
            return "its channel is pinned"
        if self.waves is not None and not member.monitored:
            return "nobody has looked of late whether it is healthy: monitor-fleet does"
        if self.waves is not None and not member.healthy:
            return f"it is not healthy since {member.health_since:%Y-%m-%d %H:%M} UTC"
        return None

    def wanted(self, seat: Seat, opening: Opening | None) -> tuple[str | None, bool]:
        """What a cluster would take were there no limits, and whether that passes over soak or approval."""
        choice = self.choices.of(seat.key)
        if seat.half_done:
            return (seat.version if choice.halt is None else None), False
        if choice.in_need is None or opening is None or not self._urgent(seat, opening):
            return choice.to, False
        if choice.to is not None and _minor(choice.to) != _minor(seat.version):
            return choice.to, False
        return choice.in_need, True

    def opening(self, seat: Seat, now: datetime) -> Opening | None:
        """The opening of its windows that `now` lies in."""
        found = self.last_opening.get(seat.member.windows)
        return found if found is not None and found.start <= now < found.end else None

    def tried(self, seat: Seat, to: str, opening: Opening, now: datetime) -> Attempt | None:
        """The newest try of this very upgrade in this opening that did not come about and keeps it from another one."""
        found = [
            attempt
            for attempt in seat.member.attempts
            if attempt.to == to and attempt.begun >= opening.start and attempt.outcome in _NOT_COME_ABOUT
        ]
        last = max(found, key=lambda attempt: attempt.ended, default=None)
        if last is None or ((again := self.again(last)) is not None and again <= now):
            return None
        return last

    def again(self, attempt: Attempt) -> datetime | None:
        """When what did not come about may be tried again in the same opening; None for not at all."""
        return attempt.ended + AGAIN if self.waves is None and attempt.outcome in _NOT_COME_ABOUT else None

    def _try_again(self, now: datetime) -> None:
        """Clusters whose hour is over have a place in the queue once more."""
        while self._again and self._again[-1][0] <= now:
            _, seat = self._again.pop()
            opening = self.opening(seat, now)
            if opening is not None and seat.to is None and self.schedulable(seat):
                self._enter(seat, opening)

    def _judge(self, now: datetime, seat: Seat) -> str | None:
        opening = self.opening(seat, now)
        if opening is None or seat.member.expected > opening.end - now:
            return None
        to, _ = self.wanted(seat, opening)
        return None if to is None or self.tried(seat, to, opening, now) else to

    def _enter(self, seat: Seat, opening: Opening) -> None:
        if self.wanted(seat, opening)[0] is not None:
            place = (not self._urgent(seat, opening), opening.end, seat.key.ring, seat.member.name)
            self.admission.enter(seat, place)

    def _urgent(self, seat: Seat, opening: Opening) -> bool:
        """Whether this is the last opening in which it can leave its minor before the support of that ends."""
        member = seat.member
        if member.at_end_of_support != "upgrade":
            return False
        offer = self._offers.get(member.kind)
        end = offer.support_ends.get(_minor(seat.version)) if offer is not None else None
        return end is not None and self.calendars[member.windows].is_last(opening, member.expected, end)

    def _off_lane(self, seat: Seat) -> None:
        lanes = self._lanes[seat.member.windows]
        lanes[seat.key].discard(seat)
        if not lanes[seat.key]:
            del lanes[seat.key]

    def _opening_now(self, now: datetime) -> list[Windows]:
        """The windows that have opened since the last look."""
        fresh = []
        for texts in [texts for texts, opening in self._open.items() if opening.end <= now]:
            del self._open[texts]
        while self._opens and self._opens[0][0] <= now:
            _, texts = heapq.heappop(self._opens)
            calendar = self.calendars[texts]
            opening = calendar.at(now)
            if opening is not None:
                self._open[texts] = self.last_opening[texts] = opening
                fresh.append(texts)
            self._wait_for(texts, calendar.after(now))
        return fresh

    def _wait_for(self, texts: Windows, opening: Opening | None) -> None:
        if opening is not None:
            heapq.heappush(self._opens, (opening.start, texts))

    def _take_offers(self, now: datetime) -> None:
        while self._coming and self._coming[-1] <= now:
            self._coming.pop()
        for kind, offer in self._offers.items():
            self._ways.offer(kind, _offered(offer, now))
        self._proofs.offers_changed()
        self._stale = True

    def _is_running(self, name: str, to: str) -> None:
        seat = self.seats.by_name.get(name)
        if seat is None:
            self.admission.used[FLEET] += 1
        elif seat.to is None:
            self.seats.depart(seat, to)
            self.admission.occupy(seat)

    def _windows(self) -> Iterable[Windows]:
        return {seat.member.windows for seat in self.seats if seat.member.windows}

    def _seat(self, member: Member) -> Seat:
        if member.reached.tzinfo is None or member.health_since.tzinfo is None:
            raise ValueError(f"a moment of {member.name} has no time zone")
        limits: list[Hashable] = [_account(member.account)] if member.account is not None else []
        ring = 0 if not self._rings else None
        for at, each in enumerate(self._rings):
            if each.name == member.ring:
                ring = at
                limits.append(_ring(each.name))
        limits += [_mutex(at) for at in sorted(member.mutexes)]
        known = tuple(limit for limit in limits if limit in self.admission.limits)
        return Seat(member, ring, known)


def _limits(rules: Upgrades | None, members: Iterable[Member]) -> dict[Hashable, int]:
    if rules is None:
        return {}
    limits: dict[Hashable, int | None] = {FLEET: rules.max_parallel}
    limits |= {_ring(ring.name): ring.max_parallel for ring in rules.rings}
    limits |= {_account(member.account): rules.max_parallel_per_account for member in members}
    limits |= {_mutex(at): 1 for at in range(len(rules.never_together))}
    return {limit: most for limit, most in limits.items() if most is not None}


def _ring(name: str) -> Hashable:
    return f"ring {name}"


def _account(name: str | None) -> Hashable:
    return f"account {name}"


def _mutex(at: int) -> Hashable:
    return at


def _offered(offer: Offer, now: datetime) -> tuple[str, ...]:
    return tuple(sorted({release.version for release in offer.releases if release.since <= now}))


@functools.lru_cache(maxsize=4096)
def _minor(version: str) -> str:
    return str(Minor.parse(version))
