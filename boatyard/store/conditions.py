"""Conditions: the last word on each side of a cluster's health, and since when it is so."""

from datetime import datetime

import sqlalchemy as sa

from boatyard.clock import Clock
from boatyard.store.clusters import lock_cluster
from boatyard.store.database import Database
from boatyard.store.fencing import guard
from boatyard.store.records import Condition, Status
from boatyard.store.schema import conditions
from boatyard.store.upsert import upsert


class Conditions:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def set(
        self,
        cluster: str,
        type: str,  # noqa: A002 - Kubernetes' own word
        status: Status,
        reason: str = "",
        message: str = "",
        *,
        now: datetime | None = None,
        fence: int | None = None,
    ) -> bool:
        """Write down a finding of `now`; True if it is news, which moves the transition time.

        News are the first finding, another status, and another reason why it is False: what ended soon has ended. A
        finding older than the one that stands is dropped, unless that one is of a clock that was ahead: it would stand
        until its time has come. `NotFound` for a cluster the store does not know.
        """
        today = self._clock.now()
        at = today if now is None else now
        key = (conditions.c.cluster == cluster, conditions.c.type == type)
        with self._database.write() as connection:
            guard(connection, cluster, fence)
            lock_cluster(connection, cluster)
            old = connection.execute(sa.select(conditions).where(*key)).one_or_none()
            if old is not None and at < old.checked_at <= today:
                return False
            same = old is not None and old.status == status and (status != "False" or old.reason == reason)
            since = min(old.transition_at, at) if old is not None and same else at
            values = {
                "cluster": cluster,
                "type": type,
                "status": status,
                "reason": reason,
                "message": message,
                "transition_at": since,
                "checked_at": at,
            }
            statement = upsert(connection, conditions, values)
            connection.execute(statement.on_conflict_do_update(index_elements=["cluster", "type"], set_=values))
            return not same

    def list(self, cluster: str | None = None) -> list[Condition]:
        """By cluster and type."""
        query = sa.select(conditions).order_by(conditions.c.cluster, conditions.c.type)
        if cluster is not None:
            query = query.where(conditions.c.cluster == cluster)
        with self._database.read() as connection:
            return [Condition(**row._mapping) for row in connection.execute(query)]

    def clear(self, cluster: str, type: str, *, fence: int | None = None) -> None:  # noqa: A002
        """Drop a condition that does not apply any more."""
        with self._database.write() as connection:
            guard(connection, cluster, fence)
            connection.execute(sa.delete(conditions).where(conditions.c.cluster == cluster, conditions.c.type == type))
