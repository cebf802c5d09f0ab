"""When a cluster may be upgraded: the openings of its windows, less freezes and holidays. No clock is read here."""

import bisect
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from boatyard.spec.waves import Freeze, Waves
from boatyard.spec.windows import Window, instant

_DAY = timedelta(days=1)
_CHUNK = timedelta(days=30)
LIMIT = timedelta(days=400)
"""How far ahead an opening is looked for; a freeze of more than a year means never."""


@dataclass(frozen=True, slots=True, order=True)
class Opening:
    """From `start` (inclusive) to `end` (exclusive), both in UTC."""

    start: datetime
    end: datetime

    def holds(self, need: timedelta, before: datetime | None = None) -> bool:
        """Whether something that takes `need` can end inside it, and by `before`."""
        end = self.end if before is None else min(self.end, before)
        return end - self.start >= need


class Closed:
    """The days of freezes and holidays. A day without a zone of its own is the one that the window's clock shows."""

    def __init__(self, waves: Waves | None) -> None:
        freezes = waves.upgrades.freezes if waves else ()
        self._zoned = [(_span(freeze), freeze) for freeze in freezes if freeze.timezone is not None]
        self._floating = [freeze for freeze in freezes if freeze.timezone is None]
        self._holidays = waves.holidays if waves else None
        self._years: dict[int, dict[date, str]] = {}

    def spans(self, opening: Opening, zone: zoneinfo.ZoneInfo) -> list[tuple[Opening, str]]:
        """What is closed of an opening, with the reason, in no order."""
        found = [
            (span, _reason(freeze))
            for span, freeze in self._zoned
            if span.start < opening.end and opening.start < span.end
        ]
        if not self._floating and (self._holidays is None or not self._holidays.events):
            return found
        day, last = opening.start.astimezone(zone).date(), opening.end.astimezone(zone).date()
        while day <= last:
            if (reason := self._off(day)) is not None:
                found.append((Opening(instant(day, time(), zone), instant(day + _DAY, time(), zone)), reason))
            day += _DAY
        return found

    def _off(self, day: date) -> str | None:
        frozen = next((freeze for freeze in self._floating if freeze.first <= day <= freeze.to), None)
        if frozen is not None:
            return _reason(frozen)
        if self._holidays is None:
            return None
        if day.year not in self._years:
            self._years[day.year] = self._holidays.between(date(day.year, 1, 1), date(day.year, 12, 31))
        name = self._years[day.year].get(day)
        return None if name is None else f"{day} is a holiday{f' ({name})' if name else ''}"


def _span(freeze: Freeze) -> Opening:
    zone = zoneinfo.ZoneInfo(freeze.timezone or "UTC")
    return Opening(instant(freeze.first, time(), zone), instant(freeze.to + _DAY, time(), zone))


def _reason(freeze: Freeze) -> str:
    return f"upgrades are frozen to the end of {freeze.to}{f' ({freeze.reason})' if freeze.reason else ''}"


class Calendar:
    """The openings of a set of windows from some days before `start` on, in order, never two at once.

    Where windows overlap, the later one begins when the earlier one ends. A freeze in an opening makes two of it.
    """

    def __init__(self, windows: tuple[str, ...], closed: Closed, start: datetime) -> None:
        self._windows = [Window.parse(text) for text in windows]
        self._closed = closed
        self._known: list[Opening] = []
        self._ends: list[datetime] = []
        self._covered: datetime | None = None
        self._until = start.astimezone(UTC) - 3 * _DAY

    def at(self, now: datetime) -> Opening | None:
        """The opening that `now` lies in."""
        found = self._ending_after(now)
        return found if found is not None and found.start <= now else None

    def after(self, moment: datetime) -> Opening | None:
        """The first opening that starts after `moment`; None when there is none within `LIMIT`."""
        found = self._ending_after(moment)
        if found is not None and found.start <= moment:
            found = self._ending_after(found.end)
        return found

    def is_last(self, opening: Opening, need: timedelta, end: datetime) -> bool:
        """Whether, once `opening` is over, none follows in which something that takes `need` can end by `end`."""
        following = self.after(opening.start)
        while following is not None and following.start < end:
            if following.holds(need, before=end):
                return False
            following = self.after(following.start)
        return True

    def why_closed(self, now: datetime) -> str:
        """One clause for people; `now` lies in no opening."""
        here = Opening(now, now + timedelta(seconds=1))
        for window in self._windows:
            spans = self._closed.spans(here, window.zone) if window.is_open(now) else []
            if spans:
                return min(spans)[1]
        following = self.after(now)
        if following is None:
            return "its window never opens"
        return f"its window is closed until {following.start:%Y-%m-%d %H:%M} UTC"

    def _ending_after(self, moment: datetime) -> Opening | None:
        at = bisect.bisect_right(self._ends, moment)
        while at == len(self._ends) and self._until <= moment + LIMIT:
            self._extend()
        return self._known[at] if at < len(self._known) else None

    def _extend(self) -> None:
        """One more month. What it appends never changes what is known: openings come in the order of their starts."""
        since, self._until = self._until, self._until + _CHUNK
        found = [
            (start, end, at)
            for at, window in enumerate(self._windows)
            for start, end in window.openings(since)
            if since <= start < self._until
        ]
        for start, end, at in sorted(found):
            if self._covered is None or end > self._covered:
                begin = start if self._covered is None else max(start, self._covered)
                self._covered = end
                for piece in self._pieces(Opening(begin, end), self._windows[at].zone):
                    self._known.append(piece)
                    self._ends.append(piece.end)

    def _pieces(self, opening: Opening, zone: zoneinfo.ZoneInfo) -> list[Opening]:
        """What is left of an opening."""
        left, at = [], opening.start
        for span, _ in sorted(self._closed.spans(opening, zone)):
            if at < span.start:
                left.append(Opening(at, span.start))
            at = max(at, span.end)
        if at < opening.end:
            left.append(Opening(at, opening.end))
        return left
