"""Find the server of a running `boatyard up`. Imports no Prefect, so that read-only commands may use it."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from boatyard.cli.prefect_server.place import Place, client_env, replace_private
from boatyard.cli.prefect_server.server import healthy
from boatyard.settings import Settings

COMMAND_TAG = "command-"
"""Begins the tag of runs whose flow a command calls in its own process: command-PID-START."""


@dataclass(frozen=True)
class Running:
    """A `boatyard up`: process id and start time of its supervisor, and where its server is."""

    pid: int
    started: str
    url: str
    auth: bool

    @property
    def api(self) -> str:
        return f"{self.url}/api"


def started_at(pid: int) -> str | None:
    """When a process began, as the system counts it; None when there is no such process.

    Together with the pid it names a process for ever: a pid alone may be given to another program.
    """
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[19]
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "" if not stat.parent.parent.joinpath("self").exists() else None


def write(place: Place, url: str, *, auth: bool) -> Running:
    """Say that this process runs a server at `url`."""
    running = Running(os.getpid(), started_at(os.getpid()) or "", url, auth)
    replace_private(place.state, json.dumps(asdict(running)) + "\n")
    return running


def read(place: Place) -> Running | None:
    """What the state file says, if that process is still there; a stale file is removed."""
    try:
        running = Running(**json.loads(place.state.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        running = Running(0, "", "", False)
    if running.pid and started_at(running.pid) == running.started:
        return running
    place.state.unlink(missing_ok=True)
    return None


def find(settings: Settings | None = None) -> Running | None:
    """The running server of this home if it is healthy, else None. A few milliseconds when there is none."""
    place = Place.of(settings or Settings.load())
    running = read(place)
    return running if running and healthy(running.api, password(place, running)) else None


def password(place: Place, running: Running) -> str | None:
    """The running server's user:password, None when it has none."""
    return place.auth.read_text().strip() if running.auth else None


def variables(running: Running, place: Place) -> dict[str, str]:
    """Prefect's settings for a process that talks to the running server."""
    storage = place.folder / "storage"
    return client_env(place, api=running.api, auth=password(place, running), storage=storage)


@contextmanager
def connected(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Let flows and clients in this process use these settings, also in threads started inside; None unsets one."""
    import prefect.settings
    from prefect.context import _temporary_global_settings_context, get_settings_context
    from prefect.settings import temporary_settings

    updates = {getattr(prefect.settings, name): value for name, value in variables.items()}
    with temporary_settings(updates), _temporary_global_settings_context(get_settings_context()):
        yield
