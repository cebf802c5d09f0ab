"""Sleep without cost, and waking with everything kept."""

from prefect import flow

from boatyard.plan.compute import hibernation
from boatyard.plan.model import Verb
from boatyard.spec.types import ClusterName
from flows.validate import validate_cluster
from tasks.overtaken import refuse_overtaken
from tasks.steps import converge, run_plan
from tasks.yard import operate


@flow(name="hibernate-cluster", flow_run_name="hibernate {name}")
def hibernate_cluster(name: ClusterName) -> None:
    """Put the cluster to sleep; its objects and volumes are kept.

    Args:
        name: A cluster that Boatyard knows.
    """
    with operate(name, "hibernate") as op:
        refuse_overtaken(op, Verb.WAKE)
        run_plan(hibernation(op.cluster, op.observe(), op.expected), agreed=True)  # by asking for it, or by schedule


@flow(name="wake-cluster", flow_run_name="wake {name}")
def wake_cluster(name: ClusterName) -> None:
    """Wake the cluster, and validate that it is whole.

    Args:
        name: A cluster that Boatyard knows.
    """
    with operate(name, "wake") as op:
        refuse_overtaken(op, Verb.HIBERNATE)
        converge(Verb.WAKE)
        validate_cluster(name)
