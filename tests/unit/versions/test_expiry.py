"""The end of support: said at 90, 30 and 7 days and at the end."""

from datetime import date, timedelta

import pytest

from boatyard.drivers.support import support_condition
from boatyard.versions import Offer
from boatyard.versions.catalogue import catalogue
from boatyard.versions.expiry import nearness

END = date(2026, 12, 2)
STANDARD = Offer("1.34", end_of_support=END, source="https://example.com", as_of=date(2026, 9, 1))
BOTH = Offer("1.34", end_of_support=END, end_of_extended_support=date(2027, 12, 2), estimated=True)


@pytest.mark.parametrize(
    ("offer", "days", "status", "reason"),
    [
        (STANDARD, 91, "True", "Supported"),
        (STANDARD, 90, "False", "EndsIn90Days"),
        (STANDARD, 31, "False", "EndsIn90Days"),
        (STANDARD, 30, "False", "EndsIn30Days"),
        (STANDARD, 8, "False", "EndsIn30Days"),
        (STANDARD, 7, "False", "EndsIn7Days"),
        (STANDARD, 0, "False", "EndsIn7Days"),
        (STANDARD, -1, "False", "Ended"),
        (BOTH, 7, "False", "EndsIn7Days"),
        (BOTH, -1, "False", "ExtendedSupport"),
        (BOTH, 30 - 365, "False", "ExtendedEndsIn30Days"),
        (BOTH, -365, "False", "ExtendedEndsIn7Days"),
        (BOTH, -366, "False", "Ended"),
        (Offer("1.34"), 0, "Unknown", "NotKnown"),
        (None, 0, "Unknown", "NotKnown"),
    ],
)
def test_each_threshold_has_a_reason_of_its_own(offer: Offer | None, days: int, status: str, reason: str) -> None:
    found = nearness("1.34.8", offer, END - timedelta(days=days))
    assert (found.status, found.reason) == (status, reason)


def test_the_message_names_the_day_and_who_says_so() -> None:
    soon = nearness("1.34.8", STANDARD, END - timedelta(days=1)).message
    assert soon == (
        "the support of Kubernetes 1.34.8 ends on 2026-12-02, in 1 day (https://example.com, as of 2026-09-01)"
    )
    later = nearness("1.34.8", BOTH, END + timedelta(days=1)).message
    assert "ended on 2026-12-02; the extended one ends on 2027-12-02, in 364 days, and may cost extra" in later
    assert "an estimate" in later


@pytest.mark.parametrize(
    ("version", "offers", "reason"),
    [
        ("1.34.8", [STANDARD], "EndsIn7Days"),
        ("1.35.5", [STANDARD], "Supported"),  # by the table: the provider does not offer it
        ("1.33.1", [], "Ended"),
        ("1.20.1", [], "Ended"),  # before the table begins
        ("1.99", [], "NotKnown"),
    ],
)
def test_a_version_that_is_not_offered_any_more_is_judged_by_the_table(
    version: str, offers: list[Offer], reason: str
) -> None:
    condition = support_condition(version, offers, catalogue().upstream, date(2026, 11, 25))
    assert (condition.type, condition.reason) == ("VersionSupported", reason)
