"""Days off by calendar file (iCalendar, RFC 5545): all-day events, once or every year."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from boatyard.errors import InvalidSpec
from boatyard.spec.base import Model
from boatyard.spec.document import Mark, Problem
from boatyard.spec.source import read_text
from boatyard.spec.words import shown

MOST_DAYS = 366
MOST_PROBLEMS = 20


class Holiday(Model):
    """An all-day event. It has no time zone: it is the day that each window's own clock shows."""

    first: date
    days: int = 1
    """How many days it lasts."""
    rule: str | None = None
    """RFC 5545's RRULE, `FREQ=YEARLY;…`; None for an event that comes once."""
    except_on: tuple[date, ...] = ()
    also_on: tuple[date, ...] = ()
    name: str = ""

    def starts(self, first: date, last: date) -> set[date]:
        """The days from `first` to `last` on which it begins."""
        days = {self.first, *self.also_on}
        if self.rule is not None:
            from dateutil.rrule import rrulestr  # only where there is such a calendar

            rule = rrulestr(self.rule, dtstart=_midnight(self.first))
            days = {moment.date() for moment in rule.between(_midnight(first), _midnight(last), True)} | {*self.also_on}
        return {day for day in days if day not in self.except_on and first <= day <= last}


class Holidays(Model):
    """The events of a calendar file."""

    events: tuple[Holiday, ...] = ()

    def between(self, first: date, last: date) -> dict[date, str]:
        """Every day off from `first` to `last`, both included, with the event's name."""
        found: dict[date, str] = {}
        for event in self.events:
            for start in event.starts(first - timedelta(days=event.days), last):
                for day in range(event.days):
                    if first <= (on := start + timedelta(days=day)) <= last:
                        found[on] = min(found.get(on, event.name), event.name)
        return found


def read_holidays(path: Path) -> Holidays:
    """The all-day events of an .ics file; events with a time of day are no days off and left out.

    `NotFound` without the file, `InvalidSpec` where it is no calendar or an event repeats in another way than yearly.
    """
    import icalendar  # a sixth of a second, and only where there is such a calendar

    text = read_text(path)
    try:
        calendar = icalendar.Calendar.from_ical(text)
    except ValueError as error:
        why = shown(" ".join(str(error).split()), 120)
        raise InvalidSpec(
            [_line(path, 1, f"found no iCalendar file ({why}), allowed one that starts with BEGIN:VCALENDAR")]
        ) from None
    lines = [at for at, line in enumerate(text.splitlines(), 1) if line.strip().upper() == "BEGIN:VEVENT"]
    events: list[Holiday] = []
    problems: list[str] = []
    for at, event in enumerate(calendar.walk("VEVENT")):
        line = lines[at] if at < len(lines) else 1
        try:
            found = _holiday(event)
        except ValueError as error:
            problems.append(_line(path, line, str(error)))
        else:
            events += [found] if found is not None else []
    if problems:
        raise InvalidSpec(problems[:MOST_PROBLEMS])
    return Holidays(events=tuple(events))


def _holiday(event: Any) -> Holiday | None:
    name = " ".join(str(event.get("SUMMARY", "")).split())[:80]
    if event.errors:
        field, _ = event.errors[0]
        raise ValueError(f"found an event {shown(name)} whose {field} cannot be read, allowed a date like 20261225")
    first = event.get("DTSTART")
    if first is None:
        raise ValueError(f"found an event {shown(name)} without DTSTART, allowed one with a day")
    if isinstance(first.dt, datetime) or str(event.get("STATUS", "")).upper() == "CANCELLED":
        return None
    if event.get("RECURRENCE-ID") is not None:
        raise ValueError(f"found a changed recurrence of {shown(name)}, allowed EXDATE and an event of its own")
    holiday = Holiday(
        first=first.dt,
        days=_days(event, first.dt, name),
        rule=_rule(event, name),
        except_on=tuple(sorted(_dates(event, "EXDATE"))),
        also_on=tuple(sorted(_dates(event, "RDATE"))),
        name=name,
    )
    try:
        holiday.starts(holiday.first, holiday.first)
    except ValueError as error:
        raise ValueError(f"found a rule of {shown(name)} that cannot be read: {shown(str(error), 100)}") from None
    return holiday


def _days(event: Any, first: date, name: str) -> int:
    end, duration = event.get("DTEND"), event.get("DURATION")
    days = (end.dt - first).days if end is not None else duration.dt.days if duration is not None else 1
    if not 1 <= days <= MOST_DAYS:
        raise ValueError(f"found {days} days for {shown(name)}, allowed 1 to {MOST_DAYS}")
    return days


def _rule(event: Any, name: str) -> str | None:
    rule = event.get("RRULE")
    if rule is None:
        return None
    if isinstance(rule, list) or [str(each) for each in rule.get("FREQ", [])] != ["YEARLY"]:
        raise ValueError(f"found {shown(name)} repeated otherwise than yearly, allowed FREQ=YEARLY")
    return str(rule.to_ical().decode())


def _dates(event: Any, field: str) -> Iterator[date]:
    found = event.get(field)
    for dates in found if isinstance(found, list) else [found] if found is not None else []:
        for each in dates.dts:
            yield each.dt.date() if isinstance(each.dt, datetime) else each.dt


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a day has no zone


def _line(path: Path, line: int, message: str) -> str:
    return str(Problem(Mark(str(path), line, 1), (), message))
