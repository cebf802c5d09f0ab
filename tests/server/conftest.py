"""A Prefect server for flows called in the test's own process, and a whole `boatyard up` with toy flows."""

import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from boatyard import run
from boatyard.cli.prefect_server import client, private, server
from boatyard.cli.prefect_server.place import Place
from boatyard.errors import Temporary
from boatyard.settings import Settings
from tests.conftest import own_random

TOY = Path(__file__).parent / "toy"


def until(ask: Callable[[], Any], what: str, seconds: float = 240) -> Any:
    """The first true answer."""
    end, tick = time.monotonic() + seconds, threading.Event()
    while not (answer := ask()):
        assert time.monotonic() < end, f"{what} did not come in {seconds} s"
        tick.wait(0.1)
    return answer


def patient(api: str, method: str, path: str, auth: str | None, body: object = None) -> Any:
    """One request; a server that is busy or just coming back is asked again, as Prefect's own client does."""

    def once() -> list[object]:
        try:
            return [server.ask(api, method, path, auth, body=body)]
        except Temporary:
            return []

    return until(once, f"an answer to {path}", 60)[0]


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[server.Server]:
    """A server with a copy of the migrated database; flows called in the test report to it."""
    own_random()
    home = tmp_path_factory.mktemp("prefect-home")
    place = Place(home / "prefect").make()
    template = private.template(Settings(home, Settings.load().cache, ""))
    with private.private_server(place, template) as (own, variables), client.connected(variables):
        yield own
        private.drain()


@dataclass
class Yard:
    """A running `boatyard up`."""

    home: Path
    out: Path
    env: dict[str, str]
    process: run.Process | None = None

    @property
    def place(self) -> Place:
        return Place(self.home / "prefect")

    @property
    def said(self) -> str:
        return (self.home / "up.log").read_text()

    def start(self, port: int = 0, *arguments: str) -> None:
        log = self.home / "up.log"
        log.unlink(missing_ok=True)
        argv = [sys.executable, TOY / "up_toy.py", str(port), *arguments]
        self.process = run.start(argv, log=log, env=self.env)

        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.said
            return "is up" in self.said

        until(ready, "boatyard up")

    @property
    def taking_runs(self) -> bool:
        """False once the worker has said, last, that it drains."""
        said = self.place.log("worker").read_text()
        return said.rfind("Draining.") < said.rfind("Taking runs.")

    def stop(self) -> int:
        assert self.process is not None
        return self.process.stop(90)

    @property
    def running(self) -> client.Running:
        found = client.read(self.place)
        assert found is not None
        return found

    def ask(self, method: str, path: str, body: object = None) -> Any:
        running = self.running
        return patient(running.api, method, path, client.password(self.place, running), body)

    def deployment(self, name: str) -> dict[str, Any]:
        return self.ask("POST", "/deployments/filter", {"deployments": {"name": {"any_": [name]}}})[0]

    def begin(self, deployment: str, **parameters: object) -> str:
        """Start a run of a deployment; its id."""
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        path = f"/deployments/{self.deployment(deployment)['id']}/create_flow_run"
        return str(self.ask("POST", path, body)["id"])

    def flow_run(self, run_id: str) -> dict[str, Any]:
        return self.ask("GET", f"/flow_runs/{run_id}")

    def in_state(self, run_id: str, *types: str) -> dict[str, Any]:
        return until(lambda: (found := self.flow_run(run_id))["state_type"] in types and found, f"state {types}")

    def lines(self, name: str, count: int = 1) -> list[str]:
        path = self.out / name
        return until(lambda: path.exists() and len(text := path.read_text().splitlines()) >= count and text, name)

    def let_go(self, name: str) -> None:
        (self.out / f"go-{name}").touch()

    def emit(self, event: str, number: int, occurred: datetime) -> None:
        payload = {"repository": "example/shop", "number": number, "sender": "eve", "occurred": occurred.isoformat()}
        resource = {"prefect.resource.id": f"pull_request/example/shop/{number}"}
        body = {"id": str(uuid.uuid4()), "occurred": occurred.isoformat(), "event": event}
        self.ask("POST", "/events", [{**body, "resource": resource, "payload": payload}])


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    home, out = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("out")
    path = os.pathsep.join([str(TOY), str(Path(__file__).parents[2])])
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    own = {"BOATYARD_HOME": str(home), "BOATYARD_TOY_OUT": str(out), "PYTHONPATH": path}
    one = Yard(home, out, kept | own)
    one.start()
    yield one
    if one.process and one.process.poll() is None:
        one.stop()
