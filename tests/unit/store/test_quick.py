"""The reader without SQLAlchemy shows exactly what the store shows."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from subprocess import Popen

import pytest
import sqlalchemy as sa

from boatyard.clock import ManualClock
from boatyard.store import layout, reader, schema
from boatyard.store.quick import QuickReader, Reader
from boatyard.store.store import Store

STATUS = """
import json, sys
from boatyard.store import reader
with reader(sys.argv[1]) as fleet:
    names = [record.name for record in fleet.clusters.list()]
    fleet.leases.list(); fleet.journal.list(); fleet.conditions.list(); fleet.activity.list()
print(json.dumps([names, sorted({"sqlalchemy", "alembic", "pydantic", "prefect"} & set(sys.modules))]))
"""


def _fill(store: Store, clock: ManualClock) -> None:
    for name in ("shop", "lab", "gone"):
        store.clusters.put({"name": name, "note": "☸"}, source=f"{name}.yaml")
        clock.advance(timedelta(microseconds=1001))
    store.clusters.mark("gone", state="deleted")
    store.clusters.set_observed("lab", {"phase": "running"}, fence=None)
    ran_out = store.leases.acquire("lab", "bob", "scale", ttl=1)
    clock.advance(timedelta(seconds=1))
    lease = store.leases.acquire("shop", "ann", "upgrade", run_id="run-1")
    for cluster, fence in (("shop", lease.number), ("lab", ran_out.number), ("shop", lease.number), ("lab", None)):
        store.journal.begin(
            cluster, operation="o", run_id="run-1", verb="v", target="t", reason="r", who="w", fence=fence
        )
    store.journal.end(1, "done", "well")
    store.conditions.set("shop", "Ready", "True", "Fine", "all well")
    store.activity.record("shop", clock.now(), "pod web-1", "pods")
    store.activity.warned("lab")
    store.claims.open("pr/1", "lab", clock.now())


def _shown(store: Reader) -> list[object]:
    return [
        store.clusters.list(),
        store.clusters.list(deleted=True),
        store.clusters.get("lab"),
        store.clusters.get("nobody"),
        store.leases.list(),
        store.leases.current("shop"),
        store.leases.current("lab"),
        store.journal.list(),
        store.journal.list("shop", limit=1),
        store.journal.list("lab", after=1),
        store.journal.interrupted(),
        store.journal.interrupted("shop"),
        store.conditions.list(),
        store.conditions.list("lab"),
        store.activity.list(),
        store.activity.get("lab"),
        store.claims.get("pr/1"),
        store.claims.of("lab"),
    ]


def test_reader_and_store_agree(url: str, store: Store, clock: ManualClock) -> None:
    _fill(store, clock)

    with reader(url, clock) as found:
        assert isinstance(found, QuickReader) == url.startswith("sqlite")
        assert _shown(found) == _shown(store)


def test_a_reader_sees_later_writes(url: str, store: Store, clock: ManualClock) -> None:
    with reader(url, clock) as found:
        assert found.clusters.list() == []
        store.clusters.put({"name": "shop"})
        assert [record.name for record in found.clusters.list()] == ["shop"]


def test_threads_may_share_a_reader(url: str, store: Store, clock: ManualClock) -> None:
    _fill(store, clock)
    with reader(url, clock) as found, ThreadPoolExecutor(8) as pool:
        looks = [pool.submit(_shown, found) for _ in range(40)]
        assert all(look.result() == _shown(store) for look in looks)


def test_columns_are_read_as_their_types() -> None:
    columns = [column for table in schema.metadata.sorted_tables for column in table.columns]
    assert {column.name for column in columns if isinstance(column.type, schema.Utc)} == layout.TIMES
    assert {column.name for column in columns if isinstance(column.type, sa.JSON)} == layout.JSONS
    assert {column.name for column in columns if isinstance(column.type, sa.Boolean)} == layout.FLAGS


def test_a_store_that_does_not_exist_reads_as_empty_and_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "state" / "boatyard.db"
    with reader(f"sqlite:///{path}") as found:
        assert all(not part for part in _shown(found))
    assert not path.parent.exists()


def test_a_store_that_is_behind_is_migrated_first(tmp_path: Path) -> None:
    path = tmp_path / "boatyard.db"
    path.touch()
    with reader(f"sqlite:///{path}") as found:
        assert found.clusters.list() == []
    with reader(f"sqlite:///{path}") as found:
        assert isinstance(found, QuickReader)


def test_looking_imports_nothing_heavy(tmp_path: Path, python: Callable[..., "Popen[str]"]) -> None:
    url = f"sqlite:///{tmp_path / 'boatyard.db'}"
    with Store.open(url) as store:
        store.clusters.put({"name": "shop"})

    output, errors = python(STATUS, url).communicate()

    assert json.loads(output) == [["shop"], []], errors


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    import sqlite3

    from boatyard.store.quick import _connect

    url = f"sqlite:///{tmp_path / 'boatyard.db'}"
    Store.open(url).close()
    connection = _connect(tmp_path / "boatyard.db")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM clusters")
    connection.close()
