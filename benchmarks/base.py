"""What every benchmark returns, and the little they share."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


class Skipped(Exception):
    """This machine lacks what the benchmark needs; the message says what, in one sentence without a full stop."""


@dataclass(frozen=True)
class Row:
    """One comparison. `ratio` is ours / theirs, so less is better; `goal` is the most it should be."""

    name: str
    ours: float
    theirs: float
    unit: str
    goal: float
    against: str
    notes: str = ""

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs if self.theirs else float("inf")

    @property
    def met(self) -> bool:
        return self.ratio <= self.goal

    def as_json(self) -> dict[str, Any]:
        """Keys: name, ours, theirs, unit, ratio, goal, against, notes."""
        row = asdict(self)
        row["ours"], row["theirs"], row["ratio"] = round(self.ours, 4), round(self.theirs, 4), round(self.ratio, 4)
        return row


def timed(work: Callable[[], object]) -> float:
    """Seconds that one call took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(work: Callable[[], object], times: int) -> float:
    """Median seconds of `times` calls."""
    return statistics.median(timed(work) for _ in range(times))
