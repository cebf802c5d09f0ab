"""Days off by calendar file (iCalendar, RFC 5545): all-day events, once or every year."""

from datetime import date, timedelta

from boatyard.spec.base import Model


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


class Holidays(Model):
    """The events of a calendar file."""

    events: tuple[Holiday, ...] = ()

    def between(self, first: date, last: date) -> dict[date, str]:
        """Every day off from `first` to `last`, both included, with the event's name."""
        found: dict[date, str] = {}
        for event in self.events:
            for start in _starts(event, first - timedelta(days=event.days), last):
                for day in range(event.days):
                    if first <= (on := start + timedelta(days=day)) <= last:
                        found.setdefault(on, event.name)
        return found


def _starts(event: Holiday, first: date, last: date) -> list[date]:
    from datetime import datetime

    from dateutil.rrule import rrulestr  # half a hundredth of a second, and only where there is a calendar

    def at(day: date) -> datetime:
        return datetime(day.year, day.month, day.day)  # noqa: DTZ001 (a day has no zone)

    days = [event.first]
    if event.rule is not None:
        days = [
            moment.date() for moment in rrulestr(event.rule, dtstart=at(event.first)).between(at(first), at(last), True)
        ]
    return [day for day in {*days, *event.also_on} if day not in event.except_on and first <= day <= last]
