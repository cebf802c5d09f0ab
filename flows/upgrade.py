"""Kubernetes goes up, one minor at a time: what would block it, control plane, a canary, then pool after pool."""

from prefect import flow

from boatyard.spec.types import ClusterName, VersionText
from flows.validate import validate_cluster
from tasks.gates import require_leave
from tasks.steps import UPGRADE, converge
from tasks.waves import recorded
from tasks.yard import operate


@flow(name="upgrade-cluster", flow_run_name="upgrade {name} to {to}")
def upgrade_cluster(name: ClusterName, to: VersionText, wake: bool = False) -> None:
    """Upgrade, and validate at the end. An upgrade that stopped goes on from there.

    A cluster that is hibernated is refused, unless it may be woken.

    Args:
        name: A cluster that Boatyard knows.
        to: The Kubernetes version to reach, like 1.36; minors between are gone through one by one.
        wake: Wake the cluster where it is hibernated; its machines run, and cost, from then on.
    """
    with operate(name, "upgrade") as op:
        if not wake:
            op.refuse_asleep(", or upgrade with --wake")
        with recorded(op, to), op.wanting(op.at_version(to)):
            converge(*UPGRADE, gate=require_leave)
            validate_cluster(name)
