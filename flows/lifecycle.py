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
from tasks.life import live, once, rotated, stage


@flow(name="lifecycle", flow_run_name="whole life of {cluster.name}")
def lifecycle(
    cluster: Cluster,
    upgrades: list[VersionText] | None = None,
    scale: list[dict[Name, int]] | None = None,
    rotate: bool = False,
    delete: bool = True,
) -> None:
    """Prerequisites, create, validate, apps, monitor, upgrades, scaling, hibernation, waking and, if wanted, deletion.

    Run again with the same arguments after it was cut off, it goes on with the stage that it had come to.

    Args:
        cluster: What should be.
        upgrades: Kubernetes versions to go through, one after another.
        scale: Pool sizes to go through, one after another.
        rotate: Exchange the cluster's keys, after waking.
        delete: Delete the cluster at the end and prove that nothing is left.
    """
    name = cluster.name
    stages = [
        stage(prerequisites, cluster),
        stage(create_cluster, cluster),
        stage(validate_cluster, name),
        stage(deploy_apps, name),
        stage(monitor_fleet, [name]),
        *[stage(upgrade_cluster, name, version) for version in upgrades or []],
        *[stage(scale_cluster, name, sizes) for sizes in scale or []],
        stage(hibernate_cluster, name),
        stage(wake_cluster, name),
    ]
    if rotate:
        stages += [once(stage(rotate_keys, name), rotated)]
    if delete:
        stages += [stage(delete_cluster, name, confirm=name)]
    live(name, stages, deletes=delete)
