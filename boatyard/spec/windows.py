"""Maintenance windows and sleep schedules: pure arithmetic on wall-clock times of a zone; no clock is read here.

Days with a clock change: a time that is skipped means the moment of the change; a time that comes twice means the first
of the two. So a window never stays open longer than a person in that zone would expect from the first time the hand
reaches its end, and a window that lies wholly inside the skipped hour does not open on that day.
"""

import functools
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = timedelta(days=1)


@functools.cache
def known_zone(name: str) -> bool:
    """Whether the time zone database has `name`."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def zone_names() -> tuple[str, ...]:
    """Every time zone there is; walks the database, so only for error messages and forms."""
    return tuple(sorted(zoneinfo.available_timezones()))


def instant(day: date, at: time, zone: zoneinfo.ZoneInfo) -> datetime:
    """The moment, in UTC, when the clocks of `zone` show `at` on `day`; see above for clock changes."""
    local = datetime.combine(day, at, zone)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    # Skipped: the offset before the change puts the moment after it, the offset after the change puts it before.
    before, after = local.replace(fold=1).astimezone(UTC), moment
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        before, after = (middle, after) if middle.astimezone(zone).utcoffset() == old else (before, middle)
    return after


def _aware(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be compared with a window")
    return now.astimezone(UTC)


@dataclass(frozen=True)
class WeekMoment:
    """A time on one day of the week (0 is Monday), or on every day when `day` is None."""

    day: int | None
    at: time

    @classmethod
    def parse(cls, text: str) -> "WeekMoment":
        """From `Fri 20:00` or `daily 20:00`."""
        day, at = text.split(" ")
        return cls(None if day == "daily" else DAYS.index(day), time.fromisoformat(at))

    def falls_on(self, day: date) -> bool:
        return self.day is None or self.day == day.weekday()


@dataclass(frozen=True)
class Window:
    """When maintenance may disrupt: from `opens` (inclusive) to `until` (exclusive).

    It runs over midnight when `until` is not later; equal times mean a whole day. All results are in UTC.
    """

    opens: WeekMoment
    until: time
    zone: zoneinfo.ZoneInfo

    @classmethod
    def parse(cls, text: str) -> "Window":
        """From `Sat 02:00-06:00 Europe/Berlin`; UTC when no zone is given. The text has passed the spec's checks."""
        day, hours, *zone = text.split(" ")
        start, end = hours.split("-")
        return cls(
            WeekMoment.parse(f"{day} {start}"), time.fromisoformat(end), zoneinfo.ZoneInfo(zone[0] if zone else "UTC")
        )

    def openings(self, around: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Start and end of the openings from two days before `around` to five weeks after it, in order."""
        today = _aware(around).astimezone(self.zone).date()
        for days in range(-2, 36):
            day = today + days * _DAY
            if self.opens.falls_on(day):
                start = instant(day, self.opens.at, self.zone)
                end = instant(day if self.until > self.opens.at else day + _DAY, self.until, self.zone)
                if start < end:
                    yield start, end

    def is_open(self, now: datetime) -> bool:
        return self.closes_at(now) is not None

    def closes_at(self, now: datetime) -> datetime | None:
        """The end of the opening that `now` lies in; None when the window is closed."""
        moment = _aware(now)
        return next((end for start, end in self.openings(now) if start <= moment < end), None)

    def next_open(self, now: datetime) -> datetime:
        """The start of the first opening after `now`; when it is open already, that of the one that follows."""
        moment = _aware(now)
        return next(start for start, _ in self.openings(now) if start > moment)


State = Literal["asleep", "awake"]


@dataclass(frozen=True)
class SleepSchedule:
    """Weekly sleep: asleep from each `sleep` to the next `wake`; awake where both fall together. Results in UTC."""

    sleep: WeekMoment
    wake: WeekMoment
    zone: zoneinfo.ZoneInfo

    @classmethod
    def parse(cls, sleep: str, wake: str, timezone: str = "UTC") -> "SleepSchedule":
        """From the three texts of `policy.hibernate`."""
        return cls(WeekMoment.parse(sleep), WeekMoment.parse(wake), zoneinfo.ZoneInfo(timezone))

    def changes(self, around: datetime) -> list[tuple[datetime, State]]:
        """Every scheduled change from nine days before `around` to nine days after it, in order."""
        today = _aware(around).astimezone(self.zone).date()
        found: dict[datetime, State] = {}
        kinds: tuple[tuple[WeekMoment, State], ...] = ((self.sleep, "asleep"), (self.wake, "awake"))
        for moment, state in kinds:
            for days in range(-9, 10):
                day = today + days * _DAY
                if moment.falls_on(day):
                    found[instant(day, moment.at, self.zone)] = state
        return sorted(found.items())

    def should_sleep(self, now: datetime) -> bool:
        moment = _aware(now)
        return [state for at, state in self.changes(now) if at <= moment][-1] == "asleep"

    def next_change(self, now: datetime) -> tuple[datetime, State] | None:
        """When the wanted state next differs from now's, and what it is then; None when it never does."""
        moment, current = _aware(now), "asleep" if self.should_sleep(now) else "awake"
        return next(((at, state) for at, state in self.changes(now) if at > moment and state != current), None)
