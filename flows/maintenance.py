"""Scheduled maintenance of the whole fleet: sleep and waking by schedule, upgrades inside each cluster's window."""

from prefect import flow, task

from boatyard.spec.types import ClusterName
from flows.hibernate import hibernate_cluster, wake_cluster
from flows.upgrade import upgrade_cluster
from tasks.options import ONCE, raise_all
from tasks.upkeep import Action, fleet, sleep_decision, upgrade_decision, upkeep_of
from tasks.yard import MAINTENANCE


@flow(name="maintain-fleet", flow_run_name="maintenance")
def maintain_fleet(names: list[ClusterName] | None = None, rings: list[str] | None = None) -> None:
    """Look at every cluster, side by side, and do what is due now. A run that comes late decides by the time it runs.

    Args:
        names: Only these clusters; all that Boatyard keeps, when left out.
        rings: Only clusters whose policy.maintenance.ring is one of these, so that each ring may have its own schedule.
    """
    raise_all([maintain.submit(name) for name in fleet(names, rings)])


@task(task_run_name="maintain {name}", **ONCE)
def maintain(name: str) -> None:
    """One cluster. Its own trouble does not keep the others from their maintenance."""
    with upkeep_of(name, MAINTENANCE) as op:
        if op is None:
            return
        match sleep_decision(op).action:
            case Action.HIBERNATE:
                hibernate_cluster(name)
            case Action.WAKE:
                wake_cluster(name)
        upgrade = upgrade_decision(op)
        if upgrade.to is not None:
            upgrade_cluster(name, upgrade.to)
