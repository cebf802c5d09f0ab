"""The journal: every step that was begun, by whom and why, and how it ended. Entries are added and ended, no more.

Reasons and messages are redacted on their way in: what is written here is read by many.
"""

from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from boatyard.clock import Clock
from boatyard.errors import NotFound
from boatyard.redact import redact
from boatyard.store.database import Database
from boatyard.store.fencing import guard
from boatyard.store.records import Entry, Lease, settle_outcome
from boatyard.store.schema import journal, leases

Entries = list[Entry]


class Journal:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(
        self,
        cluster: str,
        *,
        operation: str,
        run_id: str | None,
        verb: str,
        target: str,
        reason: str,
        who: str,
        fence: int | None,
    ) -> int:
        """Write down that a step begins, before it does; the entry's id. `Fenced` when the lease number is stale."""
        values = {
            "cluster": cluster,
            "operation": operation,
            "run_id": run_id,
            "verb": verb,
            "target": target,
            "reason": redact(reason),
            "who": who,
            "fence": fence,
            "begun_at": self._clock.now(),
            "outcome": "running",
            "message": "",
        }
        with self._database.write() as connection:
            guard(connection, cluster, fence)
            return _insert(connection, values)

    def end(self, id: int, outcome: Literal["done", "failed", "skipped"], message: str = "") -> None:  # noqa: A002
        """Write down how the step ended. The first end stays; `Fenced` when its lease is not ours any more."""
        row = journal.c
        with self._database.write() as connection:
            entry = connection.execute(
                sa.select(row.cluster, row.fence, row.ended_at).where(row.id == id)
            ).one_or_none()
            if entry is None:
                raise NotFound(f"There is no entry {id} in the journal.")
            if entry.ended_at is not None:
                return
            guard(connection, entry.cluster, entry.fence)
            values = {"ended_at": self._clock.now(), "outcome": outcome, "message": redact(message)}
            connection.execute(sa.update(journal).where(row.id == id, row.ended_at.is_(None)).values(values))

    def list(self, cluster: str | None = None, limit: int = 100, after: int | None = None) -> Entries:
        """Entries in the order they began: the `limit` newest, or the `limit` oldest with an id above `after`."""
        query = sa.select(journal).limit(limit)
        if cluster is not None:
            query = query.where(journal.c.cluster == cluster)
        if after is not None:
            query = query.where(journal.c.id > after)
        query = query.order_by(journal.c.id if after is not None else journal.c.id.desc())
        return self._entries(query, newest_first=after is None)

    def interrupted(self, cluster: str | None = None) -> Entries:
        """Steps that were begun and never ended because their run died, oldest first."""
        query = sa.select(journal).where(journal.c.ended_at.is_(None)).order_by(journal.c.id)
        if cluster is not None:
            query = query.where(journal.c.cluster == cluster)
        return [entry for entry in self._entries(query) if entry.interrupted]

    def _entries(self, query: "sa.Select[Any]", *, newest_first: bool = False) -> Entries:
        now = self._clock.now()
        with self._database.read() as connection:
            entries = [Entry(**row._mapping) for row in connection.execute(query)]
            names = {entry.cluster for entry in entries if entry.ended_at is None}
            held = sa.select(leases).where(leases.c.cluster.in_(names), leases.c.holder.is_not(None))
            found = {row.cluster: _lease(row) for row in connection.execute(held)} if names else {}
        if newest_first:
            entries.reverse()
        return [settle_outcome(entry, found.get(entry.cluster), now) for entry in entries]


def _lease(row: sa.Row[Any]) -> Lease:
    return Lease(**{key: value for key, value in row._mapping.items() if key != "taken_from"})


def _insert(connection: Connection, values: dict[str, Any]) -> int:
    number: int = connection.execute(sa.insert(journal).values(values).returning(journal.c.id)).scalar_one()
    return number


def insert_note(connection: Connection, lease: Lease, verb: str, message: str) -> None:
    """A finished entry about the lease itself, in the transaction that changed it."""
    values = {
        "cluster": lease.cluster,
        "operation": lease.operation,
        "run_id": lease.run_id,
        "verb": verb,
        "target": lease.cluster,
        "reason": message,
        "who": lease.holder,
        "fence": lease.number,
        "begun_at": lease.since,
        "ended_at": lease.since,
        "outcome": "done",
        "message": "",
    }
    _insert(connection, values)
