"""Snapshots, for drivers that can."""

from datetime import timedelta
from pathlib import Path

from prefect import task
from prefect.logging import get_run_logger

from boatyard.drivers.base import Snapshotable
from boatyard.errors import Unsupported
from tasks.options import RETRIED
from tasks.yard import operation

LIMIT = timedelta(minutes=15)


def _snapshotable(what: str) -> Snapshotable:
    driver = operation().driver(LIMIT, what)
    if not isinstance(driver, Snapshotable):
        raise Unsupported(
            f"the {driver.kind} driver has no snapshots.", hint="`boatyard compare` shows what each driver can do."
        )
    return driver


@task(**RETRIED, task_run_name="save objects")
def save_snapshot(to: Path | None) -> Path:
    """All objects into one file; returns where it is."""
    op = operation()
    stamp = op.yard.clock.now().strftime("%Y%m%dT%H%M%SZ")
    target = to or op.yard.settings.home / "snapshots" / op.cluster.name / f"{stamp}.snapshot"
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _snapshotable(f"snapshot of {op.cluster.name}").snapshot(target)
    get_run_logger().info("snapshot of %s: %s", op.cluster.name, target)
    return target


@task(**RETRIED, task_run_name="bring objects back")
def load_snapshot(source: Path) -> None:
    """The file's objects back into the cluster."""
    _snapshotable(f"restore of {operation().cluster.name}").restore(source)
