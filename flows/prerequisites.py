"""Everything a cluster needs before it can be created: tools, and what its driver's preflight looks at."""

from prefect import flow

from boatyard.spec.models import Cluster
from tasks.preflight import check_preflight, install_tools
from tasks.yard import reserve


@flow(name="prerequisites", flow_run_name="prerequisites of {cluster.name}", validate_parameters=True)
def prerequisites(cluster: Cluster, install: bool = True, repair: bool = True) -> None:
    """Check, and make or mend what is missing.

    Args:
        cluster: The cluster that is going to be created.
        install: Install missing tools; otherwise only name them.
        repair: Make or mend what may be, like a state store or a hosted zone; otherwise only name it.
    """
    with reserve(cluster, "prerequisites"):
        install_tools(cluster, install)
        check_preflight(cluster, repair)
