"""Throw-away clusters for benchmarks: made through the kwok driver in a temporary home, gone whatever happens."""

import json
import os
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from boatyard.clock import Deadline, SystemClock
from boatyard.drivers.base import Env
from boatyard.drivers.kwok.driver import Driver
from boatyard.kube.client import Client
from boatyard.run import run
from boatyard.settings import Settings
from boatyard.spec.models import Cluster, Pool
from boatyard.tools import Toolbox

VERSION = "1.36"
LIMIT = 600.0
"""Seconds that any one thing may take before a benchmark gives up."""


def toolbox() -> Toolbox:
    """The pinned programs, the same for both sides."""
    return Toolbox(Settings.load().cache)


def environment(home: Path, tools: Sequence[str] = (), **extra: str) -> dict[str, str]:
    """What a program of the other side gets: `tools` on its PATH, and a HOME of its own that keeps its caches apart."""
    found = [str(toolbox().path(name).parent) for name in tools]
    return {"PATH": os.pathsep.join([*found, "/usr/local/bin", "/usr/bin", "/bin"]), "HOME": str(home), **extra}


@dataclass(frozen=True)
class Twin:
    """A running cluster. `kubeconfig` is a file that only its owner may read."""

    home: Path
    driver: Driver
    kubeconfig: Path

    def client(self, pool: int = 32) -> Client:
        return Client(json.loads(self.kubeconfig.read_text()), pool=pool)

    def kubectl(self, *arguments: str | Path, timeout: float = LIMIT) -> str:
        """Run kubectl against this cluster; what it printed."""
        argv = [toolbox().path("kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments]
        return run(argv, timeout=timeout, env=environment(self.home)).stdout


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder; SIGTERM unwinds as Ctrl-C does for as long as it is there."""
    with terminable(), tempfile.TemporaryDirectory(prefix="bench-") as folder:
        yield Path(folder)


@contextmanager
def twin(name: str, pools: Sequence[Pool] = ()) -> Iterator[Twin]:
    """A fresh cluster with `pools`, deleted in the end, also after Ctrl-C or SIGTERM."""
    cluster = Cluster.model_validate(
        {"name": name, "provider": {"kind": "kwok"}, "kubernetes": {"version": VERSION}, "pools": list(pools)}
    )
    with scratch() as home:
        driver = driver_in(home, cluster)
        try:
            driver.create()
            for pool in pools:
                driver.create_pool(pool, VERSION)
            kubeconfig = home / "kubeconfig"
            kubeconfig.touch(mode=0o600)
            kubeconfig.write_text(json.dumps(driver.kubeconfig()))
            yield Twin(home, driver, kubeconfig)
        finally:
            with uninterrupted():
                driver_in(home, cluster).delete()


def driver_in(home: Path, cluster: Cluster) -> Driver:
    """The kwok driver with a deadline that starts now, and without a lease: nobody else knows this home."""
    clock = SystemClock()
    return Driver(
        cluster,
        Env(home, clock, Deadline.after(LIMIT, f"the benchmark's cluster {cluster.name}", clock), toolbox().path),
    )


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM as `KeyboardInterrupt`, so that everything opened is closed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Clean-up is not cut short by an impatient second Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
