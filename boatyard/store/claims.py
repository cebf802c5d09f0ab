"""Claims: which event owns which cluster, and the tombstones of the closed ones. The rules are methods of `Claim`."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from boatyard.clock import Clock
from boatyard.store.database import Database
from boatyard.store.records import Claim, ClaimResult, Todo
from boatyard.store.schema import claims
from boatyard.store.upsert import upsert


class Claims:
    """Events come twice, late and in any order; the newest by the time it occurred wins, a tie goes to the closing."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def open(self, key: str, cluster: str, at: datetime) -> ClaimResult:
        """An opening that occurred at `at`. CREATE if it opened the claim, NONE for a duplicate or a late one."""
        return self._hear(key, lambda claim: claim.opening(cluster, at))

    def close(self, key: str, at: datetime) -> ClaimResult:
        """A closing that occurred at `at`: leaves a tombstone. DELETE if it closed an open claim."""
        return self._hear(key, lambda claim: claim.closing(at))

    def settle(self, claim: Claim) -> bool:
        """What `claim` asked for has been carried out; False when newer events ask for something else by now."""
        same = (
            claims.c.key == claim.key,
            claims.c.opened_at.is_not_distinct_from(claim.opened_at),
            claims.c.closed_at.is_not_distinct_from(claim.closed_at),
        )
        with self._database.write() as connection:
            return connection.execute(sa.update(claims).where(*same).values(settled=True)).rowcount == 1

    def get(self, key: str) -> Claim | None:
        with self._database.read() as connection:
            row = connection.execute(sa.select(claims).where(claims.c.key == key)).one_or_none()
        return None if row is None else Claim(**row._mapping)

    def of(self, cluster: str) -> list[Claim]:
        """Every claim that names this cluster, open or closed."""
        return self._list(sa.select(claims).where(claims.c.cluster == cluster))

    def pending(self) -> list[Claim]:
        """Claims whose last word was not carried out: runs that died between the event and the deed."""
        unsettled = self._list(sa.select(claims).where(claims.c.settled.is_(False)))
        return [claim for claim in unsettled if claim.due is not Todo.NONE]

    def prune(self, before: datetime) -> int:
        """Drop the tombstones of closings that occurred before `before` and are carried out; how many."""
        old = sa.delete(claims).where(claims.c.settled.is_(True), claims.c.closed_at < before)
        old = old.where(sa.or_(claims.c.opened_at.is_(None), claims.c.opened_at <= claims.c.closed_at))
        with self._database.write() as connection:
            return connection.execute(old).rowcount

    def _hear(self, key: str, change: Callable[[Claim], Claim]) -> ClaimResult:
        with self._database.write() as connection:
            before = _locked(connection, key)
            after = change(before)
            connection.execute(sa.update(claims).where(claims.c.key == key).values(asdict(after)))
        todo = Todo.NONE if after.open == before.open else Todo.CREATE if after.open else Todo.DELETE
        return ClaimResult(todo, after)

    def _list(self, query: "sa.Select[tuple[object, ...]]") -> "list[Claim]":
        with self._database.read() as connection:
            return [Claim(**row._mapping) for row in connection.execute(query.order_by(claims.c.key))]


def _locked(connection: Connection, key: str) -> Claim:
    """The claim, made if unheard of, locked until the transaction ends."""
    blank = Claim(key, None, None, None, settled=True)
    connection.execute(upsert(connection, claims, asdict(blank)).on_conflict_do_nothing(index_elements=["key"]))
    row = connection.execute(sa.select(claims).where(claims.c.key == key).with_for_update()).one()
    return Claim(**row._mapping)
