"""Where the Prefect server of a Boatyard home lives, and what its processes find in their environment."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from boatyard.settings import Settings

HOST = "127.0.0.1"
POOL = "boatyard"
BY_HAND, BY_SCHEDULE = "default", "schedules"
"""The pool's queues. Only the first has a limit: many long upgrades or creations side by side must not keep the fleet
from being watched and maintained."""

# The task-run recorder writes one row a transaction by default: on SQLite twenty small flows then take half a minute
# and answer 503 meanwhile. Its flush interval is cut to whole seconds: below one, an idle server spins on a full core.
# Leases in memory are lost by a restarted server, and the slot stays taken for ever.
_TUNING = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(14 * 86400),
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "2",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "60",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "DO_NOT_TRACK": "1",
}
# What a user may set for the server; everything else of Prefect's in the environment belongs to another server.
_USERS = ("PREFECT_SERVER_", "PREFECT_LOGGING_", "PREFECT_WORKER_", "PREFECT_RUNNER_", "PREFECT_CLIENT_")


@dataclass(frozen=True)
class Place:
    """The folder of one Prefect server: database, results, logs, state file, password."""

    folder: Path

    @classmethod
    def of(cls, settings: Settings) -> "Place":
        return cls(settings.home / "prefect")

    @property
    def database(self) -> Path:
        return self.folder / "prefect.db"

    @property
    def state(self) -> Path:
        """pid, start time and address of the running `boatyard up`; see client.find."""
        return self.folder / "server.json"

    @property
    def lock(self) -> Path:
        """Held by the one `boatyard up` of this home."""
        return self.folder / "up.lock"

    @property
    def auth(self) -> Path:
        """user:password of the server, readable by its owner only."""
        return self.folder / "auth"

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def make(self) -> "Place":
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self


def auth_string(place: Place) -> str:
    """The server's user:password, made at the first call."""
    make_private(place.auth, f"boatyard:{secrets.token_urlsafe(24)}")
    return place.auth.read_text().strip()


def make_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, unless it is there."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def replace_private(path: Path, text: str) -> None:
    """Put a file that only its owner can read in place of `path`, all at once."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    make_private(fresh, text)
    fresh.replace(path)


def server_env(place: Place, *, database: str, port: int, auth: str | None, storage: Path) -> dict[str, str]:
    """The whole environment of a server child. port 0 lets the system choose."""
    return (
        _foreign()
        | _TUNING
        | _users()
        | {
            "PREFECT_HOME": str(place.folder),
            "PREFECT_PROFILES_PATH": str(place.folder / "profiles.toml"),
            "PREFECT_MEMO_STORE_PATH": str(place.folder / "memo_store.toml"),
            "PREFECT_LOCAL_STORAGE_PATH": str(storage),
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
            "PREFECT_SERVER_API_HOST": HOST,
            "PREFECT_SERVER_API_PORT": str(port),
            "PREFECT_UI_STATIC_DIRECTORY": str(place.folder / "ui"),
        }
        | ({"PREFECT_SERVER_API_AUTH_STRING": auth} if auth else {"PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true"})
    )


def client_env(place: Place, *, api: str, auth: str | None, storage: Path) -> dict[str, str]:
    """Prefect's settings for whoever talks to the server: the worker, its flow runs, a command's own process."""
    return {
        "PREFECT_HOME": str(place.folder),
        "PREFECT_PROFILES_PATH": str(place.folder / "profiles.toml"),
        "PREFECT_LOCAL_STORAGE_PATH": str(storage),
        "PREFECT_API_URL": api,
        "PREFECT_CLIENT_MAX_RETRIES": "10",
    } | ({"PREFECT_API_AUTH_STRING": auth} if auth else {"PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true"})


def worker_env(client: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a worker and of the flow runs that it starts: the user's own, cloud credentials too."""
    quick = {"PREFECT_WORKER_QUERY_SECONDS": "2", "PREFECT_WORKER_HEARTBEAT_SECONDS": "10"}
    return _foreign() | quick | _users() | dict(client)


def _foreign() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "BOATYARD_PREFECT_"))}


def _users() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key.startswith(_USERS)}
