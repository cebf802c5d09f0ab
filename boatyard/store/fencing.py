"""The guard that every fenced write passes in its own transaction."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from boatyard.errors import Fenced
from boatyard.store.schema import leases


def guard(connection: Connection, cluster: str, fence: int | None) -> None:
    """Raise `Fenced` unless `fence` is the cluster's lease right now; None is a write that needs no lease.

    The lease's row stays locked until the transaction ends, so nobody can take it between this look and the write.
    A lease that ran out still guards while nobody else has taken it: no other run can have acted in between.
    """
    if fence is None:
        return
    query = sa.select(leases.c.number, leases.c.holder, leases.c.operation).where(leases.c.cluster == cluster)
    row = connection.execute(query.with_for_update(read=True)).one_or_none()
    if row is None or row.number != fence or row.holder is None:
        raise fenced(cluster, fence, row)


def fenced(cluster: str, fence: int, row: sa.Row[*tuple[Any, ...]] | None) -> Fenced:
    """The error for a lost lease; `row` is the lease that stands now."""
    if row is None or row.holder is None:
        now = "it was given back"
    else:
        now = f"{row.operation} by {row.holder} holds it as number {row.number}"
    return Fenced(
        f"The lease number {fence} on cluster {cluster} was lost: {now}.",
        hint="This run changes nothing more; start it again to go on from what is there.",
    )
