"""Upgrades that were rehearsed, newest first; a gate asks for the last one."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from boatyard.clock import Clock
from boatyard.store.clusters import lock_cluster
from boatyard.store.database import Database
from boatyard.store.records import Rehearsal
from boatyard.store.schema import rehearsals


class Rehearsals:
    """What a rehearsal found. Those of a cluster go with it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(
        self, cluster: str, *, version: str, plan: str, spec: str, well: bool, report: Mapping[str, Any]
    ) -> Rehearsal:
        """Write down one that has just ended. report: JSON data. `NotFound` for a cluster the store does not know."""
        values = {
            "cluster": cluster,
            "version": version,
            "plan": plan,
            "spec": spec,
            "well": well,
            "ended_at": self._clock.now(),
            "report": dict(report),
        }
        with self._database.write() as connection:
            lock_cluster(connection, cluster)
            row = connection.execute(sa.insert(rehearsals).values(values).returning(rehearsals)).one()
            return Rehearsal(**row._mapping)

    def last(self, cluster: str, version: str | None = None) -> Rehearsal | None:
        """The newest of a cluster, of those to `version` where one is given; None when there was none."""
        query = sa.select(rehearsals).where(rehearsals.c.cluster == cluster).order_by(rehearsals.c.id.desc()).limit(1)
        if version is not None:
            query = query.where(rehearsals.c.version == version)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Rehearsal(**row._mapping)
