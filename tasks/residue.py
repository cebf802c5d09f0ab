"""The proof of a deletion: an independent scan for leftovers."""

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from boatyard.drivers.base import Residue
from boatyard.drivers.operation import Operation
from boatyard.errors import Permanent
from tasks.options import RETRIED
from tasks.steps import artifact_key
from tasks.yard import operation

_LATER = (10.0, 30.0)
"""Seconds before each further look: for a while a provider may still list what is gone."""


@task(task_run_name="prove deletion", **RETRIED)
def prove_deleted() -> None:
    """Only an empty scan lets the cluster be forgotten; else what is left is named with owner and cost."""
    op = operation()
    if left := _left(op):
        rows = [
            {"kind": r.kind, "what": r.identity, "owner": r.owner, "US$ a month": r.monthly_cost or ""} for r in left
        ]
        create_table_artifact(
            rows, key=f"residue-{artifact_key(op.cluster.name)}", description=f"Left of {op.cluster.name}"
        )
        raise Permanent(
            f"{len(left)} things are left of {op.cluster.name}: "
            + ", ".join(f"{r.kind} {r.identity}" for r in left)
            + ".",
            hint="Delete the cluster again; what stays must be removed by hand.",
        )
    op.yard.store.clusters.forget(op.cluster.name, fence=op.lease.number)
    get_run_logger().info("nothing is left of %s", op.cluster.name)


def _left(op: Operation) -> list[Residue]:
    """What is left also at the last look."""
    left = op.driver().residue()
    for pause in _LATER:
        if not left or op.yard.machine.wait(op.stopped, pause):
            break
        get_run_logger().info("%d things are still listed; looking again", len(left))
        left = op.driver().residue()
    return left
