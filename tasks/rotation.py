"""Rotation of keys, for drivers that can."""

from collections.abc import Sequence
from datetime import timedelta

from prefect import task

from boatyard.drivers.base import Rotatable
from boatyard.errors import Unsupported
from tasks.options import RETRIED
from tasks.yard import operation

LIMIT = timedelta(minutes=2)


@task(task_run_name="phases of a rotation", **RETRIED)
def phases() -> Sequence[str]:
    """What a rotation has still to go through: all of it, or the rest of one that was cut off."""
    op = operation()
    driver = op.driver(LIMIT, f"reading the keys of {op.cluster.name}")
    if not isinstance(driver, Rotatable):
        raise Unsupported(
            f"the {driver.kind} driver cannot rotate keys.", hint="`boatyard compare` shows what each driver can do."
        )
    return driver.rotation()
