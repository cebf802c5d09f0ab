"""The guard that every fenced write passes in its own transaction."""

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
    standing = _standing(connection, cluster, lock=True)
    if standing is None or standing[0] != fence or standing[1] is None:
        raise _error(cluster, fence, standing)


def fenced(connection: Connection, cluster: str, fence: int) -> Fenced:
    """The error for a lost lease, naming who has it now."""
    return _error(cluster, fence, _standing(connection, cluster, lock=False))


def _standing(connection: Connection, cluster: str, *, lock: bool) -> tuple[int, str | None, str] | None:
    """Number, holder and operation of the lease that stands now."""
    query = sa.select(leases.c.number, leases.c.holder, leases.c.operation).where(leases.c.cluster == cluster)
    row = connection.execute(query.with_for_update(read=True) if lock else query).one_or_none()
    return None if row is None else (row.number, row.holder, row.operation)


def _error(cluster: str, fence: int, standing: tuple[int, str | None, str] | None) -> Fenced:
    if standing is None or standing[1] is None:
        now = "it was given back"
    else:
        now = f"{standing[2]} by {standing[1]} holds it as number {standing[0]}"
    return Fenced(
        f"The lease number {fence} on cluster {cluster} was lost: {now}.",
        hint="This run changes nothing more; start it again to go on from what is there.",
    )
