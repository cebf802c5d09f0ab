"""The end of support: said at 90, 30 and 7 days and at the end, and the last window before it."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatyard.drivers.support import support_condition
from boatyard.spec.windows import Window
from boatyard.versions import Offer
from boatyard.versions.catalogue import catalogue
from boatyard.versions.expiry import last_window_before, must_upgrade_now, nearness

END = date(2026, 12, 2)
STANDARD = Offer("1.34", end_of_support=END, source="https://example.com", as_of=date(2026, 9, 1))
BOTH = Offer("1.34", end_of_support=END, end_of_extended_support=date(2027, 12, 2), estimated=True)
HOUR = timedelta(hours=1)
WEEKLY = Window.parse("Sat 02:00-06:00 Europe/Berlin")


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


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("end", "needed", "opens"),
    [
        (END, HOUR, "2026-11-28T01:00"),
        (date(2026, 11, 28), HOUR, "2026-11-21T01:00"),  # the day itself does not count
        (date(2026, 11, 29), HOUR, "2026-11-28T01:00"),
        (END, 5 * HOUR, None),  # longer than the window
        (date(2026, 11, 14), HOUR, None),  # the only one before it has gone
        (date(2027, 12, 2), HOUR, "2027-11-27T01:00"),  # a year ahead
    ],
)
def test_the_last_window_before_the_end(end: date, needed: timedelta, opens: str | None) -> None:
    found = last_window_before(WEEKLY, end, needed, after=moment("2026-11-14T12:00"))
    assert (found and found[0]) == (moment(opens) if opens else None)


def test_a_window_that_is_frozen_is_not_the_last_one() -> None:
    frozen = moment("2026-11-28T01:00")
    found = last_window_before(
        WEEKLY, END, HOUR, after=moment("2026-11-14T12:00"), usable=lambda opening: opening[0] != frozen
    )
    assert found is not None
    assert found[0] == moment("2026-11-21T01:00")


@pytest.mark.parametrize(
    ("now", "end", "needed", "hops", "forced"),
    [
        ("2026-11-28T01:30", END, HOUR, 1, True),
        ("2026-11-21T01:30", END, HOUR, 1, False),  # there is one more
        ("2026-11-21T01:30", END, HOUR, 2, True),  # and it is needed for the second minor
        ("2026-11-14T01:30", END, HOUR, 2, False),
        ("2026-11-28T04:30", END, HOUR, 1, False),  # does not fit any more
        ("2026-11-27T12:00", END, HOUR, 1, False),  # closed
        ("2026-12-05T01:30", END, HOUR, 1, True),  # overdue
        ("2026-11-21T01:30", date(2026, 11, 28), HOUR, 1, True),
    ],
)
def test_the_last_chance_forces(now: str, end: date, needed: timedelta, hops: int, forced: bool) -> None:
    assert must_upgrade_now(WEEKLY, moment(now), end, needed, hops=hops) is forced


WINDOWS = st.builds(
    lambda day, start, hours, zone: Window.parse(f"{day} {start:02}:00-{(start + hours) % 24:02}:00 {zone}"),
    st.sampled_from(["Mon", "Sat", "Sun", "daily"]),
    st.integers(0, 23),
    st.integers(1, 12),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia"]),
)


@given(window=WINDOWS, days=st.integers(0, 400), hours=st.integers(1, 14), start=st.integers(0, 24 * 60))
def test_in_the_last_window_it_is_forced_and_before_it_not(window: Window, days: int, hours: int, start: int) -> None:
    now = moment("2026-10-01T00:00") + timedelta(hours=start)
    end, needed = (now + timedelta(days=days)).date(), hours * HOUR
    last = last_window_before(window, end, needed, after=now)
    if last is None:
        for opens, _ in window.openings(now):
            if opens >= now:
                assert opens + needed > datetime.combine(end, time(), UTC) or not window.is_open(opens + needed - HOUR)
        return
    assert last[0] + needed <= datetime.combine(end, time(), UTC)
    assert must_upgrade_now(window, max(last[0], now), end, needed)
    if window.is_open(now) and now < last[0]:
        assert not must_upgrade_now(window, now, end, needed)
