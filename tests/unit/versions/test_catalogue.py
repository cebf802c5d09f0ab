"""The catalogue: support by date, provider by provider, and what a file must be to be one."""

from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from boatyard.versions import reading
from boatyard.versions.catalogue import KEPT, STALE_DAYS, built, catalogue, merge
from boatyard.versions.offer import Offer, of_minor

ONE = """
providers:
  cloud:
    source: https://example.com/versions
    as_of: 2026-01-01
    minors:
      - {minor: "1.34", released: 2025-09-01, end_of_support: 2026-11-01, end_of_extended_support: 2027-11-01}
      - {minor: "1.35", released: 2026-01-01, end_of_support: 2027-03-01, estimated: true, source: elsewhere}
"""


@pytest.mark.parametrize(
    ("version", "today", "support"),
    [
        ("1.34.2", date(2025, 9, 1), "supported"),
        ("1.34", date(2026, 8, 1), "ending"),
        ("1.34", date(2026, 10, 27), "ending"),
        ("1.34", date(2026, 10, 28), "ended"),
        ("1.36", date(2026, 1, 1), "unreleased"),
        ("1.20", date(2026, 1, 1), "ended"),
        ("1.99", date(2026, 1, 1), "unknown"),
    ],
)
def test_support_by_date(version: str, today: date, support: str) -> None:
    assert catalogue().upstream.support(version, today) == support


@pytest.mark.parametrize(
    ("today", "support"),
    [
        (date(2026, 11, 1), "ending"),
        (date(2026, 11, 2), "extended"),
        (date(2027, 11, 1), "extended"),
        (date(2027, 11, 2), "ended"),
    ],
)
def test_after_the_standard_support_comes_the_extended_one(today: date, support: str) -> None:
    assert built(reading.parse(ONE, "one")).tables["cloud"].support("1.34.5", today) == support


def test_what_ships_is_in_order_dated_and_from_somewhere() -> None:
    for table in catalogue().tables.values():
        assert all(b.minor.ahead_of(a.minor) == 1 for a, b in pairwise(table.releases))
        assert all(row.source.startswith("https://") and row.as_of > date(2026, 1, 1) for row in table.releases)
    assert {"1.30", "1.37"} <= {str(row.minor) for row in catalogue().upstream.releases}


def test_a_table_gets_stale() -> None:
    upstream = catalogue().upstream
    assert not upstream.stale(upstream.as_of + timedelta(days=STALE_DAYS))
    assert upstream.stale(upstream.as_of + timedelta(days=STALE_DAYS + 1))


def test_offers_without_dates_get_those_of_the_table() -> None:
    table = built(reading.parse(ONE, "one")).tables["cloud"]
    known, own, unknown = table.dated(
        [Offer("1.35.2", source="api"), Offer("1.34.1", end_of_support=date(2030, 1, 1)), Offer("1.36.0")]
    )
    assert (known.end_of_support, known.estimated, known.dates_source) == (date(2027, 3, 1), True, "elsewhere")
    assert known.source == "api"
    assert own.end_of_support == date(2030, 1, 1)
    assert unknown.last_day is None
    assert unknown.support(date(2026, 1, 1)) == "unknown"
    assert of_minor([known, own], "1.34.9") is own
    assert of_minor([known, own], "1.33.9") is None


def test_a_newer_table_in_the_home_folder_counts_and_a_broken_one_does_not(tmp_path: Path) -> None:
    (tmp_path / KEPT).write_text(ONE)
    assert catalogue(tmp_path).tables["cloud"].title == "cloud"
    assert catalogue(tmp_path).upstream == catalogue().upstream
    (tmp_path / KEPT).write_text("providers: {cloud: 7}")
    broken = catalogue(tmp_path)
    assert broken == catalogue()
    assert KEPT in broken.problem


def test_of_two_tables_the_later_one_counts_and_keeps_minors_that_only_the_old_one_has() -> None:
    old = built(reading.parse(ONE, "old"))
    later = ONE.replace("as_of: 2026-01-01", "as_of: 2026-02-01").replace("2027-03-01", "2027-04-01")
    (row,) = [line for line in later.splitlines() if '"1.34"' in line]
    new = built(reading.parse(later.replace(row, ""), "new"))
    both = merge(old, new).tables["cloud"]
    assert [(str(row.minor), row.end_of_support) for row in both.releases] == [
        ("1.34", date(2026, 11, 1)),
        ("1.35", date(2027, 4, 1)),
    ]
    assert merge(new, old).tables["cloud"] == new.tables["cloud"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("providers: {", "no YAML"),
        ("[]", "valid dictionary"),
        ("providers: {}", "at least 1 item"),
        (ONE.replace("1.35", "1.36"), "after 1.34 comes 1.36"),
        (ONE.replace("2026-11-01", "2024-11-01"), "1.34 ends before it begins"),
        (ONE.replace("2027-11-01", "2026-10-01"), "1.34 ends before it begins"),
        (ONE.replace("2027-03-01", "2043-03-01"), "more than 5 years"),
        (ONE.replace("2027-03-01", "2127-03-01"), "outside 2014 to 2100"),
        (ONE.replace("2027-03-01", "soon"), "providers.cloud.minors.1.end_of_support"),
        (ONE + "surprise: 1\n", "surprise: Extra inputs"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused_in_one_sentence(text: str, why: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the words are looked at below
        reading.parse(text, "FILE")
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)
