"""A cluster comes to be: control plane, then its node pools side by side."""

from prefect import flow

from boatyard.spec.models import Cluster
from flows.prerequisites import prerequisites
from tasks.steps import CREATE, converge
from tasks.yard import operate


@flow(name="create-cluster", flow_run_name="create {cluster.name}")
def create_cluster(cluster: Cluster) -> None:
    """Create the control plane and the node pools. Run again after a kill, it finishes what is missing.

    Args:
        cluster: What should be; from now on Boatyard keeps this cluster.
    """
    with operate(cluster, "create"):
        prerequisites(cluster)
        converge(*CREATE)
