"""Certificate authorities and service-account keys are exchanged while the cluster runs."""

from prefect import flow

from boatyard.plan.compute import rotation
from boatyard.spec.types import ClusterName
from flows.validate import validate_cluster
from tasks.rotation import phases
from tasks.steps import run_plan
from tasks.yard import operate


@flow(name="rotate-keys", flow_run_name="rotate keys of {name}")
def rotate_keys(name: ClusterName) -> None:
    """New keys are staged, then promoted, then the old ones distrusted; nodes are replaced after each.

    A rotation that was cut off goes on where it ended.

    Args:
        name: A cluster that Boatyard knows.
    """
    with operate(name, "rotate") as op:
        run_plan(rotation(op.cluster, op.observe(), phases(), op.expected))
        validate_cluster(name)
