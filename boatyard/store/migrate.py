"""Brings a store to the revision this program knows. Alembic is imported only when there is something to do."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from boatyard.errors import Permanent
from boatyard.store.database import Database
from boatyard.store.failures import translate
from boatyard.store.layout import HEAD

_ADVISORY_KEY = 0x626F617479617264
"""PostgreSQL's lock for our migrations: "boatyard" in ASCII."""
_SCRIPTS = Path(__file__).with_name("migrations")


def migrate(database: Database) -> None:
    """Create or upgrade the tables. Safe with any number of processes at once; a killed one leaves the old revision."""
    with database.read() as connection:
        if _current(connection, database) == HEAD:
            return
    with _alone(database), database.write() as connection:
        if not database.sqlite:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY})
        if _current(connection, database) != HEAD:
            _upgrade(connection)


def _current(connection: Connection, database: Database) -> str | None:
    """The store's revision, None when it is new; one that we do not know is refused."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if revision is not None and revision > HEAD:
        raise Permanent(
            f"The store {database.label} has revision {revision}; this Boatyard knows up to {HEAD}.",
            hint="Use the newer Boatyard that migrated it.",
        )
    return revision


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """On SQLite hold an exclusive file lock: the switch to the write-ahead log cannot wait inside SQLite itself."""
    if database.path is None:
        yield
        return
    try:
        descriptor = os.open(f"{database.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise translate(error, database.label, None) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with database.unbegun() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        yield
    finally:
        os.close(descriptor)


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
