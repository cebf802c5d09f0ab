"""How long a cluster's version is still supported, as a condition."""

from collections.abc import Sequence
from datetime import date

from boatyard.kube.conditions import Condition
from boatyard.versions import Offer, of_minor
from boatyard.versions.catalogue import Table
from boatyard.versions.expiry import nearness


def support_condition(version: str, offers: Sequence[Offer], table: Table, today: date) -> Condition:
    """`VersionSupported`: False from 90 days before the end, for a new reason at 30 and 7 days and at the end itself.

    offers: the provider's, now. table: its lives of minors, for a version that it does not offer any more.
    """
    offer = of_minor(offers, version) or of_minor(table.dated([Offer(version, source=table.source)]), version)
    if (offer is None or offer.last_day is None) and table.support(version, today) == "ended":
        text = f"the support of Kubernetes {version} ended before {table.releases[0].minor}'s ({table.source})"
        return Condition("VersionSupported", "False", "Ended", text)
    found = nearness(version, offer, today)
    return Condition("VersionSupported", found.status, found.reason, found.message)
