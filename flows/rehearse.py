"""An upgrade tried on a twin first: the cluster's own objects, the very plan, and a report of what would go wrong."""

from prefect import flow

from boatyard.sandbox.rehearsal.report import Report
from boatyard.spec.types import ClusterName, VersionText
from tasks.rehearsal import build_twin, keep_report, load_objects, read_cluster, rehearse_steps, rehearsing


@flow(name="rehearse-upgrade", flow_run_name="rehearse {name} to {to}")
def rehearse_upgrade(name: ClusterName, to: VersionText) -> Report:
    """Read the cluster, build its twin on this machine, and upgrade that one. The cluster itself is not changed.

    Args:
        name: A cluster that Boatyard knows, and that runs.
        to: The Kubernetes version to try, like 1.36; minors between are gone through one by one.
    """
    with rehearsing(name, to):
        read_cluster()
        build_twin()
        load_objects()
        rehearse_steps()
        return keep_report()
