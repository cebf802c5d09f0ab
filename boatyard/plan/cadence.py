"""When the next minors of Kubernetes are to be expected, for forecasts only: upstream's own rhythm, drawn on."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from boatyard.plan.fleet import Offer, Release
from boatyard.versions import Minor
from boatyard.versions.catalogue import Table

BETWEEN = timedelta(days=121)
"""Three minors a year since 2021: https://kubernetes.io/releases/release/."""
SUPPORTED = timedelta(days=425)
"""Fourteen months: https://kubernetes.io/releases/patch-releases/#support-period."""
OVERDUE = timedelta(days=30)
"""A minor whose date has passed and that the provider does not offer yet is taken to come this much later."""


def with_coming(offered: Sequence[str], table: Table, now: datetime, until: datetime) -> Offer:
    """What is offered now, and the minors that are to be expected until then; patches cannot be foretold.

    The table's dates are taken where it has them, upstream's rhythm after that.
    """
    releases = [Release(version, now) for version in offered]
    known = {release.minor: release for release in table.releases}
    ends = {str(minor): _end_of(row.end_of_support) for minor, row in known.items()}
    if not offered:
        return Offer((), ends)
    newest, last = max(map(Minor.parse, offered)), table.releases[-1]
    at = newest.plus(1)
    since = now
    while since <= until:
        row = known.get(at)
        day = row.released if row is not None else last.released + BETWEEN * at.ahead_of(last.minor)
        moment = datetime.combine(day, time(), UTC)
        since = max(moment, since + BETWEEN if since > now else now + OVERDUE)
        if since <= until:
            releases.append(Release(str(at), since))
            ends.setdefault(str(at), since + SUPPORTED)
        at = at.plus(1)
    return Offer(tuple(releases), ends)


def _end_of(day: date) -> datetime:
    """The last day itself does not count, as for real upgrades."""
    return datetime.combine(day, time(), UTC)
