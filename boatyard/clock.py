"""The one source of time. Everything that compares, schedules or expires takes a `Clock`, so tests own time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from boatyard.errors import DeadlineExceeded, Fenced


class Clock(Protocol):
    """Wall time in UTC, and a monotonic count of seconds for deadlines."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed on this clock; True if it was set."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(max(0.0, seconds))


class ManualClock:
    """A clock that moves only when told to; waiting on it moves it."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock needs a time zone")
        self._now = start.astimezone(UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        return self.now().timestamp()

    def advance(self, by: timedelta) -> None:
        with self._lock:
            self._now += by

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if event.is_set():
            return True
        self.advance(timedelta(seconds=max(0.0, seconds)))
        return event.is_set()


class ShiftedClock(SystemClock):
    """The machine's time, moved: for schedules weeks pass at once, while deadlines, waits and heartbeats stay real."""

    def __init__(self, start: datetime | None = None) -> None:
        self._offset = timedelta()
        if start is not None:
            self.set(start)

    def now(self) -> datetime:
        return super().now() + self._offset

    def set(self, to: datetime) -> None:
        """It is `to` now, and time goes on from there."""
        self._offset = to - super().now()

    def advance(self, by: timedelta) -> None:
        self._offset += by


class Stop(threading.Event):
    """Set once and for good to end an operation, with the reason. An event to wait for, and for those who wait for
    something else, a call that wakes them."""

    def __init__(self) -> None:
        super().__init__()
        self.why = ""
        self._guard = threading.Lock()
        self._calls: list[Callable[[], object]] = []

    def set(self, why: str = "the operation has ended") -> None:
        """Tell everybody; the first reason counts. why: one clause, without a full stop."""
        with self._guard:
            self.why = self.why or why
            super().set()
            calls, self._calls = self._calls, []
        for call in calls:
            call()

    @contextmanager
    def calling(self, call: Callable[[], object]) -> Iterator[None]:
        """While the block runs, `call` is called as soon as this is set, from whoever sets it; it must not block."""
        with self._guard:
            over = self.is_set()
            if not over:
                self._calls.append(call)
        if over:
            call()
        try:
            yield
        finally:
            with self._guard:
                if call in self._calls:
                    self._calls.remove(call)

    def check(self, what: str) -> None:
        """Raise `Fenced` when it is set. what: what is not gone on with."""
        if self.is_set():
            raise Fenced(f"{what} was broken off: {self.why}.", hint="Start it again to go on from what is there.")


@dataclass(frozen=True)
class Deadline:
    """A point in time by which something must have ended; `what` names it in the error. stopped: ends it sooner."""

    at: float
    what: str
    clock: Clock
    stopped: Stop = field(default_factory=Stop, compare=False)

    @classmethod
    def after(cls, seconds: float, what: str, clock: Clock, stopped: Stop | None = None) -> "Deadline":
        return cls(clock.monotonic() + seconds, what, clock, stopped or Stop())

    @property
    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - self.clock.monotonic())

    @property
    def passed(self) -> bool:
        return self.clock.monotonic() >= self.at

    def check(self, waiting_for: Callable[[], str] | str = "") -> None:
        """Raise `DeadlineExceeded` when the time is over, saying what was still awaited; `Fenced` when stopped."""
        self.stopped.check(self.what)
        if self.passed:
            rest = waiting_for() if callable(waiting_for) else waiting_for
            awaited = f": still waiting for {rest}." if rest else "."
            raise DeadlineExceeded(f"{self.what} did not end in time{awaited}")

    def named(self, what: str) -> "Deadline":
        """The same moment, under the name of a part of the work."""
        return replace(self, what=what)

    def sooner(self, seconds: float, what: str) -> "Deadline":
        """A deadline of its own for a part of the work, never later than this one."""
        return replace(self, at=min(self.at, self.clock.monotonic() + seconds), what=what)
