"""A version's end of support: how near it is. Pure."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from boatyard.versions.offer import Offer

THRESHOLDS = (7, 30, 90)
"""Days ahead at which a coming end is said again, each time under a reason of its own."""


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
