"""The cluster's apps: applied, pruned and waited for, each after those it depends on."""

from prefect import flow

from boatyard.spec.models import App
from boatyard.spec.types import ClusterName
from tasks.steps import APPS, converge
from tasks.yard import operate


@flow(name="deploy-apps", flow_run_name="deploy apps to {name}")
def deploy_apps(name: ClusterName, apps: list[App] | None = None) -> None:
    """Deploy what changed and remove what is gone.

    Args:
        name: A cluster that Boatyard knows.
        apps: The apps from now on; those the cluster's spec has, when left out.
    """
    with operate(name, "deploy apps") as op:
        wanted = op.cluster if apps is None else op.cluster.model_copy(update={"apps": tuple(apps)})
        with op.wanting(wanted):
            converge(*APPS)
