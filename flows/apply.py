"""Whatever is missing between what is and what should be."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from boatyard.spec.models import Cluster
from flows.prerequisites import prerequisites
from tasks.steps import converge
from tasks.waves import counted
from tasks.yard import operate


@flow(name="apply-cluster", flow_run_name="apply {cluster.name}")
def apply_cluster(
    cluster: Cluster,
    wait: Annotated[float, Field(ge=0, le=86400)] = 0.0,
    expect: str | None = None,
    expect_resources: str | None = None,
) -> None:
    """Plan, show the plan, and carry it out. Applied again, it does nothing.

    Args:
        cluster: What should be; from now on Boatyard keeps this cluster.
        wait: Seconds to wait for another operation on the cluster to end; 0 refuses at once, naming it.
        expect: Digest of the plan that was agreed to; another one is refused, and what follows from it is left alone.
        expect_resources: Digest of what that plan showed it touches at the provider; nothing else is touched then.
    """
    with operate(cluster, "apply", wait=wait) as op, counted(op) as gate:
        prerequisites(cluster)
        converge(expect=expect, expect_resources=expect_resources, gate=gate)
