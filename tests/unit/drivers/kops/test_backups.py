"""Backups of etcd in the state store: whole ones, newest first."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from boatyard.aws.account import Account
from boatyard.clock import Deadline, ManualClock
from boatyard.drivers.base import Env
from boatyard.drivers.kops.backups import backups
from boatyard.drivers.kops.reach import Reach
from boatyard.spec.models import Cluster
from tests.unit.drivers.kops.conftest import BUCKET, NAME, REGION


def test_what_is_whole_newest_first(account: Account, put: Callable[[str, str], None], tmp_path: Path) -> None:
    base = f"{NAME}/backups/etcd"
    for folder, names in {
        "main/2026-11-22T16:43:25Z-000001": ("etcd.backup.gz", "_etcd_backup.meta"),
        "events/2026-11-22T16:58:25Z-000001": ("etcd.backup.gz", "_etcd_backup.meta"),
        "main/2026-11-22T16:58:25Z-000002": ("etcd.backup.gz",),
        "main/control": ("etcd-cluster-spec",),
    }.items():
        for name in names:
            put(f"{base}/{folder}/{name}", "x" * 10)
    found = backups(reach_of(tmp_path))
    assert [(each.etcd, each.at, each.size) for each in found] == [
        ("events", datetime(2026, 11, 22, 16, 58, 25, tzinfo=UTC), 20),
        ("main", datetime(2026, 11, 22, 16, 43, 25, tzinfo=UTC), 20),
    ]
    assert found[1].location == f"s3://{BUCKET}/{base}/main/2026-11-22T16:43:25Z-000001"


def test_no_bucket_has_no_backups(account: Account, tmp_path: Path) -> None:
    assert backups(reach_of(tmp_path)) == []


def reach_of(home: Path) -> Reach:
    clock = ManualClock(datetime(2026, 11, 22, 17, tzinfo=UTC))
    cluster = Cluster.model_validate(
        {
            "name": NAME,
            "provider": {"kind": "kops", "state_store": f"s3://{BUCKET}", "zones": [f"{REGION}a"]},
            "kubernetes": {"version": "1.35"},
        }
    )
    return Reach(cluster, Env(home, clock, Deadline.after(600, "test", clock), tool=Path))
