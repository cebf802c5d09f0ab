"""Files are private, passwords stay hidden, and what goes wrong is told in one sentence."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from boatyard.errors import BoatyardError, Permanent, Temporary
from boatyard.store import reader
from boatyard.store.database import Database
from boatyard.store.store import Store
from boatyard.store.url import masked, sqlite_path


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "boatyard.db"


@pytest.fixture
def somebody(tmp_path: Path) -> Iterator[None]:
    """From here on not root, whom no file permission stops; `locked` is a folder that may be entered, not written."""
    (tmp_path / "locked").mkdir(mode=0o555)
    if os.geteuid() != 0:
        yield
        return
    modes = {folder: _mode(folder) for folder in (tmp_path, *tmp_path.parents)}
    closed = {folder: mode for folder, mode in modes.items() if not mode & 0o001}
    for folder, mode in closed.items():
        folder.chmod(mode | 0o001)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for folder, mode in closed.items():
            folder.chmod(mode)


def test_folder_and_files_are_for_their_owner_only(path: Path) -> None:
    before = os.umask(0)
    try:
        with Store.open(f"sqlite:///{path}") as store:
            store.clusters.put({"name": "shop"})
            modes = {it.name: _mode(it) for it in path.parent.iterdir()}
    finally:
        os.umask(before)

    assert _mode(path.parent) == 0o700
    assert set(modes) == {f"boatyard.db{end}" for end in ("", "-wal", "-shm", ".lock")}
    assert set(modes.values()) == {0o600}


def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    Store.open(f"sqlite:///{path}").close()
    path.chmod(0o644)

    Store.open(f"sqlite:///{path}").close()

    assert _mode(path) == 0o600


def test_sqlite_runs_with_write_ahead_log_and_foreign_keys(path: Path) -> None:
    Store.open(f"sqlite:///{path}").close()
    database = Database(f"sqlite:///{path}")
    with database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys")
        }
    database.close()
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1}


def test_a_full_disk_is_temporary_and_loses_nothing(path: Path) -> None:
    database = Database(f"sqlite:///{path}")
    Store.open(f"sqlite:///{path}").close()
    from boatyard.clock import SystemClock
    from boatyard.store.clusters import Clusters

    clusters = Clusters(database, SystemClock())
    clusters.put({"name": "shop"})
    with database.unbegun() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(Temporary, match=r"disk of the store .*boatyard.db is full"):
        clusters.put({"name": "shop", "note": "x" * 1_000_000})

    assert clusters.get("shop").desired == {"name": "shop"}
    database.close()


def test_a_folder_that_cannot_be_written_is_permanent(tmp_path: Path, somebody: None) -> None:
    with pytest.raises(Permanent, match="cannot be opened: Permission denied"):
        Store.open(f"sqlite:///{tmp_path / 'locked' / 'boatyard.db'}")


def test_a_folder_that_cannot_be_made_is_permanent(tmp_path: Path, somebody: None) -> None:
    with pytest.raises(Permanent, match="cannot be opened: Permission denied"):
        Store.open(f"sqlite:///{tmp_path / 'locked' / 'state' / 'boatyard.db'}")


def test_a_path_through_a_file_is_permanent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for use in (Store.open, lambda url: reader(url).__enter__()):
        with pytest.raises(Permanent):
            use(f"sqlite:///{tmp_path}/file/boatyard.db")


@pytest.mark.parametrize("use", [Store.open, lambda url: reader(url).__enter__()], ids=["store", "reader"])
def test_a_file_that_is_no_database_is_named(path: Path, use: object) -> None:
    path.parent.mkdir()
    path.write_text("I am a shopping list. " * 100)
    with pytest.raises(Permanent, match=r"boatyard.db is no sound store"):
        use(f"sqlite:///{path}")
    assert path.read_text().startswith("I am a shopping list")


def test_a_writer_that_does_not_end_is_temporary(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store.open(f"sqlite:///{path}").close()
    monkeypatch.setattr("boatyard.store.database.BUSY_SECONDS", 0)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Store.open(f"sqlite:///{path}") as store, pytest.raises(Temporary, match="is busy"):
        store.clusters.put({"name": "shop"})
    other.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:s3cret@db:5432/fleet", "postgresql://ann:***@db:5432/fleet"),
        ("postgresql+psycopg://ann:s3@cr/et@db/fleet", "postgresql+psycopg://ann:***@db/fleet"),
        (
            "postgresql://db/fleet?user=ann&password=s3cret&sslmode=require",
            "postgresql://db/fleet?user=ann&password=***&sslmode=require",
        ),
        ("postgresql://db/fleet", "postgresql://db/fleet"),
        ("sqlite:////a:b@c/boatyard.db", "sqlite:////a:b@c/boatyard.db"),
        ("ann:s3cret@db", "***@db"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "boatyard.db",
        "mysql://ann:s3cret@db/fleet",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "postgresql://ann:s3cret@db:port/fleet",
        "ann:s3cret@db",
    ],
)
def test_an_address_that_is_none_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(Permanent, match=r"sqlite:////absolute/path.db or postgresql://") as error:
        Store.open(url)
    assert "s3cret" not in str(error.value)


def test_a_server_that_is_away_is_temporary_and_its_password_stays_hidden() -> None:
    with pytest.raises(Temporary, match="does not answer") as error:
        Store.open("postgresql://ann:s3cret@127.0.0.1:1/fleet")
    shown: BaseException | None = error.value
    while isinstance(shown, BoatyardError):
        assert "s3cret" not in f"{shown!r} {shown}"
        shown = None if shown.__suppress_context__ else shown.__context__


@pytest.mark.postgres
def test_a_database_that_does_not_exist_is_permanent(postgres: str) -> None:
    with pytest.raises(Permanent, match='"nowhere" does not exist'):
        Store.open(postgres.replace("/postgres?", "/nowhere?"))


def test_sqlite_paths() -> None:
    assert sqlite_path("sqlite:////a/b.db") == Path("/a/b.db")
    assert sqlite_path("sqlite:///b.db?timeout=3") == Path("b.db")
    assert sqlite_path("postgres://db/fleet") is None


@pytest.mark.postgres
def test_a_postgresql_that_vanished_is_noticed_and_the_address_may_say_when(postgres: str) -> None:
    def told(url: str, name: str) -> str | None:
        with Database(url).read() as connection:
            given: dict[str, str] = connection.connection.dbapi_connection.info.get_parameters()
            return given.get(name)

    assert told(postgres, "tcp_user_timeout") == "30000"
    assert told(f"{postgres}&tcp_user_timeout=5000", "tcp_user_timeout") == "5000"
    assert told(postgres, "keepalives_idle") == "15"
