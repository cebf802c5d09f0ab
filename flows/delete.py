"""The end of a cluster, proved by a scan that finds nothing."""

from prefect import flow

from boatyard.errors import Unsafe
from boatyard.plan.compute import deletion
from boatyard.spec.types import ClusterName
from tasks.residue import prove_deleted
from tasks.steps import run_plan
from tasks.yard import first_begun, operate


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
        begun, known = first_begun(), op.yard.store.clusters.get(name)
        if begun is not None and known is not None and known.created_at > begun:
            raise Unsafe(
                f"{name} was made anew at {known.created_at:%Y-%m-%d %H:%M:%S} UTC, after this deletion was begun;"
                " it is left alone.",
                hint="Start a new deletion if it is to go, too.",
            )
        run_plan(deletion(op.cluster, op.observe(), op.expected), agreed=True)  # by the name, given twice
        prove_deleted()
