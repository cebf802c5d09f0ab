"""A cluster without a fresh backup of each of its etcds is told."""

from datetime import UTC, datetime, timedelta

import pytest

from boatyard.drivers.backup import backup_condition
from boatyard.drivers.base import Backup

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


def backup(etcd: str, hours: float) -> Backup:
    return Backup(etcd, NOW - timedelta(hours=hours), f"s3://store/{etcd}/{hours}")


@pytest.mark.parametrize(
    ("backups", "running", "expected"),
    [
        ([], True, ("False", "NoBackup")),
        ([], False, ("Unknown", "NoBackup")),
        ([backup("main", 1), backup("main", 30), backup("events", 2)], True, ("True", "Recent")),
        ([backup("main", 30), backup("main", 1), backup("events", 4)], True, ("False", "TooOld")),
        ([backup("main", 400), backup("events", 400)], False, ("Unknown", "NotRunning")),
    ],
)
def test_the_oldest_of_the_newest_decides(backups: list[Backup], running: bool, expected: tuple[str, str]) -> None:
    condition = backup_condition(backups, NOW, running=running)
    assert (condition.status, condition.reason) == expected
