"""The store as one object: open it by address, use its parts."""

from types import TracebackType
from typing import Self

from boatyard.clock import Clock, SystemClock
from boatyard.store.activity import ActivityLog
from boatyard.store.claims import Claims
from boatyard.store.clusters import Clusters
from boatyard.store.conditions import Conditions
from boatyard.store.database import Database
from boatyard.store.journal import Journal
from boatyard.store.leases import Leases
from boatyard.store.migrate import migrate
from boatyard.store.rehearsals import Rehearsals
from boatyard.store.rollout import Rollout


class Store:
    """The fleet's memory. Safe to share between threads; a forked or spawned process opens its own.

    Every method raises `Temporary` when the database is busy, full or away, `Permanent` when it refuses for good.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self.clusters = Clusters(database, clock)
        self.leases = Leases(database, clock)
        self.journal = Journal(database, clock)
        self.conditions = Conditions(database, clock)
        self.activity = ActivityLog(database, clock)
        self.claims = Claims(database, clock)
        self.rehearsals = Rehearsals(database, clock)
        self.rollout = Rollout(database, clock)

    @classmethod
    def open(cls, url: str, clock: Clock | None = None) -> Self:
        """Open the store at an SQLAlchemy address, creating or migrating it; safe with many processes at once."""
        database = Database(url)
        try:
            migrate(database)
        except BaseException:
            database.close()
            raise
        return cls(database, clock or SystemClock())

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
