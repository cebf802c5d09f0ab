"""Node pools to exact sizes, within the bounds of the spec."""

from prefect import flow

from boatyard.plan.compute import scaling
from boatyard.plan.model import Verb
from boatyard.spec.types import ClusterName, Name
from tasks.overtaken import refuse_overtaken
from tasks.steps import run_plan
from tasks.yard import operate


@flow(name="scale-cluster", flow_run_name="scale {name}")
def scale_cluster(name: ClusterName, pools: dict[Name, int]) -> None:
    """Add nodes, or drain and remove them.

    Args:
        name: A cluster that Boatyard knows.
        pools: Pool name and the number of nodes it should have, between the pool's min and max.
    """
    with operate(name, "scale") as op:
        op.refuse_asleep()
        refuse_overtaken(op, Verb.SCALE_POOL, pools)
        run_plan(scaling(op.cluster, op.observe(), pools, op.expected))
