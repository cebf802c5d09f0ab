"""A version's end of support: how near it is, and the last maintenance window before it. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from boatyard.spec.windows import Window
from boatyard.versions.offer import Offer

THRESHOLDS = (7, 30, 90)
"""Days ahead at which a coming end is said again, each time under a reason of its own."""

Opening = tuple[datetime, datetime]
"""When a window opens and closes, in UTC."""


@dataclass(frozen=True)
class Nearness:
    """How a version stands to its ends. status, reason: as a condition has them; left: days to the next end."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str
    left: int | None = None


def nearness(version: str, offer: Offer | None, today: date) -> Nearness:
    """True until 90 days before the end of the standard support; then False, for a new reason at each threshold.

    Reasons: Supported; EndsIn90Days, EndsIn30Days, EndsIn7Days; where there is an extended support, then
    ExtendedSupport and ExtendedEndsIn90Days … ExtendedEndsIn7Days; at last Ended. NotKnown without a date.
    """
    if offer is None or offer.last_day is None:
        return Nearness("Unknown", "NotKnown", f"nobody says how long Kubernetes {version} is supported")
    said = _said(offer)
    standard, extended = offer.end_of_support, offer.end_of_extended_support
    if standard is not None and today <= standard:
        left = (standard - today).days
        more = f"; an extended one lasts until {extended}" if extended else ""
        text = f"the support of Kubernetes {version} ends on {standard}, {_in(left)}{more} ({said})"
        near = _threshold(left)
        return Nearness("False" if near else "True", f"EndsIn{near}Days" if near else "Supported", text, left)
    if extended is not None and today <= extended:
        left = (extended - today).days
        since = f"the standard support of Kubernetes {version} ended on {standard}; " if standard else ""
        text = f"{since}the extended one ends on {extended}, {_in(left)}, and may cost extra ({said})"
        near = _threshold(left)
        return Nearness("False", f"ExtendedEndsIn{near}Days" if near else "ExtendedSupport", text, left)
    text = f"the support of Kubernetes {version} ended on {offer.last_day}: nobody mends it any more ({said})"
    return Nearness("False", "Ended", text, (offer.last_day - today).days)


def _threshold(left: int) -> int | None:
    return next((days for days in THRESHOLDS if left <= days), None)


def _in(days: int) -> str:
    return "today" if days == 0 else f"in {days} day{'s' if days > 1 else ''}"


def _said(offer: Offer) -> str:
    """Who names the ends, and how sure that is."""
    source = offer.dates_source or offer.source or "no source is named"
    day = offer.dates_as_of or offer.as_of
    known = f"{source}, as of {day}" if day else source
    return f"an estimate; {known}" if offer.estimated else known


def last_window_before(
    window: Window,
    end: date,
    needed: timedelta,
    *,
    after: datetime,
    usable: Callable[[Opening], bool] = lambda opening: True,
) -> Opening | None:
    """The last opening in which something that takes `needed` can begin, at `after` or later, and be over before `end`.

    `end` begins at midnight UTC: on the day itself some providers already bill for the extended support. usable: False
    for openings that something else forbids, such as a freeze. None when there is none: nothing fits any more, or ever.
    """
    return next(_openings_before(window, end, needed, after, usable), None)


def must_upgrade_now(
    window: Window,
    now: datetime,
    end: date,
    needed: timedelta,
    *,
    hops: int = 1,
    usable: Callable[[Opening], bool] = lambda opening: True,
) -> bool:
    """Is this opening the last chance before the version's support ends?

    True when an upgrade that takes `needed` fits into the opening that `now` lies in, and fewer than `hops` later ones
    would do before `end`; also when `end` has passed, since then each chance is overdue. hops: minors to go until a
    supported one, one an opening. usable, end: as in `last_window_before`.
    """
    current = next((opening for opening in window.openings(now) if opening[0] <= now < opening[1]), None)
    if current is None or not usable(current) or now + needed > current[1]:
        return False
    later = _openings_before(window, end, needed, current[1], usable)
    return sum(1 for _, _ in zip(range(hops), later, strict=False)) < hops


def _openings_before(
    window: Window, end: date, needed: timedelta, after: datetime, usable: Callable[[Opening], bool]
) -> Iterator[Opening]:
    """Those that will do, the latest first."""
    bound = datetime.combine(end, time(), UTC)
    before, around = bound, bound
    while around > after - timedelta(days=3):
        around -= timedelta(days=30)
        for opens, closes in reversed([opening for opening in window.openings(around) if opening[0] < before]):
            before = opens
            fits = max(opens, after) + needed <= min(closes, bound)
            if fits and closes > after and usable((opens, closes)):
                yield opens, closes
