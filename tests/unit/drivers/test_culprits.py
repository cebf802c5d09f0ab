"""What a driver itself has to say before an upgrade: its findings and its backups."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from boatyard.drivers.backup import OLDEST
from boatyard.drivers.base import BackedUp, Backup
from boatyard.drivers.culprits import backups
from boatyard.errors import BoatyardError, Permanent, Temporary

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
