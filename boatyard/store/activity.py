"""Use of a cluster, and how far its clean-up has gone. What follows is decided elsewhere."""

from dataclasses import asdict, replace
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from boatyard.clock import Clock
from boatyard.store.clusters import lock_cluster
from boatyard.store.database import Database
from boatyard.store.fencing import guard
from boatyard.store.records import Activity
from boatyard.store.schema import activity
from boatyard.store.upsert import upsert


class ActivityLog:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def record(
        self, cluster: str, last_active: datetime | None, evidence: str, kind: str, *, fence: int | None = None
    ) -> Activity:
        """Someone looked: `last_active` is the newest use found, None when there was none to see.

        Never moves back in time. Use newer than the warning or the hibernation takes both back.
        """
        now = self._clock.now()
        with self._database.write() as connection:
            guard(connection, cluster, fence)
            lock_cluster(connection, cluster)
            old = _find(connection, cluster) or Activity(cluster, None, kind, evidence, now, None, None)
            return _save(connection, _seen(old, last_active, evidence, kind, now))

    def get(self, cluster: str) -> Activity | None:
        with self._database.read() as connection:
            return _find(connection, cluster)

    def list(self) -> list[Activity]:
        with self._database.read() as connection:
            return [Activity(**row._mapping) for row in connection.execute(sa.select(activity).order_by("cluster"))]

    def warned(self, cluster: str, at: datetime | None = None, *, fence: int | None = None) -> Activity:
        """The owner was told; the first warning stands, since the grace runs from it."""
        return self._step(cluster, "warned_at", at, fence)

    def hibernated(self, cluster: str, at: datetime | None = None, *, fence: int | None = None) -> Activity:
        """The cluster was put to sleep for idleness; the first time stands."""
        return self._step(cluster, "hibernated_at", at, fence)

    def woken(self, cluster: str, evidence: str, *, fence: int | None = None) -> Activity:
        """Somebody asked for the cluster: counts as use now, and clean-up starts from the beginning."""
        now = self._clock.now()
        with self._database.write() as connection:
            guard(connection, cluster, fence)
            lock_cluster(connection, cluster)
            return _save(connection, Activity(cluster, now, "asked for", evidence, now, None, None))

    def _step(
        self, cluster: str, field: Literal["warned_at", "hibernated_at"], at: datetime | None, fence: int | None
    ) -> Activity:
        now = self._clock.now()
        with self._database.write() as connection:
            guard(connection, cluster, fence)
            lock_cluster(connection, cluster)
            old = _find(connection, cluster) or Activity(cluster, None, "none", "", now, None, None)
            if getattr(old, field) is not None:
                return old
            when = at or now
            new = replace(old, warned_at=when) if field == "warned_at" else replace(old, hibernated_at=when)
            return _save(connection, new)


def _seen(old: Activity, last_active: datetime | None, evidence: str, kind: str, now: datetime) -> Activity:
    if last_active is None or (old.last_active_at is not None and last_active <= old.last_active_at):
        return replace(old, checked_at=now)
    new = replace(old, last_active_at=last_active, evidence=evidence, kind=kind, checked_at=now)
    steps = [at for at in (old.warned_at, old.hibernated_at) if at is not None]
    return replace(new, warned_at=None, hibernated_at=None) if steps and last_active > max(steps) else new


def _find(connection: Connection, cluster: str) -> Activity | None:
    row = connection.execute(sa.select(activity).where(activity.c.cluster == cluster)).one_or_none()
    return None if row is None else Activity(**row._mapping)


def _save(connection: Connection, record: Activity) -> Activity:
    values = asdict(record)
    statement = upsert(connection, activity, values)
    connection.execute(statement.on_conflict_do_update(index_elements=["cluster"], set_=values))
    return record
