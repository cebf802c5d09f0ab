"""The clusters: what is wanted, what was seen, and where each stands in its life."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from boatyard.clock import Clock
from boatyard.errors import NotFound, Permanent
from boatyard.store.database import Database
from boatyard.store.fencing import guard
from boatyard.store.records import ClusterRecord, State
from boatyard.store.schema import activity, clusters, conditions, rehearsals, upgrades
from boatyard.store.upsert import upsert

ABSENT = "absent"
"""The phase of a cluster that is not there."""


def missing(name: str) -> NotFound:
    return NotFound(f"There is no cluster {name} in the store.", hint="`boatyard status` lists the fleet.")


def lock_cluster(connection: Connection, name: str) -> None:
    """Lock the cluster's row for the rest of the transaction; `NotFound` when there is none."""
    found = connection.execute(
        sa.select(clusters.c.name).where(clusters.c.name == name).with_for_update(key_share=True)
    )
    if found.one_or_none() is None:
        raise missing(name)


class Clusters:
    """All methods with `fence` raise `Fenced` when that lease number is no longer the cluster's."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def put(
        self,
        cluster: Mapping[str, Any],
        *,
        source: str | None = None,
        base: str | None = None,
        fence: int | None = None,
    ) -> ClusterRecord:
        """Remember the spec (JSON data with a `name`) as what is wanted.

        What was observed and the state stay, except that a deleted cluster begins anew as managed.
        """
        name, now = str(cluster["name"]), self._clock.now()
        fresh = {"state": "managed", "created_at": now, "observed": None, "observed_at": None, "deleted_at": None}
        wanted = {"desired": _json(name, cluster), "source": source, "base": base, "updated_at": now}
        was_deleted = clusters.c.state == "deleted"
        with self._database.write() as connection:
            guard(connection, name, fence)
            _drop_former_life(connection, name)
            statement = upsert(connection, clusters, {"name": name, **wanted, **fresh})
            again = {key: sa.case((was_deleted, statement.excluded[key]), else_=clusters.c[key]) for key in fresh}
            statement = statement.on_conflict_do_update(
                index_elements=["name"], set_={**{key: statement.excluded[key] for key in wanted}, **again}
            )
            return _record(connection.execute(statement.returning(clusters)).one())

    def get(self, name: str) -> ClusterRecord | None:
        with self._database.read() as connection:
            row = connection.execute(sa.select(clusters).where(clusters.c.name == name)).one_or_none()
        return None if row is None else _record(row)

    def list(self, *, deleted: bool = False) -> list[ClusterRecord]:
        """All clusters by name; those that are gone only when asked for."""
        query = sa.select(clusters).order_by(clusters.c.name)
        if not deleted:
            query = query.where(clusters.c.state != "deleted")
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query)]

    def set_observed(self, name: str, observed: Mapping[str, Any] | None, *, fence: int | None) -> None:
        """Remember what was seen (JSON data), None for nothing known.

        Another version than before, with no upgrade under way since, is kept as an upgrade of which only this is known.
        A cluster that was absent and is there again is a new one: `created_at` is now, and nothing counts from before.
        """
        now = self._clock.now()
        seen = None if observed is None else _json(name, observed)
        values: dict[str, Any] = {"observed": seen, "observed_at": now, "updated_at": now}
        with self._database.write() as connection:
            guard(connection, name, fence)
            known = _looked(connection, name)
            _note_version(connection, name, known, seen, now)
            if known[0].get("phase") == ABSENT and seen is not None and seen.get("phase") != ABSENT:
                values["created_at"] = now
                connection.execute(sa.delete(activity).where(activity.c.cluster == name))
            if connection.execute(sa.update(clusters).where(clusters.c.name == name).values(values)).rowcount == 0:
                raise missing(name)

    def mark(
        self,
        name: str,
        *,
        state: State | None = None,
        created_at: datetime | None = None,
        deleted_at: datetime | None = None,
        fence: int | None = None,
    ) -> None:
        """Move a cluster on in its life. State `deleted` sets deleted_at, to now unless given; others clear it."""
        now = self._clock.now()
        values: dict[str, Any] = {"updated_at": now}
        if state is not None:
            values |= {"state": state, "deleted_at": now if state == "deleted" else None}
        if created_at is not None:
            values["created_at"] = created_at
        if deleted_at is not None:
            values["deleted_at"] = deleted_at
        self._update(name, values, fence)

    def forget(self, name: str, *, fence: int | None = None) -> None:
        """Drop the cluster with its conditions and activity. Journal and fencing number stay. Absent is well."""
        with self._database.write() as connection:
            guard(connection, name, fence)
            connection.execute(sa.delete(clusters).where(clusters.c.name == name))

    def _update(self, name: str, values: dict[str, Any], fence: int | None) -> None:
        with self._database.write() as connection:
            guard(connection, name, fence)
            if connection.execute(sa.update(clusters).where(clusters.c.name == name).values(values)).rowcount == 0:
                raise missing(name)


def _looked(connection: Connection, name: str) -> tuple[Mapping[str, Any], datetime | None]:
    """What was observed last, and when."""
    query = sa.select(clusters.c.observed, clusters.c.observed_at).where(clusters.c.name == name)
    observed, at = connection.execute(query.with_for_update(key_share=True)).one_or_none() or (None, None)
    return observed or {}, at


def _note_version(
    connection: Connection,
    name: str,
    known: tuple[Mapping[str, Any], datetime | None],
    observed: Mapping[str, Any] | None,
    now: datetime,
) -> None:
    """By other hands than ours: soak time must not be counted from before it. One that was cancelled since the last
    look had no time to look itself."""
    (last, looked_at), after = known, (observed or {}).get("version")
    before = last.get("version")
    if before is None or after is None or before == after:
        return
    since = (upgrades.c.outcome == "cancelled") & (upgrades.c.ended_at >= (looked_at or now))
    ours = sa.or_(upgrades.c.ended_at.is_(None), since)
    under_way = sa.select(upgrades.c.id).where(upgrades.c.cluster == name, ours)
    if connection.execute(under_way.limit(1)).one_or_none() is None:
        values = {"cluster": name, "version": after, "asleep": False, "forced": False, "begun_at": now, "ended_at": now}
        values |= {"outcome": "seen", "message": f"it was at {before} before", "machine": "", "pid": 0, "started": ""}
        connection.execute(sa.insert(upgrades).values(values))


def _json(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """`value`, refused here in words if it is no JSON data: each database driver would fail in its own way."""
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise Permanent(
            f"What is known of cluster {name} cannot be kept in the store, it is no JSON: {error}."
        ) from None
    return copy


def _drop_former_life(connection: Connection, name: str) -> None:
    """What was known of a deleted cluster says nothing about a new one of the same name."""
    gone = sa.select(clusters.c.name).where(clusters.c.name == name, clusters.c.state == "deleted")
    for table in (conditions, activity, rehearsals, upgrades):
        connection.execute(sa.delete(table).where(table.c.cluster.in_(gone)))


def _record(row: sa.Row[Any]) -> ClusterRecord:
    return ClusterRecord(**row._mapping)
