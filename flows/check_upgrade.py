"""What would break or block an upgrade, named before anybody starts one."""

from prefect import flow

from boatyard.spec.types import ClusterName, VersionText
from tasks.culprits import require_upgradable
from tasks.yard import operate


@flow(name="check-upgrade", flow_run_name="check {name} for {to}")
def check_upgrade(name: ClusterName, to: VersionText) -> None:
    """Look, and fail when something blocks. Changes nothing; the findings are a table among the run's artifacts.

    Args:
        name: A cluster that Boatyard knows.
        to: The Kubernetes version to reach, like 1.36.
    """
    with operate(name, "check upgrade"):
        require_upgradable(to)
