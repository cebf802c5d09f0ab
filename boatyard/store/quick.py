"""Reads the store without SQLAlchemy, whose import alone would cost a read-only verb its whole time budget (ADR 0003).

`reader(url)` answers from a SQLite file by the standard library, from the full store elsewhere, by the same records.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from boatyard.clock import Clock, SystemClock
from boatyard.errors import Permanent
from boatyard.store.layout import FLAGS, HEAD, JSONS, TIMES
from boatyard.store.records import Activity, Claim, ClusterRecord, Condition, Entry, Lease, settle_outcome
from boatyard.store.url import sqlite_path

T = TypeVar("T")
Entries = list[Entry]
_BUSY_SECONDS = 5.0


class ClusterReader(Protocol):
    def get(self, name: str) -> ClusterRecord | None: ...
    def list(self, *, deleted: bool = False) -> list[ClusterRecord]: ...


class LeaseReader(Protocol):
    def current(self, cluster: str) -> Lease | None: ...
    def list(self) -> list[Lease]: ...


class JournalReader(Protocol):
    def list(self, cluster: str | None = None, limit: int = 100, after: int | None = None) -> Entries: ...
    def interrupted(self, cluster: str | None = None) -> Entries: ...


class ConditionReader(Protocol):
    def list(self, cluster: str | None = None) -> list[Condition]: ...


class ActivityReader(Protocol):
    def get(self, cluster: str) -> Activity | None: ...
    def list(self) -> list[Activity]: ...


class ClaimReader(Protocol):
    def get(self, key: str) -> Claim | None: ...
    def of(self, cluster: str) -> list[Claim]: ...


class Reader(Protocol):
    """The part of `Store` that only looks; each method does what the same one of the `Store` does."""

    @property
    def clusters(self) -> ClusterReader: ...
    @property
    def leases(self) -> LeaseReader: ...
    @property
    def journal(self) -> JournalReader: ...
    @property
    def conditions(self) -> ConditionReader: ...
    @property
    def activity(self) -> ActivityReader: ...
    @property
    def claims(self) -> ClaimReader: ...


@contextmanager
def reader(url: str, clock: Clock | None = None) -> Iterator[Reader]:
    """The store at `url` to look at. A SQLite file that does not exist yet reads as empty and is not created."""
    clock = clock or SystemClock()
    path = sqlite_path(url)
    if path is not None and not _present(path):
        yield QuickReader(_Rows(None, path), clock)
        return
    connection = None if path is None else _connect(path)
    if path is None or connection is None:
        from boatyard.store.store import Store

        with Store.open(url, clock) as store:
            yield store
        return
    with closing(connection):
        yield QuickReader(_Rows(connection, path), clock)


class QuickReader:
    """A `Reader` over one SQLite connection, or over nothing. Threads may share it: they read one after another."""

    def __init__(self, rows: "_Rows", clock: Clock) -> None:
        self.clusters = _Clusters(rows)
        self.leases = _Leases(rows, clock)
        self.journal = _Journal(rows, clock)
        self.conditions = _Conditions(rows)
        self.activity = _Activity(rows)
        self.claims = _Claims(rows)


class _Rows:
    """Rows of one table as records; `rest` is SQL of ours, values are always bound."""

    def __init__(self, connection: sqlite3.Connection | None, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._lock = threading.Lock()

    def get(self, record: type[T], table: str, rest: str, values: tuple[object, ...] = ()) -> list[T]:
        if self._connection is None:
            return []
        names = [field.name for field in fields(record)]  # type: ignore[arg-type]
        with _told(self._path), self._lock:
            found = self._connection.execute(f"SELECT {', '.join(names)} FROM {table} {rest}", values).fetchall()  # noqa: S608
        return [record(**{name: _value(name, value) for name, value in zip(names, row, strict=True)}) for row in found]


class _Clusters:
    def __init__(self, rows: _Rows) -> None:
        self._rows = rows

    def get(self, name: str) -> ClusterRecord | None:
        return _first(self._rows.get(ClusterRecord, "clusters", "WHERE name = ?", (name,)))

    def list(self, *, deleted: bool = False) -> list[ClusterRecord]:
        which = "" if deleted else "WHERE state != 'deleted' "
        return self._rows.get(ClusterRecord, "clusters", f"{which}ORDER BY name")


class _Leases:
    def __init__(self, rows: _Rows, clock: Clock) -> None:
        self._rows = rows
        self._clock = clock

    def current(self, cluster: str) -> Lease | None:
        return _first([lease for lease in self.list() if lease.cluster == cluster])

    def list(self) -> list[Lease]:
        now = self._clock.now()
        held = self._rows.get(Lease, "leases", "WHERE holder IS NOT NULL ORDER BY cluster")
        return [lease for lease in held if lease.expires_at > now]


class _Journal:
    def __init__(self, rows: _Rows, clock: Clock) -> None:
        self._rows = rows
        self._leases = _Leases(rows, clock)
        self._clock = clock

    def list(self, cluster: str | None = None, limit: int = 100, after: int | None = None) -> Entries:
        order = "id DESC" if after is None else "id"
        rest = f"WHERE (?1 IS NULL OR cluster = ?1) AND id > ?2 ORDER BY {order} LIMIT ?3"
        entries = self._rows.get(Entry, "journal", rest, (cluster, -1 if after is None else after, limit))
        return self._settled(entries[::-1] if after is None else entries)

    def interrupted(self, cluster: str | None = None) -> Entries:
        rest = "WHERE ended_at IS NULL AND (?1 IS NULL OR cluster = ?1) ORDER BY id"
        entries = self._settled(self._rows.get(Entry, "journal", rest, (cluster,)))
        return [entry for entry in entries if entry.interrupted]

    def _settled(self, entries: Entries) -> Entries:
        held = {lease.cluster: lease for lease in self._leases.list()}
        return [settle_outcome(entry, held.get(entry.cluster), self._clock.now()) for entry in entries]


class _Conditions:
    def __init__(self, rows: _Rows) -> None:
        self._rows = rows

    def list(self, cluster: str | None = None) -> list[Condition]:
        rest = "WHERE (?1 IS NULL OR cluster = ?1) ORDER BY cluster, type"
        return self._rows.get(Condition, "conditions", rest, (cluster,))


class _Activity:
    def __init__(self, rows: _Rows) -> None:
        self._rows = rows

    def get(self, cluster: str) -> Activity | None:
        return _first(self._rows.get(Activity, "activity", "WHERE cluster = ?", (cluster,)))

    def list(self) -> list[Activity]:
        return self._rows.get(Activity, "activity", "ORDER BY cluster")


class _Claims:
    def __init__(self, rows: _Rows) -> None:
        self._rows = rows

    def get(self, key: str) -> Claim | None:
        return _first(self._rows.get(Claim, "claims", "WHERE key = ?", (key,)))

    def of(self, cluster: str) -> list[Claim]:
        return self._rows.get(Claim, "claims", "WHERE cluster = ? ORDER BY key", (cluster,))


def _first(found: list[T]) -> T | None:
    return found[0] if found else None


def _value(name: str, value: Any) -> Any:
    """A column as SQLAlchemy's types would give it."""
    if value is None:
        return None
    if name in TIMES:
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    if name in JSONS:
        return json.loads(value)
    return bool(value) if name in FLAGS else value


def _present(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        what = f"The store {path} cannot be opened: {error.strerror}."
        raise Permanent(what, hint="Set BOATYARD_STORE_URL to one that this user may read.") from None
    return True


def _connect(path: Path) -> sqlite3.Connection | None:
    """A connection that only reads, None when the file must be migrated first.

    Opened for writing, since readers of a write-ahead log may have to make its index; `query_only` stops the rest.
    """
    with _told(path):
        address = f"{path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(
            address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA query_only = ON")
        found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        if found and connection.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,):
            return connection
        connection.close()
        return None


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """SQLite's errors in ours; the translation needs SQLAlchemy, which is of no account once something is wrong."""
    try:
        yield
    except sqlite3.Error as error:
        from boatyard.store.failures import translate

        raise translate(error, f"sqlite:///{path}", None) from None
