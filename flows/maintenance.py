"""Scheduled maintenance of the whole fleet: sleep and waking by schedule, upgrades in waves, inside windows."""

from prefect import flow, task

from boatyard.spec.types import ClusterName
from flows.hibernate import hibernate_cluster, wake_cluster
from flows.upgrade import upgrade_cluster
from tasks.options import ONCE, raise_all
from tasks.upkeep import Action, fleet, sleep_decision, upkeep_of
from tasks.waves import (
    Schedule,
    Verdict,
    accounted,
    ask_for,
    due_upgrades,
    give_back,
    reserved,
    show,
    still_due,
    to_put_back,
)
from tasks.yard import MAINTENANCE


@flow(name="maintain-fleet", flow_run_name="maintenance")
def maintain_fleet(names: list[ClusterName] | None = None, rings: list[str] | None = None) -> None:
    """Look at every cluster, side by side, and do what is due now. A run that comes late decides by the time it runs.

    Args:
        names: Only these clusters; all that Boatyard keeps, when left out.
        rings: Only clusters of these rings, so that each ring may have its own schedule.
    """
    those = fleet(names, rings)
    sleeping = [sleep_or_wake.submit(name) for name in those]
    for each in sleeping:
        each.wait()
    schedule = due_upgrades(those)
    upgrades = [upgrade_due.submit(verdict) for verdict in schedule.starts]
    raise_all([*sleeping, *upgrades, tell_people.submit(schedule)])


@task(task_run_name="look after {name}", **ONCE)
def sleep_or_wake(name: str) -> None:
    """One cluster's sleep. Its own trouble does not keep the others from their maintenance."""
    with upkeep_of(name, MAINTENANCE) as op:
        if op is None:
            return
        match sleep_decision(op).action:
            case Action.HIBERNATE:
                hibernate_cluster(name)
            case Action.WAKE:
                wake_cluster(name)
            case _ if to_put_back(op):
                hibernate_cluster(name)


@task(task_run_name="tell people", **ONCE)
def tell_people(schedule: Schedule) -> None:
    """What moves and what stands still, and what a person must decide. Trouble here keeps no upgrade from its start."""
    show(schedule)
    ask_for(schedule.asks)


@task(task_run_name="upgrade {verdict.name}", **ONCE)
def upgrade_due(verdict: Verdict) -> None:
    """One cluster's upgrade; one that sleeps is woken for it and put back."""
    name, to = verdict.name, str(verdict.to)
    with accounted(name, to), upkeep_of(name, MAINTENANCE) as op:
        if op is None or not still_due(op, verdict):
            give_back(name, to, "it was busy, or not as it had been")
            return
        with reserved(name, to):
            if verdict.wake:
                wake_cluster(name)
            upgrade_cluster(name, to)
        if verdict.wake:
            hibernate_cluster(name)
