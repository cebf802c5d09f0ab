"""Is the cluster what the spec says, and does it work? Every check has a result of its own."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from boatyard.spec.types import ClusterName
from tasks.health import validate
from tasks.yard import operate


@flow(name="validate-cluster", flow_run_name="validate {name}")
def validate_cluster(name: ClusterName, rounds: Annotated[int, Field(ge=1, le=20)] = 3) -> None:
    """Check the API server, nodes, system pods, versions, scheduling and DNS, until all is well several times in a row.

    Args:
        name: A cluster that Boatyard knows.
        rounds: How many rounds in a row have to be well.
    """
    with operate(name, "validate"):
        validate(rounds)
