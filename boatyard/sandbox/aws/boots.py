"""Machines take their time to boot: what is launched now joins its cluster later."""

from dataclasses import replace
from datetime import datetime, timedelta

from boatyard.clock import Clock
from boatyard.sandbox.aws.model import Wanted


class Boots:
    """Of one cluster. seconds: from a machine's launch until its kubelet, or its control plane, starts."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._takes, self._clock = timedelta(seconds=seconds), clock
        self._ends: dict[str, datetime] = {}
        self._coming: list[datetime] = []

    def up(self, wanted: Wanted) -> Wanted:
        """The cluster with those of its machines that have booted."""
        now = self._clock.now()
        self._ends = {one.identity: self._ends.get(one.identity, now + self._takes) for one in wanted.machines}
        self._coming = [end for end in self._ends.values() if end > now]
        return replace(wanted, machines=tuple(one for one in wanted.machines if self._ends[one.identity] <= now))

    @property
    def left(self) -> float | None:
        """Seconds until the next machine that was not up at the last look is; None when all were."""
        return max(0.0, (min(self._coming) - self._clock.now()).total_seconds()) if self._coming else None
