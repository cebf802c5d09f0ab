"""A Prefect server for one command: the running one of `boatyard up`, else a private one that ends with the command.

A new database costs a quarter of a minute of migrations, so a migrated one is kept in the cache, by Prefect version,
and copied. The private server removes its own folder when it ends; one that was killed is swept by the next command.
"""

import contextlib
import fcntl
import importlib.metadata
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from boatyard.cli.prefect_server import client, server
from boatyard.cli.prefect_server.place import Place, client_env, server_env
from boatyard.settings import Settings

# One command's flows need the API and the task-run recorder; nobody looks for schedules, late runs or automations.
_QUIET = {
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
    "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "false",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.memory",
}
_PREFIX = "private-"


# The heartbeat's thread holds up the end of every flow, and of each flow inside it, for up to a second.
NO_HEARTBEAT: dict[str, str | None] = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": None}


@dataclass(frozen=True)
class ForCommand:
    """The server that the command's flows report to."""

    api: str
    url: str
    private: bool


@contextmanager
def server_for_command(
    settings: Settings | None = None, *, report: Callable[[str], None] | None = None
) -> Iterator[ForCommand]:
    """A server for the flows that are called in this process, with Prefect's settings pointing to it.

    Uses a healthy `boatyard up` of this home; else starts a private server (about four seconds, during which Prefect is
    imported too) and stops it in the end, after everything that the flows said has reached it.
    """
    settings = settings or Settings.load()
    place = Place.of(settings).make()
    if running := client.find(settings):
        with client.connected(client.variables(running, place) | NO_HEARTBEAT), named():
            try:
                yield ForCommand(running.api, running.url, private=False)
            finally:
                drain()
        return
    if report:
        report("Starting a private Prefect server for this command.")
    with (
        private_server(place, template(settings, report)) as (own, variables),
        client.connected(variables | NO_HEARTBEAT),
    ):
        try:
            yield ForCommand(own.api, own.url, private=True)
        finally:
            drain()


@contextmanager
def private_server(
    place: Place, database: Path, *, extra: dict[str, str] | None = None
) -> Iterator[tuple[server.Server, dict[str, str]]]:
    """A server on a random port with a copy of `database`; yields it and the client's settings.

    Results of tasks are kept in the home's own storage: a later run finds what this one finished.
    """
    storage = place.folder / "storage"
    with contextlib.ExitStack() as stack:
        scratch = Place(stack.enter_context(own_folder(place.folder)))
        shutil.copyfile(database, scratch.database)
        env = server_env(scratch, database=_sqlite(scratch.database), port=0, auth=None, storage=storage)
        env |= _QUIET | (extra or {}) | {"BOATYARD_PREFECT_SCRATCH": str(scratch.folder)}
        starting = server.begin(env, scratch.log("server"))
        try:
            import prefect  # noqa: F401 - a second and a half that the server's own start hides
        except BaseException:
            starting.process.kill()
            raise
        own = starting.wait()
        stack.callback(own.stop)
        yield own, client_env(scratch, api=own.api, auth=None, storage=storage) | {"PREFECT_CLIENT_MAX_RETRIES": "3"}


def named() -> AbstractContextManager[object]:
    """Tag this process's runs with its number and start, by which `reconcile` finds out that it was killed."""
    from prefect import tags

    return tags(f"{client.COMMAND_TAG}{os.getpid()}-{client.started_at(os.getpid())}")


def drain() -> None:
    """Hand over every log line and event of this process to the server before it goes; else its stop hangs on them."""
    if "prefect" not in sys.modules:
        return
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    with contextlib.suppress(RuntimeError, TimeoutError):  # RuntimeError: nothing was ever logged
        APILogWorker.drain_all(timeout=5)
    with contextlib.suppress(RuntimeError, TimeoutError):
        EventsWorker.drain_all(timeout=5)


def template(settings: Settings, report: Callable[[str], None] | None = None) -> Path:
    """A migrated, empty database of this Prefect version, in the cache; made at the first call, once for all."""
    folder = settings.cache / "prefect" / importlib.metadata.version("prefect")
    made = folder / "template.db"
    if made.exists():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made.exists():
            return made
        if report:
            report("First use: preparing Prefect's database, about twenty seconds.")
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            _migrate(Place(Path(temporary)), made)
    return made


def _migrate(scratch: Place, made: Path) -> None:
    env = server_env(scratch, database=_sqlite(scratch.database), port=0, auth=None, storage=scratch.folder / "storage")
    quiet = _QUIET | {
        "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "true",
        "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "true",
    }
    server.begin(env | quiet, scratch.log("server")).wait().stop()
    part = scratch.folder / "template.db"
    with (
        contextlib.closing(sqlite3.connect(scratch.database)) as source,
        contextlib.closing(sqlite3.connect(part)) as to,
    ):
        source.backup(to)
    part.replace(made)


def first_database(settings: Settings, place: Place, report: Callable[[str], None] | None = None) -> None:
    """Give a new home a migrated database instead of half a minute of migrations; an existing one is left alone."""
    if not place.database.exists():
        fresh = place.database.with_suffix(".new")
        shutil.copyfile(template(settings, report), fresh)
        fresh.replace(place.database)


@contextmanager
def own_folder(folder: Path) -> Iterator[Path]:
    """A folder below `folder` for one private server, gone afterwards; what killed ones left goes first.

    Made and owned before another command may look: it would take one without an owner for one that was left.
    """
    with contextlib.ExitStack() as stack:
        with _one_after_another(folder):
            _sweep(folder)
            made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=folder))
            stack.callback(shutil.rmtree, made, ignore_errors=True)
            stack.enter_context(_locked(made / "owner"))
        yield made


def sweep(folder: Path) -> None:
    """Remove what private servers left that were killed together with their command."""
    with _one_after_another(folder):
        _sweep(folder)


def _sweep(folder: Path) -> None:
    for old in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), (old / "owner").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(old, ignore_errors=True)


def _one_after_another(folder: Path) -> AbstractContextManager[None]:
    return _locked(folder / "private.lock")


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sqlite(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"
