"""One pool of connections, with every failure told in our own errors: nothing above this file sees SQLAlchemy's."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from boatyard.errors import BoatyardError, Permanent
from boatyard.store.failures import translate
from boatyard.store.url import masked, sqlite_path

BUSY_SECONDS = 30
"""How long a writer waits for another one; writes take milliseconds, so longer means that something hangs."""
CONNECT_SECONDS = 10
_GONE: dict[str, Any] = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""A PostgreSQL whose machine vanished is noticed in half a minute; the system's own limits are two hours."""


class Database:
    """`read()` and `write()` are transactions: committed at the end of the block, rolled back on any error.

    On SQLite `write()` takes the write lock at once (BEGIN IMMEDIATE), so what a block read still holds when it writes.
    """

    def __init__(self, url: str) -> None:
        self.label = masked(url)
        self.path = sqlite_path(url)
        self._url = _parse(url, self.label)
        if self.path is not None:
            _prepare_file(self.path)
        self.engine = self._engine()

    @property
    def sqlite(self) -> bool:
        return self.path is not None

    def _engine(self) -> sa.Engine:
        if self.sqlite:
            engine = sa.create_engine(self._url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
            sa.event.listen(engine, "connect", _configure_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
            return engine
        arguments = {"connect_timeout": CONNECT_SECONDS, "application_name": "boatyard", **_GONE}
        arguments = {key: value for key, value in arguments.items() if key not in self._url.query}
        return sa.create_engine(self._url, hide_parameters=True, pool_pre_ping=True, connect_args=arguments)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._translated(), self.engine.connect().execution_options(boatyard_begin="BEGIN") as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._translated(), self.engine.begin() as connection:
            if not self.sqlite:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'")
            yield connection

    @contextmanager
    def unbegun(self) -> Iterator[Connection]:
        """A connection without a transaction, for the few statements that must not run inside one."""
        with self._translated(), self.engine.connect().execution_options(boatyard_begin="") as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except BoatyardError:
            raise
        except (sa.exc.StatementError, sa.exc.TimeoutError) as error:
            raise translate(error, self.label, self._url.password) from None

    def close(self) -> None:
        self.engine.dispose()


def _parse(url: str, label: str) -> URL:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise Permanent(
            f"The store's address {label} cannot be understood.",
            hint="Write sqlite:////absolute/path.db or postgresql://user@host/database.",
        ) from None
    if parsed.get_backend_name() == "sqlite":
        return parsed.set(drivername="sqlite+pysqlite")
    return parsed.set(drivername="postgresql+psycopg")


def _prepare_file(path: Path) -> None:
    """Make the folder (0700) and the file (0600) before SQLite does, which would use the umask."""
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            if mode & 0o077 and os.fstat(descriptor).st_uid == os.geteuid():
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise translate(error, str(path), None) from None


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    statement = connection.get_execution_options().get("boatyard_begin", "BEGIN IMMEDIATE")
    if statement:
        connection.exec_driver_sql(statement)
