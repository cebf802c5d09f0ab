"""The fleet's health, by schedule: conditions with the time they last changed."""

from prefect import flow

from boatyard.spec.types import ClusterName
from tasks.cancelling import settle_cancelled
from tasks.health import report_changes, watch_all
from tasks.options import raise_failures
from tasks.upkeep import fleet


@flow(name="monitor-fleet", flow_run_name="monitor")
def monitor_fleet(names: list[ClusterName] | None = None) -> None:
    """Look at every cluster, side by side, and write down what is well and what is not. Changes nothing on a cluster.

    Args:
        names: Only these clusters; all that Boatyard knows, when left out.
    """
    settle_cancelled()
    looks, errors = watch_all(fleet(names))
    report_changes(looks)
    raise_failures(errors)  # a cluster that cannot be looked at does not keep the news of the others from being told
