"""What each ring has proved, by soak time that only healthy clusters earn; and failures, which stop what is behind."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from boatyard.plan.fleet import Attempt, Halted, Lift, Member, Outcome, Soaked
from boatyard.plan.seats import Group, Key, Seat, Seats
from boatyard.plan.targets import Way, finished, rank, way
from boatyard.spec.types import format_duration
from boatyard.spec.wave_rules import NO_RING
from boatyard.spec.waves import Ring, Upgrades
from boatyard.words import some


class Ways:
    """What each group of clusters may take, from the versions that are offered now."""

    def __init__(self) -> None:
        self.offered: dict[str, tuple[str, ...]] = {}
        self._known: dict[tuple[str, str, str], Way] = {}

    def offer(self, kind: str, versions: Sequence[str]) -> None:
        """From now on, clusters of this kind can run these."""
        self.offered[kind] = tuple(versions)
        self._known.clear()

    def of(self, key: Key) -> Way:
        """What clusters of that key may take."""
        short = (key.kind, key.channel, key.version)
        found = self._known.get(short)
        if found is None:
            found = self._known[short] = way(key.channel, self.offered.get(key.kind, ()), key.version)
        return found

    def leads_to(self, key: Key, target: str) -> bool:
        """Whether the channel of clusters of that key goes to `target`, past it or through it. Yes where that cannot be
        told, since their provider does not say now what it offers."""
        if not self.offered.get(key.kind):
            return True
        goal = self.of(key).goal
        return goal is not None and rank(goal) >= rank(target)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a ring is with a target. since: soak time counts from here, None while it cannot; then one of the others.

    behind: groups of clusters that have yet to come to it. arriving: clusters whose upgrade to it has not come to its
    end. unwell: clusters that run it and are not healthy. None of these: no cluster of the ring goes there.
    """

    since: datetime | None = None
    behind: tuple[Key, ...] = ()
    arriving: tuple[Seat, ...] = ()
    unwell: tuple[Seat, ...] = ()


class Proofs:
    """Which ring has proved which target.

    A ring has proved a target once all its clusters whose channel leads there run it, or a newer version, and those
    that run it, to the last pool, have all been healthy for the ring's soak time since they came to it. Where all have
    gone beyond it, that is asked of the newer versions. Once proved stays proved. A ring in which no cluster takes part
    has nothing to prove, unless it has proved something before: its clusters may be back tomorrow.
    """

    def __init__(self, rings: Sequence[Ring], seats: Seats, ways: Ways, soaked: Iterable[Soaked]) -> None:
        positions = {ring.name: at for at, ring in enumerate(rings)}
        self._rings = rings[:-1]  # nobody waits for the last
        self._seats = seats
        self._ways = ways
        self._proved = {(positions[fact.ring], fact.target) for fact in soaked if fact.ring in positions}
        self._proving = {ring for ring, _ in self._proved}
        self._due: dict[tuple[int, str], datetime] = {}
        self._open: list[set[str]] = [set() for _ in self._rings]
        self._changed = set(range(len(self._rings)))
        self._floor = min((rank(seat.version) for seat in seats if seat.takes_part), default=None)

    @property
    def next_due(self) -> datetime | None:
        """When the next soak ends, if nothing changes until then."""
        return min(self._due.values(), default=None)

    def offers_changed(self) -> None:
        """Versions came out or went."""
        versions = {version for offered in self._ways.offered.values() for version in offered}
        wanted = {v for v in versions if finished(v) and self._floor is not None and rank(v) >= self._floor}
        for at, targets in enumerate(self._open):
            targets |= {version for version in wanted if (at, version) not in self._proved}
        self._changed.update(range(len(self._rings)))

    def ring_changed(self, ring: int) -> None:
        """A cluster of it came to another version."""
        if ring < len(self._rings):
            self._changed.add(ring)

    def settle(self, now: datetime) -> list[Soaked]:
        """The facts that are new."""
        for ring in self._changed:
            for target in self._open[ring]:
                self._measure(ring, target)
        self._changed.clear()
        ended = [key for key, due in self._due.items() if due <= now]
        for ring, target in ended:
            del self._due[ring, target]
            self._open[ring].discard(target)
            self._proved.add((ring, target))
        return [Soaked(self._rings[ring].name, target, now) for ring, target in sorted(ended)]

    def _measure(self, ring: int, target: str) -> None:
        since = self.standing(ring, target).since
        if since is None:
            self._due.pop((ring, target), None)
        else:
            self._due[ring, target] = since + self._rings[ring].soak

    def standing(self, ring: int, target: str) -> Standing:
        """How far a ring is with a target that it has not proved."""
        wanted = rank(target)
        at: list[Group] = []
        beyond: list[Group] = []
        behind: list[Key] = []
        for key, group in self._seats.groups[ring].items():
            version = rank(key.version)
            if version == wanted:
                at.append(group)
            elif version > wanted:
                beyond.append(group)
            elif self._ways.leads_to(key, target):
                behind.append(key)
        if behind:
            return Standing(behind=tuple(behind))
        counted = at or beyond
        if arriving := tuple(seat for group in counted for seat in group.arriving):
            return Standing(arriving=arriving)
        unwell = tuple(seat for group in counted for seat in group.unwell)
        if unwell or not counted:
            return Standing(unwell=unwell)
        return Standing(since=max(group.well_since for group in counted))

    def missing(self, ring: int, target: str) -> str | None:
        """Why `ring` may not take the target yet, in one clause; None once every ring before it has proved it."""
        for before in range(min(ring, len(self._rings))):
            if (before, target) in self._proved:
                continue
            if self._seats.groups[before]:
                return self._words(before, target)
            if before in self._proving:
                name = self._rings[before].name
                return (
                    f"ring {name} has no cluster now that takes part and could prove {target}, as it did for others:"
                    " give it one, or take it out of the rules"
                )
        return None

    def passed_over(self, ring: int) -> str:
        """Which rings before had no cluster that could prove anything, as the end of a sentence."""
        before = range(min(ring, len(self._rings)))
        empty = [self._rings[at].name for at in before if not self._seats.groups[at] and at not in self._proving]
        if not empty:
            return ""
        which = f"ring {empty[0]} has" if len(empty) == 1 else f"rings {', '.join(empty)} have"
        return f"; {which} no cluster that takes part, so nothing was tried there"

    def _words(self, ring: int, target: str) -> str:
        name, standing = self._rings[ring].name, self.standing(ring, target)
        if standing.since is not None:
            end, soak = standing.since + self._rings[ring].soak, format_duration(self._rings[ring].soak)
            return f"ring {name} soaks {target} for {soak}, until {end.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if standing.behind:
            seats = [seat for key in standing.behind for seat in self._seats.groups[ring][key].seats]
            first = min(seats, key=lambda seat: seat.member.name)
            rest = f" and {len(seats) - 1} more are" if len(seats) > 1 else " is"
            at = first.version if len(standing.behind) == 1 else "older versions"
            return f"ring {name} has not soaked {target}: {first.member.name}{rest} still at {at}"
        if standing.arriving:
            first = min(standing.arriving, key=lambda seat: seat.member.name)
            return f"ring {name} has not soaked {target}: the upgrade of {first.member.name} has not come to its end"
        if standing.unwell:
            first = min(standing.unwell, key=lambda seat: seat.member.name)
            known = first.member.monitored and not first.member.unseen
            how = "is not healthy" if known else "has not been looked at of late"
            return f"ring {name} earns no soak time for {target}: {first.member.name} {how}"
        return f"no cluster of ring {name} goes to {target}, so it cannot be proved there"


class Halts:
    """Rings that stopped by themselves; without rings the whole fleet, as the ring `default`."""

    def __init__(self, rules: Upgrades | None, seats: Seats, lifted: Iterable[Lift]) -> None:
        self._rules = rules
        self._names = [ring.name for ring in rules.rings] or [NO_RING] if rules is not None else []
        self._seats = seats
        self._lifted: dict[str, datetime] = {}
        for lift in lifted:
            self._lifted[lift.ring] = max(lift.at, self._lifted.get(lift.ring, lift.at))
        self.found: dict[int, Halted] = {}
        self.judge()

    def judge(self) -> None:
        """Look at all clusters again."""
        self.found = {}
        for at, ring in enumerate(self._names):
            seats = [seat for group in self._seats.groups[at].values() for seat in group.seats]
            failed = sorted((seat.member.name, to) for seat in seats if (to := self.failed_at(seat)) is not None)
            cancelled = sorted((seat.member.name, it.to) for seat in seats if (it := self.cancelled(seat)) is not None)
            if cancelled:
                self.found[at] = _cancelled(ring, cancelled, failed)
            elif self._rules is not None and failed and len(failed) / len(seats) >= self._rules.halt.ratio:
                self.found[at] = _halted(ring, failed, len(seats))

    def ring_of(self, seat: Seat) -> str:
        """The name under which a person lets a cluster's ring go on."""
        return self._names[seat.ring] if self._names and seat.ring is not None else NO_RING

    def cancelled(self, seat: Seat) -> Attempt | None:
        """The upgrade of it that a person cancelled, until somebody has gone on with it or let its ring go on."""
        last = _last(seat.member)
        if last is None or last.outcome is not Outcome.CANCELLED or seat.arrived:
            return None
        lifted = self._lifted.get(self.ring_of(seat))
        return last if lifted is None or last.ended > lifted else None

    def failed_at(self, seat: Seat) -> str | None:
        """The version at which a cluster failed, as long as that is neither mended nor lifted."""
        member = seat.member
        if self._rules is None or not member.attempts or seat.ring is None:
            return None
        lifted, last = self._lifted.get(self.ring_of(seat)), _last(member)
        if last is None:
            return None
        if last.outcome in (Outcome.FAILED, Outcome.CANCELLED):
            is_open = not seat.arrived and (lifted is None or last.ended > lifted)
            return last.to if is_open else None
        soon = member.health_since <= seat.reached + self._rules.halt.within
        found_ill = member.monitored and not member.healthy
        is_open = found_ill and soon and (lifted is None or member.health_since > lifted)
        return seat.version if is_open else None

    def against(self, ring: int, target: str) -> str | None:
        """Why a ring must not start `target`, in one clause. In the ring itself a newer one than what failed may."""
        for at, halted in self.found.items():
            if at < ring:
                return f"ring {halted.ring} is halted: {halted.reason}"
        own = self.found.get(ring)
        if own is not None and rank(target) <= rank(own.target):
            return f"its ring is halted: {own.reason}"
        return None


def _last(member: Member) -> Attempt | None:
    """Its newest upgrade that was more than refused."""
    ended = [attempt for attempt in member.attempts if attempt.outcome is not Outcome.BLOCKED]
    return max(ended, key=lambda attempt: (attempt.ended, attempt.begun, attempt.to), default=None)


def _halted(ring: str, failed: Sequence[tuple[str, str]], of: int) -> Halted:
    names, target = _names(failed), _newest(failed)
    reason = f"{len(names)} of the {of} clusters of ring {ring} failed at {target} or before it ({some(names)})"
    return Halted(ring, target, names, reason)


def _cancelled(ring: str, cancelled: Sequence[tuple[str, str]], failed: Sequence[tuple[str, str]]) -> Halted:
    """A person's word needs no share of the ring."""
    reason = f"a person cancelled the upgrade of {some(_names(cancelled))} to {_newest(cancelled)}"
    return Halted(ring, _newest([*cancelled, *failed]), _names(failed), reason)


def _names(those: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(name for name, _ in those)


def _newest(those: Sequence[tuple[str, str]]) -> str:
    return max((to for _, to in those), key=rank)
