"""Whatever is missing between what is and what should be."""

from prefect import flow

from boatyard.spec.models import Cluster
from flows.prerequisites import prerequisites
from tasks.steps import converge
from tasks.yard import operate


@flow(name="apply-cluster", flow_run_name="apply {cluster.name}")
def apply_cluster(cluster: Cluster) -> None:
    """Plan, show the plan, and carry it out. Applied again, it does nothing.

    Args:
        cluster: What should be; from now on Boatyard keeps this cluster.
    """
    with operate(cluster, "apply"):
        prerequisites(cluster)
        converge()
