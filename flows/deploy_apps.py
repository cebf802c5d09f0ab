"""The cluster's apps: applied, pruned and waited for, each after those it depends on."""

from prefect import flow

from boatyard.spec.models import App
from boatyard.spec.types import ClusterName
from tasks.steps import APPS, converge
from tasks.yard import operate


@flow(name="deploy-apps", flow_run_name="deploy apps to {name}")
def deploy_apps(name: ClusterName, apps: list[App] | None = None, wake: bool = False) -> None:
    """Deploy what changed and remove what is gone. A cluster that is hibernated is refused, unless it may be woken.

    Args:
        name: A cluster that Boatyard knows.
        apps: The apps from now on; those the cluster's spec has, when left out.
        wake: Wake the cluster where it is hibernated; its machines run, and cost, from then on.
    """
    with operate(name, "deploy apps") as op:
        if not wake:
            op.refuse_asleep(", or deploy with --wake")
        wanted = op.cluster if apps is None else op.cluster.model_copy(update={"apps": tuple(apps)})
        with op.wanting(wanted):
            converge(*APPS)
