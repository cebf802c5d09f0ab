"""Who starts, in which order, within the limits: a queue that remembers what each cluster in it waits for."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import datetime

from boatyard.plan.seats import Seat

FLEET = "the fleet"
"""The limit that every cluster falls under."""

Place = tuple[bool, datetime, int, str]
"""Place in the queue: not urgent, end of the opening, ring, name."""
_Entry = tuple[Place, int, Seat, Hashable]


class Admission:
    """Clusters that could start but for the limits.

    limits: how many upgrades may run at the same time under each; a seat names those that concern it. The order is by
    place, always: who is held up by a limit lets others pass, and is next once that limit has room.
    """

    def __init__(self, limits: Mapping[Hashable, int]) -> None:
        self.limits = limits
        self.used: Counter[Hashable] = Counter()
        self._queue: list[_Entry] = []
        self._parked: defaultdict[Hashable, list[_Entry]] = defaultdict(list)

    def enter(self, seat: Seat, place: Place) -> None:
        """Queue a cluster; an earlier place of it is void from now on."""
        seat.ticket += 1
        heapq.heappush(self._queue, (place, seat.ticket, seat, None))

    def occupy(self, seat: Seat) -> None:
        """Its upgrade has started."""
        self.used[FLEET] += 1
        self.used.update(seat.limits)
        seat.ticket += 1

    def leave(self, seat: Seat) -> None:
        """Its upgrade has ended: whoever waits for the same limit has another try."""
        self.used[FLEET] -= 1
        self.used.subtract(seat.limits)
        for limit in seat.limits:
            self._unpark(limit)

    def admit(self, judge: Callable[[Seat], str | None]) -> Iterator[tuple[Seat, str]]:
        """Those who start now, while there is room, and to what version: `judge` says so, or None for not at all."""
        while self._queue and self._room(FLEET):
            place, ticket, seat, origin = heapq.heappop(self._queue)
            if ticket == seat.ticket and (to := judge(seat)) is not None:
                full = next((limit for limit in seat.limits if not self._room(limit)), None)
                if full is None:
                    self.occupy(seat)
                    yield seat, to
                else:
                    seat.blocked_by = full
                    heapq.heappush(self._parked[full], (place, ticket, seat, None))
            if origin is not None:
                self._unpark(origin)

    def left_over(self) -> Iterator[Seat]:
        """Those who had no turn because the fleet's own limit was reached."""
        return (seat for _, ticket, seat, _ in self._queue if ticket == seat.ticket)

    def _room(self, limit: Hashable) -> bool:
        most = self.limits.get(limit)
        return most is None or self.used[limit] < most

    def _unpark(self, limit: Hashable) -> None:
        """The first of those who wait for a limit joins the queue; the next one follows once that one had its turn."""
        parked = self._parked.get(limit)
        if parked and self._room(limit):
            place, ticket, seat, _ = heapq.heappop(parked)
            heapq.heappush(self._queue, (place, ticket, seat, limit))
