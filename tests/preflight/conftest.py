"""One real control plane that serves beta APIs, with two nodes, for all tests of this folder."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from boatyard.clock import Deadline, SystemClock
from boatyard.drivers.culprits import find_culprits
from boatyard.drivers.kwok.driver import Driver
from boatyard.drivers.operation import Yard, operating
from boatyard.drivers.registry import driver_for
from boatyard.kube.client import Client
from boatyard.kube.preflight.culprit import Culprit
from boatyard.settings import Settings
from boatyard.spec.models import Cluster
from boatyard.store import Store
from boatyard.tools import Toolbox

BETAS = ("admissionregistration.k8s.io/v1beta1", "networking.k8s.io/v1beta1")
"""Of all betas that 1.33 knows, only the first is gone in 1.34; the second is deprecated there."""
TO = "1.34"
LATER = timedelta(hours=3)
"""How far the preflight's clock is ahead: what was planted a moment ago is then no longer young."""


class Ahead(SystemClock):
    def now(self) -> datetime:
        return super().now() + LATER


@dataclass
class World:
    """The cluster, and what it takes to look at it."""

    yard: Yard
    cluster: Cluster
    folder: Path

    def driver(self, cluster: Cluster | None = None) -> Driver:
        made = driver_for(cluster or self.cluster, self.yard.env(300, "test"))
        assert isinstance(made, Driver)
        return made

    def client(self) -> Client:
        return Client(self.driver().kubeconfig())

    def culprits(self, cluster: Cluster | None = None) -> tuple[Culprit, ...]:
        ahead = replace(self.yard, machine=Ahead())
        return find_culprits(self.driver(cluster), cluster or self.cluster, TO, yard=ahead)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What the API server was asked for by users of our kubeconfigs, oldest first."""
        file = self.folder / "kwok" / "clusters" / "harbour" / "logs" / "audit.log"
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        return [line for line in lines if line["user"]["username"] == "boatyard"]

    def restart(self) -> None:
        """The API server forgets which deprecated APIs were called."""
        self.driver().hibernate()
        self.driver().wake()


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("preflight")
    clock = SystemClock()
    settings = Settings(folder, Settings.load().cache, f"sqlite:///{folder / 'boatyard.db'}")
    yard = Yard(settings, Store.open(settings.store_url, clock), Toolbox(settings.cache), clock)
    spec = {
        "name": "harbour",
        "provider": {"kind": "kwok", "runtime_config": dict.fromkeys(BETAS, True), "audit": True},
        "kubernetes": {"version": "1.33", "channel": "pinned"},
        "pools": [{"name": "web", "min": 2}],
    }
    made = World(yard, Cluster.model_validate(spec), folder)
    try:
        with operating(yard, made.cluster, "set up", who="test", run_id="") as op:
            op.change_desired(made.cluster)
            for step in op.plan().steps:
                op.carry_out(step)
        yield made
    finally:
        made.driver().delete()


def until(check: Callable[[], bool], what: str, seconds: float = 90) -> None:
    """Look again and again; the API server tells the end of many things by no single event."""
    deadline, tick = Deadline.after(seconds, what, SystemClock()), threading.Event()
    while not check():
        deadline.check(what)
        tick.wait(0.3)
