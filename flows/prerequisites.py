"""Everything a cluster needs before it can be created: tools, and what its driver's preflight looks at."""

from prefect import flow

from boatyard.spec.models import Cluster
from tasks.preflight import check_preflight, install_tools


@flow(name="prerequisites", flow_run_name="prerequisites of {cluster.name}", validate_parameters=True)
def prerequisites(cluster: Cluster, install: bool = True) -> None:
    """Check, and install what is missing.

    Args:
        cluster: The cluster that is going to be created.
        install: Install missing tools; otherwise only name them.
    """
    install_tools(cluster, install)
    check_preflight(cluster)
