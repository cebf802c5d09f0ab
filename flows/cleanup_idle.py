"""Nightly clean-up: what has outlived its time, or is idle by evidence, is warned about, hibernated and deleted."""

from prefect import flow, task

from boatyard.spec.types import ClusterName
from flows.delete import delete_cluster
from flows.hibernate import hibernate_cluster
from tasks.options import ONCE, raise_all
from tasks.rehearsal import remove_left_twins
from tasks.upkeep import Action, fell_idle, fleet, idle_decision, upkeep_of, warn_owner
from tasks.yard import CLEAN_UP


@flow(name="cleanup-idle", flow_run_name="clean-up")
def cleanup_idle(names: list[ClusterName] | None = None) -> None:
    """Decide for every cluster, side by side. Protected, exempt, busy and unreachable ones stay.

    Twins that killed rehearsals left go, too.

    Args:
        names: Only these clusters; all that Boatyard keeps, when left out.
    """
    raise_all([remove_left_twins.submit(), *(clean_up.submit(name) for name in fleet(names))])


@task(task_run_name="clean up {name}", **ONCE)
def clean_up(name: str) -> None:
    """One cluster. Its own trouble does not keep the others from their clean-up."""
    with upkeep_of(name, CLEAN_UP) as op:
        if op is None:
            return
        decision = idle_decision(op)
        match decision.action:
            case Action.WARN:
                warn_owner(op, decision.reason)
            case Action.CLEAR_WARNING:
                op.asked_for(decision.reason)
            case Action.HIBERNATE:
                hibernate_cluster(name)
                fell_idle(op)
            case Action.DELETE:
                delete_cluster(name, confirm=name)
