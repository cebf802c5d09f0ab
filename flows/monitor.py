"""The fleet's health, by schedule: conditions with the time they last changed."""

from prefect import flow

from boatyard.spec.types import ClusterName
from tasks.health import report_changes, watch_over
from tasks.upkeep import fleet


@flow(name="monitor-fleet", flow_run_name="monitor")
def monitor_fleet(names: list[ClusterName] | None = None) -> None:
    """Look at every cluster, side by side, and write down what is well and what is not. Changes nothing on a cluster.

    Args:
        names: Only these clusters; all that Boatyard knows, when left out.
    """
    looks = [watch_over.submit(name) for name in fleet(names)]
    report_changes([look.result() for look in looks])
