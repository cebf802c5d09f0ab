"""Opening creates and migrates, whoever comes first, and needs no Alembic when there is nothing to do."""

from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from boatyard.errors import Permanent
from boatyard.store import layout, schema
from boatyard.store.database import Database
from boatyard.store.store import Store

Start = Callable[..., "Popen[str]"]

OPEN = """
import sys
from boatyard.clock import SystemClock
from boatyard.store.store import Store
print("ready", flush=True)
sys.stdin.readline()
with Store.open(sys.argv[1], SystemClock()) as store:
    store.clusters.put({"name": sys.argv[2]})
print("alembic" in sys.modules, flush=True)
"""


def test_migrations_make_exactly_the_schema(url: str) -> None:
    Store.open(url).close()
    database = Database(url)

    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    database.close()


def test_the_head_we_expect_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).with_name("migrations")))
    assert ScriptDirectory.from_config(config).get_current_head() == layout.HEAD


def test_processes_that_open_a_new_store_at_once_all_succeed(url: str, python: Start) -> None:
    openers = [python(OPEN, url, f"cluster-{number}") for number in range(4)]
    for opener in openers:
        assert opener.stdout.readline() == "ready\n", opener.stderr.read()
    for opener in openers:
        opener.stdin.write("go\n")
        opener.stdin.flush()

    for opener in openers:
        _, errors = opener.communicate()
        assert opener.returncode == 0, errors

    with Store.open(url) as store:
        assert [record.name for record in store.clusters.list()] == [f"cluster-{number}" for number in range(4)]


def test_a_current_store_is_opened_without_alembic(url: str, python: Start) -> None:
    Store.open(url).close()

    output, errors = python(OPEN, url, "shop").communicate("go\n")

    assert output == "ready\nFalse\n", errors


def test_a_migration_that_fails_leaves_nothing_half_done(url: str) -> None:
    database = Database(url)
    with database.write() as connection:
        connection.execute(sa.text("CREATE TABLE conditions (theirs integer)"))

    with pytest.raises(Permanent, match="conditions"):
        Store.open(url)

    with database.read() as connection:
        assert sa.inspect(connection).get_table_names() == ["conditions"]
    with database.write() as connection:
        connection.execute(sa.text("DROP TABLE conditions"))
    database.close()
    Store.open(url).close()


def test_a_store_of_a_newer_boatyard_is_refused_and_left_alone(url: str) -> None:
    Store.open(url).close()
    database = Database(url)
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(Permanent, match="revision 9999; this Boatyard knows up to"):
        Store.open(url)
    database.close()
