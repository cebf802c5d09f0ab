"""What a driver itself has to say before an upgrade: its findings and its backups."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from boatyard.drivers.backup import OLDEST
from boatyard.drivers.base import BackedUp, Backup
from boatyard.drivers.culprits import backups, target_of
from boatyard.errors import BoatyardError, Permanent, Temporary, Unsafe
from boatyard.plan.model import Observed, Phase

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


class Keeper:
    """As much of a driver as makes backups."""

    def __init__(self, found: list[Backup] | BoatyardError) -> None:
        self.found = found

    def backups(self) -> list[Backup]:
        if isinstance(self.found, BoatyardError):
            raise self.found
        return self.found


def at(age: timedelta) -> list[Backup]:
    return [Backup("main", NOW - age, "s3://store/main/1")]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (at(OLDEST / 2), []),
        (at(OLDEST * 2), ["backup-old"]),
        ([], ["backup-old"]),
        (Permanent("the bucket is gone."), ["not-looked-at"]),
    ],
)
def test_an_upgrade_wants_a_backup_to_go_back_to(found: Any, expected: list[str]) -> None:
    keeper = Keeper(found)
    assert isinstance(keeper, BackedUp)
    culprits = backups(keeper, NOW)
    assert [each.check for each in culprits] == expected
    assert all(each.blocks for each in culprits)


def test_a_store_that_does_not_answer_is_asked_again() -> None:
    with pytest.raises(Temporary):
        backups(Keeper(Temporary("no answer.")), NOW)


def test_a_driver_that_makes_no_backups_lacks_none() -> None:
    assert backups(object(), NOW) == []


class Running:
    """As much of a driver as says what runs."""

    def __init__(self, version: str | None) -> None:
        self.version = version

    def observe(self) -> Observed:
        return Observed(phase=Phase.RUNNING if self.version else Phase.BROKEN, version=self.version)


@pytest.mark.parametrize(
    ("runs", "to", "expected"),
    [("1.35.2", None, "1.36"), ("1.35", "1.37", "1.37"), ("1.35.2", "1.35.3", "1.35.3"), (None, "1.36", "1.36")],
)
def test_what_is_looked_at_is_what_was_asked_for_or_the_next_minor(runs: str, to: str, expected: str) -> None:
    driver: Any = Running(runs)
    assert target_of(driver, to) == expected


@pytest.mark.parametrize(("runs", "to", "error"), [("1.36", "1.30", Unsafe), (None, None, Permanent)])
def test_a_way_down_and_a_version_that_nobody_knows_are_not_looked_at(
    runs: str, to: str, error: type[Exception]
) -> None:
    driver: Any = Running(runs)
    with pytest.raises(error, match=r"cannot (go down to 1\.30|be seen)"):
        target_of(driver, to)
