"""How far upgrades have gone through the fleet: its rules, what was tried, what people said, what has soaked."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from boatyard.clock import Clock
from boatyard.errors import NotFound
from boatyard.redact import redact
from boatyard.store.clusters import lock_cluster
from boatyard.store.database import Database
from boatyard.store.fencing import guard
from boatyard.store.process import Process, is_dead
from boatyard.store.records import Lease, RingAnswer, RingLift, RingSoaked, Upgrade
from boatyard.store.schema import answers, leases, lifts, rules, soaked, upgrades
from boatyard.store.upsert import upsert

FLEET = "fleet"
"""The name of the one set of rules that a store holds: a store is a fleet's memory."""
Ended = Literal["done", "failed", "blocked", "cancelled", "interrupted"]
"""How an upgrade may end; see `Upgrade`."""


@dataclass(frozen=True)
class Rules:
    """The fleet's rules of upgrades as JSON data, and the file they came from."""

    document: dict[str, Any]
    source: str | None
    updated_at: datetime


class Rollout:
    """Facts only; what follows from them is decided by `boatyard.plan.waves`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    # the fleet's rules

    def rules(self) -> Rules | None:
        """None while nobody has given any."""
        query = sa.select(rules.c.document, rules.c.source, rules.c.updated_at).where(rules.c.name == FLEET)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Rules(**row._mapping)

    def set_rules(self, document: Mapping[str, Any] | None, source: str | None = None) -> bool:
        """These are the rules from now on; None takes them away. True where that changed something."""
        with self._database.write() as connection:
            old = connection.execute(sa.select(rules.c.document).where(rules.c.name == FLEET)).one_or_none()
            if document is None:
                return connection.execute(sa.delete(rules).where(rules.c.name == FLEET)).rowcount > 0
            values = {"name": FLEET, "document": dict(document), "source": source, "updated_at": self._clock.now()}
            statement = upsert(connection, rules, values)
            connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
        return old is None or old.document != dict(document)

    # upgrades

    def begin(
        self, cluster: str, version: str, *, asleep: bool = False, forced: bool = False, run_id: str | None = None
    ) -> Upgrade:
        """An upgrade begins, or goes on: one to the same version that has not ended is taken up as it was.

        Another one that has not ended was interrupted. `NotFound` for a cluster that the store does not know.
        run_id: the flow run that carries it out from now on.
        """
        with self._database.write() as connection:
            lock_cluster(connection, cluster)
            return self._begin(connection, cluster, version, asleep, forced, run_id)

    def reserve(
        self,
        cluster: str,
        version: str,
        by: Lease,
        *,
        asleep: bool = False,
        forced: bool = False,
        run_id: str | None = None,
    ) -> Upgrade | None:
        """As `begin`, for a cluster that nobody works on yet; None where somebody does by now, or it is gone.

        by: the lease under which upgrades are decided; `Fenced` when it is no longer ours, and so the decision is old.
        """
        with self._database.write() as connection:
            guard(connection, by.cluster, by.number)
            try:
                lock_cluster(connection, cluster)
            except NotFound:
                return None
            held = sa.select(leases.c.machine, leases.c.pid, leases.c.started).where(
                leases.c.cluster == cluster, leases.c.holder.is_not(None), leases.c.expires_at > self._clock.now()
            )
            holder = connection.execute(held).one_or_none()
            if holder is not None and not is_dead(holder.machine, holder.pid, holder.started):
                return None
            return self._begin(connection, cluster, version, asleep, forced, run_id)

    def _begin(
        self, connection: Connection, cluster: str, version: str, asleep: bool, forced: bool, run_id: str | None
    ) -> Upgrade:
        now, doer = self._clock.now(), {**_this_process(), "run_id": run_id}
        ours = sa.and_(upgrades.c.cluster == cluster, upgrades.c.ended_at.is_(None))
        taken = sa.update(upgrades).where(ours, upgrades.c.version == version).values(doer).returning(upgrades)
        row = connection.execute(taken).one_or_none()
        if row is not None:
            return Upgrade(**row._mapping)
        left = {"ended_at": now, "outcome": "interrupted", "message": f"an upgrade to {version} took its place"}
        connection.execute(sa.update(upgrades).where(ours).values(left))
        values = {"cluster": cluster, "version": version, "asleep": asleep, "forced": forced, "begun_at": now}
        values |= {"outcome": "running", "message": "", **doer}
        made = sa.insert(upgrades).values(values).returning(upgrades)
        return Upgrade(**connection.execute(made).one()._mapping)

    def end(self, id: int, outcome: Ended, message: str = "") -> None:  # noqa: A002
        """It ended; the first end stays."""
        values = {"ended_at": self._clock.now(), "outcome": outcome, "message": redact(message)}
        with self._database.write() as connection:
            connection.execute(
                sa.update(upgrades).where(upgrades.c.id == id, upgrades.c.ended_at.is_(None)).values(values)
            )

    def give_back(self, cluster: str, version: str, outcome: Ended, message: str) -> bool:
        """End an upgrade that this process reserved and did not begin; one that another process took up goes on.

        False where there was none to end.
        """
        values = {"ended_at": self._clock.now(), "outcome": outcome, "message": redact(message)}
        mine = [upgrades.c[key] == value for key, value in _this_process().items()]
        with self._database.write() as connection:
            ended = connection.execute(
                sa.update(upgrades)
                .where(upgrades.c.cluster == cluster, upgrades.c.version == version, upgrades.c.ended_at.is_(None))
                .where(*mine)
                .values(values)
            )
        return ended.rowcount > 0

    def upgrades(self, cluster: str | None = None, *, since: datetime | None = None) -> list[Upgrade]:
        """Oldest first; `since`: those that ended later, or have not ended, or that a person cancelled, whenever."""
        query = sa.select(upgrades).order_by(upgrades.c.id)
        if cluster is not None:
            query = query.where(upgrades.c.cluster == cluster)
        if since is not None:
            stands = upgrades.c.outcome == "cancelled"  # for as long as nobody says anything else
            query = query.where(sa.or_(upgrades.c.ended_at.is_(None), upgrades.c.ended_at >= since, stands))
        with self._database.read() as connection:
            return [Upgrade(**row._mapping) for row in connection.execute(query)]

    # what people said

    def answer(self, ring: str, version: str, *, granted: bool, who: str, note: str = "") -> RingAnswer:
        """A person's word; the newest of a ring and version holds."""
        values = {"ring": ring, "version": version, "granted": granted, "who": who, "note": redact(note)}
        values["answered_at"] = self._clock.now()
        with self._database.write() as connection:
            made = sa.insert(answers).values(values).returning(answers)
            return RingAnswer(**connection.execute(made).one()._mapping)

    def answers(self) -> list[RingAnswer]:
        with self._database.read() as connection:
            return [RingAnswer(**row._mapping) for row in connection.execute(sa.select(answers).order_by(answers.c.id))]

    def lift(self, ring: str, *, who: str) -> RingLift:
        """A halted ring may go on."""
        lift = RingLift(ring, who, self._clock.now())
        with self._database.write() as connection:
            statement = upsert(connection, lifts, asdict(lift))
            connection.execute(statement.on_conflict_do_update(index_elements=["ring"], set_=asdict(lift)))
        return lift

    def lifts(self) -> list[RingLift]:
        with self._database.read() as connection:
            return [RingLift(**row._mapping) for row in connection.execute(sa.select(lifts).order_by(lifts.c.ring))]

    # what has soaked

    def remember(self, facts: Sequence[RingSoaked]) -> None:
        """Facts that were found; what was known already keeps its time."""
        with self._database.write() as connection:
            for fact in facts:
                statement = upsert(connection, soaked, asdict(fact))
                connection.execute(statement.on_conflict_do_nothing(index_elements=["ring", "version"]))

    def soaked(self) -> list[RingSoaked]:
        query = sa.select(soaked).order_by(soaked.c.ring, soaked.c.version)
        with self._database.read() as connection:
            return [RingSoaked(**row._mapping) for row in connection.execute(query)]


def _this_process() -> dict[str, Any]:
    process = Process.this()
    return {"machine": process.machine, "pid": process.pid, "started": process.started}
