"""What every conformance test works with: a distribution under test, clusters of it, a workload, and a bomb.

`tests/cases/KIND/conformance.yaml` says what the suite must know of a distribution:
  marks             pytest marks of its tests, such as `twin`
  world             (optional) what has to run beside it, by its name in tests/conformance/worlds.py
  suffix            (optional) what makes a name of a cluster a full one
  limit             (optional) seconds one call of the driver may take
  patience          (optional) seconds that a call which must not come to its end is given
  renewed_by_sleep  (optional) nodes are new ones after hibernation, and pods with them
  cluster           the spec of a small cluster, without name and pools
  next_minor        one minor above it; skipping_minor: two above
  minors            three minors in a row; the one before the first is known, too
  size, other_size  two instance types
  break             (optional) program whose processes are killed to break a cluster
  loopback          (optional) programs below this path may listen on 127.0.0.1 only
`{home}` and `{name}` are filled in, and in `cluster` what the world tells.
"""

import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import boatyard
from boatyard.clock import Deadline, SystemClock
from boatyard.drivers.base import Driver, Env
from boatyard.drivers.registry import driver_for
from boatyard.errors import DeadlineExceeded
from boatyard.kube.client import ApiConflict, Client
from boatyard.plan.model import Observed
from boatyard.settings import Settings
from boatyard.spec.models import Cluster, Pool
from boatyard.tools.toolbox import Toolbox
from boatyard.versions import Minor

CASES = Path(__file__).parents[1] / "cases"
CLOCK = SystemClock()
LIMIT = 180.0
NAMESPACE = "work"


class Cut(Exception):
    """The process died here."""


Kind = tuple[tuple[str, int], ...]
"""Where in the program a change is made: file and line, from the innermost call outwards."""

PROGRAM = str(Path(boatyard.__file__).parent)
EVERY = os.environ.get("BOATYARD_FAULTS") == "all"
AGAIN = 2  # changes of a kind that was cut already which are cut, too; BOATYARD_FAULTS=all cuts every one
SEED = 7


class Bomb:
    """A fence that cuts an operation off at its n-th change, or at the first one of a kind that is not `known`; from
    then on nothing gets through, as after a death. kinds: of each change. cut: the number of the one cut off, 0: none.
    """

    def __init__(self, at: int | None = None, known: Container[Kind] = ()) -> None:
        self._at, self._known, self._lock = at, known, threading.Lock()
        self.kinds, self.cut = list[Kind](), 0

    def __call__(self) -> None:
        kind = _kind()
        with self._lock:
            self.kinds.append(kind)
            number = len(self.kinds)
            if not self.cut and (number == self._at if self._at is not None else kind not in self._known):
                self.cut = number
            if self.cut:
                raise Cut


def _kind() -> Kind:
    frame, found = sys._getframe(), list[tuple[str, int]]()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_filename.startswith(PROGRAM):
            found.append((frame.f_code.co_filename, frame.f_lineno))
    return tuple(found)


@dataclass
class Bench:
    """One distribution under test, with a home of its own."""

    kind: str
    case: Mapping[str, Any]
    home: Path
    told: Mapping[str, str] = field(default_factory=dict)
    clusters: list[Cluster] = field(default_factory=list)

    def cluster(self, name: str, **changes: Any) -> Cluster:
        """A spec of that name; it is deleted at the end, whatever happens to it."""
        full = name if "." in name else name + str(self.case.get("suffix") or "")
        made = Cluster.model_validate({"name": full, **_filled(self.case["cluster"], self.told), **changes})
        self.clusters.append(made)
        return made

    def pool(self, name: str = "web", **changes: Any) -> Pool:
        return Pool.model_validate({"name": name, "size": self.case["size"], "min": 2, "max": 6, **changes})

    def driver(
        self, cluster: Cluster, fence: Callable[[], None] = lambda: None, limit: float | None = None, **more: Any
    ) -> Any:
        toolbox = Toolbox(Settings.load().cache)
        limit = limit or float(self.case.get("limit") or LIMIT)
        deadline = Deadline.after(limit, f"conformance of {self.kind}", CLOCK)
        return driver_for(cluster, Env(self.home, CLOCK, deadline, toolbox.path, fence=fence, **more))

    @property
    def patience(self) -> float:
        return float(self.case.get("patience") or 3)

    def prepare(self) -> None:
        """Whatever a first cluster needs and its driver can make."""
        for finding in self.driver(self.cluster("prepared")).preflight():
            if finding.repair is not None:
                finding.repair()

    def observe(self, cluster: Cluster) -> Observed:
        driver: Driver = self.driver(cluster)
        return driver.observe()

    def client(self, cluster: Cluster) -> Client:
        return Client(self.driver(cluster).kubeconfig())

    def path(self, key: str, cluster: Cluster) -> str:
        """An optional entry of the case, filled in; empty when the distribution has none."""
        return str(self.case.get(key) or "").format(home=self.home, name=cluster.name)

    def close(self) -> None:
        for cluster in self.clusters:
            self.driver(cluster).delete()


def minors(versions: Mapping[str, str]) -> set[str]:
    """Of the kubelets of a pool."""
    return {str(Minor.parse(version)) for version in versions.values()}


def lasting(observed: Observed) -> Observed:
    """Without the names of nodes."""
    pools = {
        name: pool.model_copy(update={"versions": dict(enumerate(sorted(pool.versions.values())))})
        for name, pool in observed.pools.items()
    }
    return observed.model_copy(update={"pools": pools})


def _filled(value: Any, told: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, told) for key, inner in value.items()}
    return value.format(**told) if isinstance(value, str) and told else value


def load_case(kind: str) -> Mapping[str, Any]:
    return yaml.safe_load((CASES / kind / "conformance.yaml").read_text())


def cut_everywhere(attempt: Callable[[Callable[[], None]], object], settle: Callable[[], object]) -> int:
    """Call `attempt(fence)` again and again with the fence cutting it off at another change until it gets through;
    `settle` runs after each. Returns the number of changes of the attempt that got through.

    Each kind of change is cut the first time it is made, and a few that come again by a seeded choice; with
    BOATYARD_FAULTS=all every change is.
    """
    known = set[Kind]()
    for at in range(1, 500):
        bomb = Bomb(at) if EVERY else Bomb(known=known)
        through = _gets_through(attempt, bomb)
        settle()
        if through:
            break
        known |= set(bomb.kinds[: bomb.cut])
    else:
        raise AssertionError("500 changes and no end")
    for again in () if EVERY else _some_again(bomb.kinds):
        _gets_through(attempt, Bomb(again))
        settle()
    return len(bomb.kinds)


def _gets_through(attempt: Callable[[Callable[[], None]], object], bomb: Bomb) -> bool:
    try:
        attempt(bomb)
    except Cut:
        return False
    assert not bomb.cut, "the cut was swallowed"
    return True


def _some_again(kinds: Sequence[Kind]) -> list[int]:
    """Numbers, from 1, of changes that are not the first of their kind."""
    again = [number for number, kind in enumerate(kinds, 1) if kind in kinds[: number - 1]]
    return sorted(random.Random(SEED).sample(again, min(AGAIN, len(again))))


def eventually(check: Callable[[], object], what: str, limit: float = 60) -> None:
    deadline = Deadline.after(limit, what, CLOCK)
    while not check():
        deadline.check(what)
        CLOCK.wait(threading.Event(), 0.05)


def deploy(client: Client, name: str, replicas: int, *, available: int | None = None, **template: Any) -> None:
    """A Deployment, and a PodDisruptionBudget that keeps `available` of its pods; returns when all are Ready."""
    labels = {"app": name}
    for path, kind, metadata, spec in (
        ("/api/v1/namespaces", "Namespace", {"name": NAMESPACE}, {}),
        (
            f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments",
            "Deployment",
            {"name": name},
            {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {**POD, **template}},
            },
        ),
        (
            f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets",
            "PodDisruptionBudget",
            {"name": name},
            {"minAvailable": replicas - 1 if available is None else available, "selector": {"matchLabels": labels}},
        ),
    ):
        api = {"Namespace": "v1", "Deployment": "apps/v1", "PodDisruptionBudget": "policy/v1"}[kind]
        try:
            client.create(path, {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec})
        except ApiConflict:
            continue
    eventually(lambda: len(ready_pods(client, name)) == replicas, f"{replicas} pods of {name}")


# Half of a pod's grace is what the namespace controller waits before it looks again.
CONTAINER = {"name": "main", "image": "registry.example.com/app:1", "resources": {"requests": {"cpu": "100m"}}}

POD = {"containers": [CONTAINER], "terminationGracePeriodSeconds": 1}


def pods(client: Client, name: str) -> list[dict[str, Any]]:
    return client.list(f"/api/v1/namespaces/{NAMESPACE}/pods", labelSelector=f"app={name}")


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions") or []
    return not pod["metadata"].get("deletionTimestamp") and any(
        each["type"] == "Ready" and each["status"] == "True" for each in conditions
    )


def ready_pods(client: Client, name: str) -> list[dict[str, Any]]:
    return [pod for pod in pods(client, name) if is_ready(pod)]


@dataclass
class Watcher:
    """What an independent observer saw. `lowest`: the fewest Ready pods at any time."""

    lowest: int
    failure: BaseException | None = None


@contextmanager
def observing(client: Client, name: str) -> Iterator[Watcher]:
    """Follow the pods of a workload by a watch of our own, event by event."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods"
    items, version = client.list_at(path, labelSelector=f"app={name}")
    ready = {pod["metadata"]["name"] for pod in items if is_ready(pod)}
    seen = Watcher(len(ready))
    watch = client.watch(path, resource_version=version, labelSelector=f"app={name}")

    def follow() -> None:
        try:
            for event in watch:
                if event.type == "SYNCED":
                    continue
                pod = event.object["metadata"]["name"]
                if event.type != "DELETED" and is_ready(event.object):
                    ready.add(pod)
                else:
                    ready.discard(pod)
                seen.lowest = min(seen.lowest, len(ready))
        except BaseException as error:  # noqa: BLE001 - told to the test
            seen.failure = error

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield seen
    finally:
        watch.stop()
        thread.join()
        assert seen.failure is None, seen.failure


def running(program: str) -> list[int]:
    """Process ids of every process whose program starts with this path."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if (folder / "cmdline").read_bytes().startswith(program.encode()):
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def kill(program: str) -> None:
    pids = running(program)
    assert pids, f"nothing runs {program}"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not running(program), f"the end of {program}")


def refuses_to_wait(call: Callable[[], object]) -> str:
    """The message of the `DeadlineExceeded` that `call` must end with."""
    try:
        call()
    except DeadlineExceeded as error:
        return str(error)
    raise AssertionError("it ended, but should not have been able to")
