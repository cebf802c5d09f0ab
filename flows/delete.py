"""The end of a cluster, proved by a scan that finds nothing."""

from prefect import flow

from boatyard.errors import Unsafe
from boatyard.plan.compute import deletion
from boatyard.spec.types import ClusterName
from tasks.overtaken import refuse_made_anew
from tasks.residue import prove_deleted
from tasks.steps import run_plan
from tasks.yard import operate


@flow(name="delete-cluster", flow_run_name="delete {name}")
def delete_cluster(name: ClusterName, confirm: str) -> None:
    """Delete the cluster and scan for what may be left of it.

    One that was cut off and goes on deletes no other cluster that was made since by the same name.

    Args:
        name: A cluster that Boatyard knows.
        confirm: The cluster's name once more, as proof that you mean it.
    """
    if confirm != name:
        raise Unsafe(f"to delete {name}, confirm must be {name!r}, found {confirm!r}; nothing was deleted.")
    with operate(name, "delete") as op:
        refuse_made_anew(op)
        run_plan(deletion(op.cluster, op.observe(), op.expected), agreed=True)  # by the name, given twice
        prove_deleted()
