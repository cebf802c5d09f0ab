"""The scheduler's working copy of the fleet: what changes of each cluster, in groups that share a decision."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from boatyard.plan.fleet import Member
from boatyard.plan.model import Phase
from boatyard.plan.targets import rank

AWAY = (Phase.ABSENT, Phase.PARTIAL)
"""Not there yet, or no longer: such a cluster proves nothing and holds nobody up."""
UP = (Phase.RUNNING, Phase.HIBERNATED)


class Key(NamedTuple):
    """Clusters with an equal key are open to the same versions. `ring` is a position."""

    ring: int
    kind: str
    channel: str
    version: str


class Seat:
    """One cluster: its `member` as it was given, and beside it what has become of it since."""

    __slots__ = (
        "arrived",
        "blocked_by",
        "half_done",
        "key",
        "limits",
        "member",
        "pools_behind",
        "reached",
        "ring",
        "ticket",
        "to",
        "version",
    )

    def __init__(self, member: Member, ring: int | None, limits: tuple[Hashable, ...]) -> None:
        self.member = member
        self.ring = ring
        self.limits = limits
        self.version = member.version
        self.key = Key(-1 if ring is None else ring, member.kind, member.channel, member.version)
        self.reached = member.reached
        self.pools_behind = member.pools_behind
        self.arrived = False
        """Whether an upgrade of it has ended well since it is here."""
        self.half_done = bool(member.pools_behind) or member.unfinished
        self.to: str | None = None
        """The version of the upgrade that is running."""
        self.ticket = 0
        """Raised with each place in the queue; entries with an older one are void."""
        self.blocked_by: Hashable = None
        """The limit that kept it from starting when it was last its turn."""

    def arrive(self, version: str, at: datetime) -> None:
        """An upgrade ended well."""
        self.arrived = True
        self.version, self.reached, self.pools_behind, self.half_done = version, at, (), False
        self.key = self.key._replace(version=version)

    @property
    def takes_part(self) -> bool:
        """Whether it is ever upgraded by schedule, and so has a say in what its ring has proved."""
        member = self.member
        given = self.ring is not None and bool(member.windows) and member.channel != "pinned"
        return given and not member.idle and member.phase not in AWAY

    @property
    def well(self) -> bool:
        """Whether it is up and healthy; asleep counts as up. Of one that could not be looked at nobody knows."""
        member = self.member
        return member.monitored and member.healthy and not member.unseen and member.phase in UP

    @property
    def arriving(self) -> bool:
        """Whether the upgrade to the version that its control plane shows already has not come to its end."""
        return self.half_done or (self.to is not None and rank(self.to) <= rank(self.version))

    @property
    def well_since(self) -> datetime:
        """Since when it has run its version in health; only of use while it is `well`."""
        return max(self.reached, self.member.health_since)


class Group:
    """Clusters with one key, and since when all of them have run their version in health."""

    __slots__ = ("_latest", "arriving", "seats", "unwell")

    def __init__(self) -> None:
        self.seats: set[Seat] = set()
        self.unwell: set[Seat] = set()
        self.arriving: set[Seat] = set()
        self._latest: datetime | None = None

    def add(self, seat: Seat) -> None:
        """One more; its `reached` does not change while it is here."""
        self.seats.add(seat)
        if not seat.well:
            self.unwell.add(seat)
        if seat.arriving:
            self.arriving.add(seat)
        if self._latest is not None:
            self._latest = max(self._latest, seat.well_since)

    def discard(self, seat: Seat) -> None:
        """One less."""
        self.seats.discard(seat)
        self.unwell.discard(seat)
        self.arriving.discard(seat)
        if seat.well_since == self._latest:
            self._latest = None

    @property
    def well_since(self) -> datetime:
        """Of the last of them; only of use while none is unwell."""
        if self._latest is None:
            self._latest = max(seat.well_since for seat in self.seats)
        return self._latest


class Seats:
    """All clusters: by name, and those that take part by ring and key."""

    def __init__(self, seats: Sequence[Seat]) -> None:
        self.by_name = {seat.member.name: seat for seat in seats}
        self.groups: defaultdict[int, dict[Key, Group]] = defaultdict(dict)
        for seat in seats:
            if seat.takes_part:
                self._join(seat)

    def __iter__(self) -> Iterator[Seat]:
        return iter(self.by_name.values())

    def depart(self, seat: Seat, to: str) -> None:
        """Its upgrade to `to` is under way."""
        seat.to = to
        if seat.takes_part and seat.arriving:
            self.groups[seat.key.ring][seat.key].arriving.add(seat)

    def arrive(self, seat: Seat, version: str, at: datetime) -> None:
        """Its upgrade to `version` ended well."""
        seat.to = None
        if not seat.takes_part:
            seat.arrive(version, at)
            return
        groups, key = self.groups[seat.key.ring], seat.key
        groups[key].discard(seat)
        if not groups[key].seats:
            del groups[key]
        seat.arrive(version, at)
        self._join(seat)

    def _join(self, seat: Seat) -> None:
        groups = self.groups[seat.key.ring]
        if seat.key not in groups:
            groups[seat.key] = Group()
        groups[seat.key].add(seat)
