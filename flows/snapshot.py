"""A cluster's objects as a file, and back."""

from pathlib import Path

from prefect import flow

from boatyard.spec.types import ClusterName
from flows.validate import validate_cluster
from tasks.snapshots import load_snapshot, save_snapshot
from tasks.yard import operate


@flow(name="snapshot-cluster", flow_run_name="snapshot {name}")
def snapshot_cluster(name: ClusterName, to: Path | None = None) -> Path:
    """Write all objects of the cluster to a file, readable by its owner only.

    Args:
        name: A cluster that Boatyard knows.
        to: Where to; a dated file in Boatyard's own folder when left out.
    """
    with operate(name, "snapshot") as op:
        op.refuse_asleep()
        return save_snapshot(to)


@flow(name="restore-cluster", flow_run_name="restore {name}")
def restore_cluster(name: ClusterName, source: Path) -> None:
    """Bring the objects of a snapshot back, and validate.

    Args:
        name: A cluster that Boatyard knows.
        source: A file that snapshot-cluster wrote.
    """
    with operate(name, "restore") as op:
        op.refuse_asleep()
        load_snapshot(source)
        validate_cluster(name)
