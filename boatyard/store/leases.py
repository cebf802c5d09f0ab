"""One lease a cluster. Its number grows with every taking and never falls, so a late writer is always told apart."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from boatyard.clock import Clock
from boatyard.errors import BoatyardError
from boatyard.store.database import Database
from boatyard.store.fencing import fenced
from boatyard.store.heartbeat import Heartbeat
from boatyard.store.journal import insert_note
from boatyard.store.process import Process, is_dead
from boatyard.store.records import Lease, LeaseHeld
from boatyard.store.schema import leases
from boatyard.store.upsert import upsert

log = logging.getLogger(__name__)

TTL = 60.0
"""Seconds a lease lasts without renewal: long enough for a pause of the machine, short enough to wait for."""
POLL = 1.0
"""Seconds between two looks at a lease that is waited for; neither SQLite nor a pooled PostgreSQL can be watched."""


class Leases:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lost: set[tuple[str, int]] = set()

    def acquire(
        self,
        cluster: str,
        holder: str,
        operation: str,
        ttl: float = TTL,
        run_id: str | None = None,
        *,
        resume_key: str = "",
        wait: float = 0.0,
    ) -> Lease:
        """Take the cluster's lease, or raise `LeaseHeld` naming who has it after `wait` seconds.

        It is free when it was released, has run out, its holder is a dead process of this machine, or the same holder
        took it for the same operation with the same non-empty resume key (the former run of a flow that is run again).
        """
        lease = self._lease(cluster, holder, operation, ttl, run_id, resume_key)
        until, never = self._clock.monotonic() + wait, threading.Event()
        while True:
            taken = self._try(lease)
            if isinstance(taken, int):
                return replace(lease, number=taken)
            left = until - self._clock.monotonic()
            if left <= 0:
                raise LeaseHeld(taken)
            self._clock.wait(never, min(POLL, left))
            lease = self._lease(cluster, holder, operation, ttl, run_id, resume_key)

    def renew(self, lease: Lease) -> Lease:
        """The same lease with a later end; `Fenced` when it is no longer ours."""
        renewed = replace(lease, expires_at=self._clock.now() + timedelta(seconds=lease.ttl))
        with self._database.write() as connection:
            done = connection.execute(_ours(sa.update(leases), lease).values(expires_at=renewed.expires_at))
            if done.rowcount == 0:
                self.lose(lease)
                raise fenced(connection, lease.cluster, lease.number)
        return renewed

    def release(self, lease: Lease) -> bool:
        """Give the lease back; False when it was no longer ours, which harms nobody."""
        now = self._clock.now()
        with self._database.write() as connection:
            done = connection.execute(_ours(sa.update(leases), lease).values(holder=None, expires_at=now))
            return done.rowcount == 1

    def check(self, lease: Lease) -> None:
        """Return while the lease is ours, else raise `Fenced`. Call it right before each change of the outside world.

        One that ran out untaken (the machine slept) is renewed here, in the statement that looks whether it is ours.
        """
        if (lease.cluster, lease.number) in self._lost:
            with self._database.read() as connection:
                raise fenced(connection, lease.cluster, lease.number)
        found = self.current(lease.cluster, expired=True)
        if found is None or found.number != lease.number or found.expires_at <= self._clock.now():
            self.renew(lease)

    def current(self, cluster: str, *, expired: bool = False) -> Lease | None:
        """The lease that is held now; with `expired` also one that ran out and that nobody took."""
        with self._database.read() as connection:
            found = _find(connection, cluster)
        if found is None or (found.expires_at <= self._clock.now() and not expired):
            return None
        return found

    def list(self) -> list[Lease]:
        """Every lease that is held now."""
        query = sa.select(leases).where(leases.c.holder.is_not(None), leases.c.expires_at > self._clock.now())
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query.order_by(leases.c.cluster))]

    @contextmanager
    def hold(
        self,
        cluster: str,
        holder: str,
        operation: str,
        ttl: float = TTL,
        run_id: str | None = None,
        *,
        resume_key: str = "",
        wait: float = 0.0,
        lost: Callable[[str], object] = lambda why: None,
    ) -> Iterator[Lease]:
        """Hold the lease for the block: renewed by a thread every third of `ttl`, given back at the end.

        When it is lost meanwhile, `check` and every fenced write raise `Fenced`, and so does the end of the block;
        `lost` is called with why, from the thread, when that is noticed.
        """
        lease = self.acquire(cluster, holder, operation, ttl, run_id, resume_key=resume_key, wait=wait)
        beat = Heartbeat(lambda: self.renew(lease), ttl / 3, f"lease of {cluster}", lost)
        beat.start()
        try:
            yield lease
        except BaseException:
            beat.stop()
            self._release_quietly(lease)
            raise
        beat.stop()
        if not self.release(lease):
            with self._database.read() as connection:
                raise fenced(connection, lease.cluster, lease.number)

    def lose(self, lease: Lease) -> None:
        """Remember that this lease is lost, so that no later look can find it ours."""
        self._lost.add((lease.cluster, lease.number))

    def _release_quietly(self, lease: Lease) -> None:
        """Give back while another error is on its way, which matters more than a store that does not answer now."""
        try:
            self.release(lease)
        except BoatyardError as error:
            log.warning("The lease on %s could not be given back and will run out: %s", lease.cluster, error)

    def _lease(self, cluster: str, holder: str, operation: str, ttl: float, run_id: str | None, key: str) -> Lease:
        if not holder or ttl <= 0:
            raise ValueError("a lease needs a holder and a time to live above zero")
        me, now = Process.this(), self._clock.now()
        until = now + timedelta(seconds=ttl)
        return Lease(
            cluster, 1, holder, operation, run_id, key, ttl, now, until, me.host, me.pid, me.machine, me.started
        )

    def _try(self, lease: Lease) -> int | Lease:
        """The new number, or the lease that is in the way."""
        dead: Lease | None = None
        while True:
            with self._database.write() as connection:
                number = _take(connection, lease, dead)
                if number is not None:
                    return number
                found = _find(connection, lease.cluster)
            if found is None:
                continue  # released between the two statements
            if dead == found or not is_dead(found.machine, found.pid, found.started):
                return found
            dead = found


def _take(connection: Connection, lease: Lease, dead: Lease | None) -> int | None:
    """Compare and set in one statement: the row is ours with the next number, or nothing changed and None returns."""
    values = {**lease.__dict__, "taken_from": None}
    statement = upsert(connection, leases, values)
    new, old = statement.excluded, leases.c
    resumed = sa.and_(
        old.holder == new.holder, old.operation == new.operation, old.resume_key == new.resume_key, new.resume_key != ""
    )
    free = sa.or_(old.holder.is_(None), old.expires_at <= lease.since, resumed)
    if dead is not None:
        free = sa.or_(free, old.number == dead.number)
    changed: dict[str, Any] = {name: new[name] for name in values if name not in {"cluster", "number", "taken_from"}}
    changed |= {"number": old.number + 1, "taken_from": _described(old)}
    statement = statement.on_conflict_do_update(index_elements=["cluster"], set_=changed, where=free)
    row = connection.execute(statement.returning(old.number, old.taken_from)).one_or_none()
    if row is None:
        return None
    number: int = row.number
    if row.taken_from is not None:
        why = "whose process is gone" if dead is not None else "which did not give it back"
        insert_note(connection, replace(lease, number=number), "take over lease", f"From {row.taken_from}, {why}.")
    return number


def _described(old: "sa.sql.base.ReadOnlyColumnCollection[str, sa.Column[Any]]") -> sa.ColumnElement[Any]:
    """The former holder in words, NULL when the lease was free."""
    return old.operation + " by " + old.holder + sa.func.coalesce(" (run " + old.run_id + ")", "")


def _ours(statement: sa.Update, lease: Lease) -> sa.Update:
    return statement.where(
        leases.c.cluster == lease.cluster, leases.c.number == lease.number, leases.c.holder.is_not(None)
    )


def _find(connection: Connection, cluster: str) -> Lease | None:
    row = connection.execute(sa.select(leases).where(leases.c.cluster == cluster)).one_or_none()
    return None if row is None or row.holder is None else _record(row)


def _record(row: sa.Row[Any]) -> Lease:
    return Lease(**{key: value for key, value in row._mapping.items() if key != "taken_from"})
