"""Following the store: databases say nothing by themselves, so it is looked at every half second."""

import threading
from collections.abc import Callable, Iterator

from boatyard.clock import Clock, SystemClock

EVERY = 0.5
"""Seconds between two looks."""


def ticks(clock: Clock | None = None) -> Iterator[None]:
    """Once now, then again every half second, until the reader stops."""
    clock = clock or SystemClock()
    never = threading.Event()
    while True:
        yield
        clock.wait(never, EVERY)


def changes(look: Callable[[], object], clock: Clock | None = None) -> Iterator[None]:
    """Once now, then each time `look` answers something else."""
    last: object = object()
    for _ in ticks(clock):
        now = look()
        if now != last:
            last = now
            yield
