"""What fault tests work with: a home of its own, flows in processes that can be killed at any moment, and a look at the
world that does not go through the flows."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from boatyard.clock import Clock, Deadline, SystemClock
from boatyard.drivers.base import Driver
from boatyard.drivers.operation import Yard, operating
from boatyard.drivers.registry import driver_for
from boatyard.kube.client import Client
from boatyard.settings import Settings
from boatyard.spec.models import Cluster
from boatyard.store import Store
from boatyard.tools import Toolbox

ROOT = Path(__file__).parents[2]
APP = Path(__file__).parent / "app"
POOL_LABEL = "boatyard.dev/pool"
KILLED = -signal.SIGKILL
CLOCK = SystemClock()
TEMPLATE = """\
apiVersion: boatyard/v1
kind: ClusterTemplate
name: pull-request
provider: {kind: kwok}
kubernetes: {version: "1.36", channel: pinned}
pools:
  - {name: web, min: 1}
policy: {ttl: 12h}
"""


class Nursery:
    """The program that forks a process for each flow run; see nursery.py."""

    def __init__(self, variables: Mapping[str, str | None]) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
        own = {key: value for key, value in variables.items() if value is not None}
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("nursery.py")],
            env=kept | own | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **order: Any) -> dict[str, Any]:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(30) == 0


@dataclass
class Flow:
    """A flow run in a process of its own."""

    nursery: Nursery
    pid: int
    out: Path
    status: int | None = None

    def wait(self) -> "Flow":
        if self.status is None:
            self.status = self.nursery.ask(do="wait", pid=self.pid)["status"]
        return self

    def kill(self) -> "Flow":
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def reach(self, moment: str) -> "Flow":
        """Wait until a moment of that name has come."""
        until(lambda: moment in self.moments or self._over(), moment, 90)
        assert moment in self.moments, f"{moment} never came: {self.moments}\n{self.log[-3000:]}"
        return self

    def _over(self) -> bool:
        return (self.out / "outcome").exists()

    def stop(self, moment: str) -> "Flow":
        """Wait until the flow stands still at that moment."""
        self.reach(moment)
        until((self.out / "stopped").exists, f"the stop of {self.pid}")
        return self

    def go_on(self) -> "Flow":
        (self.out / "go").write_text("go")
        return self

    @property
    def killed(self) -> bool:
        return self.wait().status == KILLED

    @property
    def id(self) -> str:
        """The id that the server gave to a run that was begun with `run`."""
        return (self.out / "run").read_text()

    @property
    def moments(self) -> list[str]:
        file = self.out / "moments"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def log(self) -> str:
        return (self.out / "log").read_text()

    @property
    def outcome(self) -> dict[str, Any]:
        """error: its text; kinds: the error's class and what that is derived from, empty when all went well."""
        self.wait()
        file = self.out / "outcome"
        assert file.exists(), f"status {self.status}, no outcome; the log ends with: {self.log[-3000:]}"
        found: dict[str, Any] = json.loads(file.read_text())
        return found

    def well(self) -> "Flow":
        outcome = self.outcome
        assert not outcome["kinds"], f"{outcome['kinds']}: {outcome['error']}\n{outcome['trace']}\n{self.log[-3000:]}"
        return self

    def failed(self, *kinds: str) -> str:
        """It ended with one sentence of one of these families."""
        outcome = self.outcome
        assert set(kinds) & set(outcome["kinds"]), f"{outcome}\n{self.log[-3000:]}"
        assert "Traceback" not in self.log, self.log[-3000:]
        message: str = outcome["error"]
        return message


@dataclass
class House:
    """A home of Boatyard's, with flows and with a way to look and to set up that needs no flow."""

    home: Path
    nursery: Nursery
    clock: Clock = CLOCK
    runs: Path | None = None
    """Where flows' processes write what they did; next to the home when left out."""
    clusters: dict[str, Cluster] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _flows: list[Flow] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = Settings(self.home, Settings.load().cache, f"sqlite:///{self.home / 'boatyard.db'}")
        self.home.mkdir(parents=True, exist_ok=True)
        self.yard = Yard(settings, Store.open(settings.store_url, self.clock), Toolbox(settings.cache), self.clock)

    # flows

    def begin(
        self,
        flow: str,
        *,
        kill_at: int | None = None,
        stop_at: str | None = None,
        limit: float | None = None,
        run: str | None = None,
        requests: bool = False,
        **arguments: Any,
    ) -> Flow:
        """Start `module:flow` in a process of its own; see nursery.py for the others but `arguments`."""
        runs = self.runs or self.home.with_name(f"{self.home.name}-runs")
        out = runs / f"{next(self._numbers)}-{flow.partition(':')[2]}"
        given = {key: _plain(value) for key, value in arguments.items()}
        faults = {"kill_at": kill_at, "stop_at": stop_at, "limit": limit, "run": run, "requests": requests}
        answer = self.nursery.ask(do="start", home=str(self.home), flow=flow, arguments=given, out=str(out), **faults)
        self._flows.append(Flow(self.nursery, answer["pid"], out))
        return self._flows[-1]

    def run(self, flow: str, **arguments: Any) -> Flow:
        return self.begin(flow, **arguments).wait()

    # the world without flows

    def spec(self, name: str, *, apps: bool = True, version: str = "1.34", nodes: int = 2, **changes: Any) -> Cluster:
        made = Cluster.model_validate(
            {
                "name": name,
                "provider": {"kind": "kwok"},
                "kubernetes": {"version": version, "channel": "pinned"},
                "pools": [{"name": "web", "min": nodes, "max": 4}],
                "apps": [{"name": "tiny", "namespace": "tiny", "manifests": str(APP)}] if apps else [],
                **changes,
            }
        )
        self.clusters[name] = made
        return made

    def set_up(self, cluster: Cluster) -> None:
        """The cluster as its spec says, by steps without a flow; looked at in the end, as flows do."""
        with operating(self.yard, cluster, "set up", who="test", run_id="") as op:
            op.change_desired(cluster)
            for _ in range(3):
                plan = op.plan()
                for step in plan.steps:
                    op.carry_out(step)
                if not plan.incomplete:
                    break
            op.observe()

    def driver(self, cluster: Cluster) -> Any:
        return driver_for(cluster, self.yard.env(120, f"look at {cluster.name}"))

    def client(self, cluster: Cluster) -> Client:
        return Client(self.driver(cluster).kubeconfig())

    def delete(self, cluster: Cluster) -> None:
        driver: Driver = self.driver(cluster)
        driver.delete()
        self.yard.store.clusters.forget(cluster.name)

    def close(self) -> None:
        for flow in self._flows:
            if flow.status is None:
                flow.kill()
        for cluster in self.clusters.values():
            self.delete(cluster)

    # independent looks

    def is_whole(self, cluster: Cluster, *, version: str | None = None, nodes: int | None = None) -> None:
        """Exactly the nodes, versions and pods there should be, read from the API server."""
        version, nodes = version or cluster.kubernetes.version, nodes or cluster.pools[0].min
        processes = Counter(running_below(self.home / "kwok" / "clusters" / cluster.name))
        assert len(processes) == 5, processes
        assert set(processes.values()) == {1}, f"doubled: {processes}"
        with self.client(cluster) as client:
            served = client.version()
            minor = served.get("emulationMinor") or served["minor"]
            assert f"1.{minor}" == version
            found = client.list("/api/v1/nodes")
            assert len(found) == nodes, [node["metadata"]["name"] for node in found]
            numbers = [node["metadata"]["name"] for node in found]
            assert len(set(numbers)) == nodes
            for node in found:
                assert node["metadata"]["labels"][POOL_LABEL] == cluster.pools[0].name
                assert not node["spec"].get("unschedulable"), node["spec"]
                assert node["status"]["nodeInfo"]["kubeletVersion"].startswith(f"v{version}."), node["status"][
                    "nodeInfo"
                ]
                assert not [taint for taint in node["spec"].get("taints") or [] if "boatyard" in taint["key"]], node[
                    "spec"
                ]
            self._pods_are_whole(client, cluster)
            assert client.list("/api/v1/namespaces/boatyard-system/pods") == []

    def _pods_are_whole(self, client: Client, cluster: Cluster) -> None:
        pods = client.list("/api/v1/namespaces/tiny/pods")
        wanted = 2 if cluster.apps else 0

        def settled() -> bool:
            nonlocal pods
            pods = client.list("/api/v1/namespaces/tiny/pods")
            phases = [(pod["status"].get("phase"), bool(pod["metadata"].get("deletionTimestamp"))) for pod in pods]
            return phases == [("Running", False)] * wanted

        until(settled, f"{wanted} running pods", 30)
        names = sorted(each["metadata"]["name"] for each in client.list("/api/v1/namespaces/tiny/configmaps"))
        assert ("greeting" in names) == bool(cluster.apps), names

    def is_gone(self, cluster: Cluster) -> None:
        assert self.driver(cluster).residue() == []
        assert running_below(self.home / "kwok" / "clusters" / cluster.name) == []
        kwok = self.home / "kwok"
        assert [str(path) for path in kwok.rglob(f"*{cluster.name}*")] == []
        assert self.yard.store.clusters.get(cluster.name) is None

    def is_free(self, name: str) -> None:
        assert self.yard.store.leases.current(name) is None

    def may_be_held(self, name: str) -> None:
        """Nobody who lives holds it: a dead process's lease is no obstacle, and runs out by itself."""
        with self.yard.store.leases.hold(name, "test", "look"):
            pass


def _plain(value: Any) -> Any:
    if isinstance(value, Cluster):
        return value.model_dump(mode="json")
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value


def running_below(folder: Path) -> list[str]:
    """The program of every process whose program lies in this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                program = (entry / "cmdline").read_bytes().split(b"\0")[0].decode()
            except OSError:
                continue
            if program.startswith(f"{folder}/"):
                found.append(program)
    return found


def until(check: Callable[[], object], what: str, seconds: float = 60) -> None:
    deadline, tick = Deadline.after(seconds, what, CLOCK), threading.Event()
    while not check():
        deadline.check(what)
        tick.wait(0.05)
