"""A cluster's whole life in one run: what a fleet goes through over years, in the order it happens."""

from prefect import flow

from boatyard.spec.models import Cluster
from boatyard.spec.types import Name, VersionText
from flows.create import create_cluster
from flows.delete import delete_cluster
from flows.deploy_apps import deploy_apps
from flows.hibernate import hibernate_cluster, wake_cluster
from flows.monitor import monitor_fleet
from flows.prerequisites import prerequisites
from flows.rotate import rotate_keys
from flows.scale import scale_cluster
from flows.upgrade import upgrade_cluster
from flows.validate import validate_cluster


@flow(name="lifecycle", flow_run_name="whole life of {cluster.name}")
def lifecycle(
    cluster: Cluster,
    upgrades: list[VersionText] | None = None,
    scale: list[dict[Name, int]] | None = None,
    rotate: bool = False,
    delete: bool = True,
) -> None:
    """Prerequisites, create, validate, apps, monitor, upgrades, scaling, hibernation, waking and, if wanted, deletion.

    Args:
        cluster: What should be.
        upgrades: Kubernetes versions to go through, one after another.
        scale: Pool sizes to go through, one after another.
        rotate: Exchange the cluster's keys, after waking.
        delete: Delete the cluster at the end and prove that nothing is left.
    """
    name = cluster.name
    prerequisites(cluster)
    create_cluster(cluster)
    validate_cluster(name)
    deploy_apps(name)
    monitor_fleet([name])
    for version in upgrades or []:
        upgrade_cluster(name, version)
    for sizes in scale or []:
        scale_cluster(name, sizes)
    hibernate_cluster(name)
    wake_cluster(name)
    if rotate:
        rotate_keys(name)
    if delete:
        delete_cluster(name, confirm=name)
