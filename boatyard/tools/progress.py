"""Progress for people: few lines, and estimates that rest on what was measured."""

import time
from collections.abc import Callable

Report = Callable[[str], None]


class Throttle:
    """Passes a line on at most once in `every` seconds."""

    def __init__(self, report: Report, *, every: float = 3.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._report, self._every, self._clock = report, every, clock
        self._next = clock() + every

    def __call__(self, line: Callable[[], str]) -> None:
        """`line` is only put together when its time has come."""
        now = self._clock()
        if now >= self._next:
            self._next = now + self._every
            self._report(line())


class Estimate:
    """Time left by the share of the work done so far; silent until that share means something."""

    def __init__(self, total: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._clock = max(total, 1.0), clock
        self._began = clock()

    def left(self, done: float) -> str:
        """` , about 3 min left`, or nothing in the first seconds and percents."""
        spent, share = self._clock() - self._began, done / self._total
        if spent < 5 or share < 0.03:
            return ""
        return f", about {duration(spent * max(0.0, 1 / share - 1))} left"


def duration(seconds: float) -> str:
    """`40 s` or `3 min`, rounded to what an estimate is worth."""
    if seconds < 55:
        return f"{max(5, round(seconds / 5) * 5)} s"
    return f"{max(1, round(seconds / 60))} min"


def megabytes(count: float) -> str:
    """`101 MB`."""
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{count / 1e3:,.0f} kB"
