"""`upgrades` of a fleet.yaml: every mistake at its place, the calendar file, and the schema for editors."""

from datetime import date
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from boatyard.errors import InvalidSpec
from boatyard.spec.fleet import load_fleet
from boatyard.spec.holidays import read_holidays
from boatyard.spec.schema import fleet_schema
from boatyard.spec.waves import Upgrades, mutexes_of, ring_of

GOOD = """\
kind: Fleet
defaults: {provider: {kind: kwok}, kubernetes: {version: "1.35"}}
upgrades:
  rings:
    - {name: canary, match: {stage: test}, soak: 2d}
    - {name: staging, match: {stage: staging}, soak: 5d, windows: ["Tue 09:00-15:00 Europe/Berlin"]}
    - {name: production, match: {stage: prod}, approve: true, max_parallel: 5}
  max_parallel: 20
  max_parallel_per_account: 5
  halt: {failed: 10%, within: 12h}
  never_together: [[shop-eu, shop-us], [{database: primary}]]
  freezes: [{from: 2026-12-20, to: 2027-01-06, timezone: Europe/Berlin, reason: "year's end"}]
  holidays: calendars/berlin.ics
"""
CALENDAR = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//example//EN
BEGIN:VEVENT
UID:1
DTSTART;VALUE=DATE:20201225
DTEND;VALUE=DATE:20201227
RRULE:FREQ=YEARLY
EXDATE;VALUE=DATE:20271225
SUMMARY:Christmas
END:VEVENT
BEGIN:VEVENT
UID:2
DTSTART;VALUE=DATE:20201126
RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH
SUMMARY:Thanksgiving
END:VEVENT
BEGIN:VEVENT
UID:3
DTSTART;VALUE=DATE:20260603
RDATE;VALUE=DATE:20260605
SUMMARY:Moving
END:VEVENT
BEGIN:VEVENT
UID:4
DTSTART:20260604T090000Z
SUMMARY:A meeting
END:VEVENT
BEGIN:VEVENT
UID:5
DTSTART;VALUE=DATE:20260606
STATUS:CANCELLED
SUMMARY:Not at all
END:VEVENT
END:VCALENDAR
"""


WRITTEN = yaml.safe_load(GOOD.replace("2026-12-20", '"2026-12-20"').replace("2027-01-06", '"2027-01-06"'))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "calendars").mkdir()
    (tmp_path / "calendars" / "berlin.ics").write_text(CALENDAR.replace("\n", "\r\n"))
    (tmp_path / "fleet.yaml").write_text(GOOD)
    (tmp_path / "shop.yaml").write_text("name: shop-eu\n---\nname: shop-us\n")
    return tmp_path


def problems(folder: Path, old: str, new: str) -> list[str]:
    text = (folder / "fleet.yaml").read_text()
    assert old in text
    (folder / "fleet.yaml").write_text(text.replace(old, new))
    with pytest.raises(InvalidSpec) as caught:
        load_fleet(folder)
    return [line.replace(str(folder) + "/", "") for line in caught.value.problems]


def test_upgrades_are_read_with_their_calendar(folder: Path) -> None:
    waves = load_fleet(folder).waves
    assert waves is not None
    assert [ring.name for ring in waves.upgrades.rings] == ["canary", "staging", "production"]
    assert waves.upgrades.halt.ratio == 0.1
    assert {event.name for event in waves.holidays.events} == {"Christmas", "Thanksgiving", "Moving"}
    assert not list(Draft202012Validator(fleet_schema()).iter_errors(WRITTEN))
    wrong = WRITTEN | {"upgrades": {"halt": {"failed": "10"}}}
    assert list(Draft202012Validator(fleet_schema()).iter_errors(wrong))


def test_a_fleet_without_upgrades_has_no_waves(folder: Path) -> None:
    (folder / "fleet.yaml").write_text(GOOD[: GOOD.index("upgrades:")])
    assert load_fleet(folder).waves is None


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("soak: 2d", "soak: long", "upgrades.rings[0].soak: found 'long', allowed a duration like"),
        (
            "name: staging",
            "name: canary",
            "fleet.yaml:6:14: upgrades.rings[1].name: found 'canary', already the name of rings[0]",
        ),
        (
            "match: {stage: staging}, ",
            "",
            "upgrades.rings[2].match: found labels behind ring staging, which has none",
        ),
        (
            "15:00 Europe/Berlin",
            "15:00 Europe/Berlinn",
            "upgrades.rings[1].windows[0]: found the time zone 'Europe/Berlinn'",
        ),
        ("to: 2027-01-06", "to: 2026-01-06", "upgrades.freezes[0].to: found 2026-01-06, allowed a day not before from"),
        ("timezone: Europe/Berlin", "timezone: Mars", "upgrades.freezes[0].timezone: found the time zone 'Mars'"),
        ("from: 2026-12-20", "since: 2026-12-20", "unknown key, allowed from, to, timezone, reason"),
        (
            "failed: 10%",
            "failed: 110%",
            "upgrades.halt.failed: found '110%', allowed a share from 0% to 100%, like 10%",
        ),
        (
            "[shop-eu, shop-us]",
            "[shop-eu, shop-uss]",
            "found 'shop-uss', allowed a cluster of the fleet, did you mean 'shop-us'?",
        ),
        (
            "[shop-eu, shop-us]",
            "[shop-eu]",
            "upgrades.never_together[0]: found only 'shop-eu', allowed two clusters and more",
        ),
        ("{database: primary}", "{}", "upgrades.never_together[1][0]: found no label, allowed a cluster's name or"),
        ("berlin.ics", "bremen.ics", "upgrades.holidays: there is no file"),
        ("max_parallel: 20", "max_parallel: 0", "upgrades.max_parallel: found the number 0, allowed at least 1"),
        ("max_parallel: 20", "max_paralel: 20", "upgrades.max_paralel: unknown key, allowed rings, max_parallel"),
    ],
)
def test_a_mistake_is_named_at_its_place(folder: Path, old: str, new: str, line: str) -> None:
    assert any(line in found for found in problems(folder, old, new)), problems(folder, "kind", "kind")


def test_a_ring_that_a_cluster_names_must_be_there(folder: Path) -> None:
    (folder / "shop.yaml").write_text(
        "name: shop-eu\npolicy: {maintenance: {ring: prodution}}\n---\n"
        "name: shop-us\npolicy: {maintenance: {ring: canary}}\n"
    )
    (line,) = problems(folder, "kind", "kind")
    assert line == (
        "shop.yaml:2:30: policy.maintenance.ring: found 'prodution', allowed canary, staging, production, "
        "did you mean 'production'?"
    )


def test_a_cluster_belongs_to_the_ring_it_names_else_to_the_first_whose_labels_it_has() -> None:
    upgrades = Upgrades.model_validate(
        {"rings": [{"name": "canary", "match": {"stage": "test"}}, {"name": "eu", "match": {"region": "eu"}}]}
    )
    assert ring_of(upgrades, {"stage": "test", "region": "eu"}, "default") == "canary"
    assert ring_of(upgrades, {"stage": "test", "region": "eu"}, "eu") == "eu"
    assert ring_of(upgrades, {"stage": "prod"}, "default") is None
    assert ring_of(Upgrades(), {}, "night") == "night"


def test_mutexes_go_by_name_and_by_labels() -> None:
    upgrades = Upgrades.model_validate({"never_together": [["a", "b"], [{"db": "x"}], ["b", {"db": "y", "eu": "yes"}]]})
    assert mutexes_of(upgrades, "b", {"db": "x"}) == {0, 1, 2}
    assert mutexes_of(upgrades, "c", {"db": "y"}) == frozenset()


def test_holidays_come_every_year_by_their_rule_and_last_their_days(folder: Path) -> None:
    days = read_holidays(folder / "calendars" / "berlin.ics").between(date(2026, 1, 1), date(2027, 12, 31))
    assert days == {
        date(2026, 6, 3): "Moving",
        date(2026, 6, 5): "Moving",
        date(2026, 11, 26): "Thanksgiving",
        date(2026, 12, 25): "Christmas",
        date(2026, 12, 26): "Christmas",
        date(2027, 11, 25): "Thanksgiving",
    }


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("BEGIN:VCALENDAR", "nonsense", "berlin.ics:1:1: found no iCalendar file"),
        (
            "RRULE:FREQ=YEARLY\n",
            "RRULE:FREQ=WEEKLY\n",
            "berlin.ics:4:1: found 'Christmas' repeated otherwise than yearly",
        ),
        (
            "DTSTART;VALUE=DATE:20201126",
            "DTSTART;VALUE=DATE:2020",
            "berlin.ics:12:1: found an event 'Thanksgiving' whose DTSTART",
        ),
        (
            "DTEND;VALUE=DATE:20201227",
            "DTEND;VALUE=DATE:20201225",
            "berlin.ics:4:1: found 0 days for 'Christmas', allowed 1 to 366",
        ),
        (
            "BYDAY=4TH",
            "BYDAY=4TH;UNTIL=20301231T000000Z",
            "berlin.ics:12:1: found a rule of 'Thanksgiving' that cannot be read",
        ),
    ],
)
def test_a_calendar_that_cannot_be_understood_is_refused_at_its_event(
    folder: Path, old: str, new: str, line: str
) -> None:
    assert old in CALENDAR
    (folder / "calendars" / "berlin.ics").write_text(CALENDAR.replace(old, new))
    (found,) = problems(folder, "kind", "kind")
    assert line in found
