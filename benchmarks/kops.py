"""A kOps cluster made, and three instance groups rolled, against kOps' own commands on the same emulated account."""

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from benchmarks.base import Row, Skipped, timed
from benchmarks.twin import LIMIT, scratch, toolbox
from boatyard.cli.demo import environment
from boatyard.cli.prefect_server.place import Place
from boatyard.cli.prefect_server.private import private_server, template
from boatyard.clock import Deadline, SystemClock
from boatyard.drivers.base import Env
from boatyard.drivers.kops.driver import Driver
from boatyard.errors import BoatyardError
from boatyard.kube.apply import apply_objects
from boatyard.kube.client import Client
from boatyard.kube.objects import Ref
from boatyard.kube.waiting import wait_ready
from boatyard.run import minimal_env
from boatyard.run import run as run_program
from boatyard.sandbox.aws import Sandbox
from boatyard.settings import Settings
from boatyard.spec.models import Cluster

CREATION, ROLL = 1.15, 0.5
HERE = Path(__file__).parent
STORE, ZONE, SIZE = "bench-kops-state", "us-east-1a", "t3.medium"
OLD, NEW = "1.35.5", "1.36.1"
POOLS = ("web", "batch")
ROUNDS = 3
BOOT = 60.0  # seconds from an instance's launch until its kubelet runs; on AWS it is rarely less
_PAUSE = 0.05  # seconds between two looks at an API server that does not answer yet
_APP = "app"


def run() -> list[Row]:
    """Both sides use the kops on PATH; `Skipped` where there is none."""
    if shutil.which("kops") is None:
        raise Skipped("no kops is on PATH, which both sides need")
    with scratch() as folder:
        with _account(folder / "booting", BOOT) as place:
            rows = [_creation(place, "kops/create", f"machines boot for {BOOT:g} s")]
        with _account(folder / "at-once") as place:
            return [*rows, _creation(place, "kops/create-at-once", "machines need no time to boot"), _rolling(place)]


@dataclass(frozen=True)
class Account:
    """An emulated account with live clusters. `variables`: what a program needs to use it, and no other."""

    folder: Path
    sandbox: Sandbox
    variables: Mapping[str, str]

    def kops(self, *arguments: str) -> None:
        """One command of kOps', as by hand."""
        path = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        run_program(["kops", *arguments], timeout=LIMIT, env={**self.variables, **path}, cwd=self.folder)

    def client(self, name: str) -> Client:
        """The cluster's API server, by the sandbox' own account of it."""
        admin = self.folder / "sandbox" / "clusters" / name / "admin.json"
        return Client(json.loads(admin.read_text()), retries=0, timeout=5)

    def driver(self, cluster: Cluster) -> Driver:
        clock = SystemClock()
        deadline = Deadline.after(LIMIT, f"the benchmark's cluster {cluster.name}", clock)
        return Driver(cluster, Env(self.folder / "home", clock, deadline, toolbox().path))

    def await_nodes(self, name: str, count: int) -> None:
        """Until that many nodes are Ready: the same eyes for both sides."""
        clock, never = SystemClock(), threading.Event()
        deadline = Deadline.after(LIMIT, f"{count} nodes of {name}", clock)
        while self._ready(name) != count:
            deadline.check("nodes that are Ready")
            clock.wait(never, _PAUSE)

    def _ready(self, name: str) -> int:
        try:
            with self.client(name) as client:
                return sum(map(_is_ready, client.list("/api/v1/nodes")))
        except (OSError, ValueError, BoatyardError):
            return -1


@contextmanager
def _account(folder: Path, boot: float = 0.0) -> Iterator[Account]:
    with Sandbox.start(folder / "sandbox", toolbox(), boot=boot) as sandbox, environment(sandbox.environment):
        boto3.client("s3").create_bucket(Bucket=STORE)
        own = {"KOPS_STATE_STORE": f"s3://{STORE}", "KUBECONFIG": str(folder / "kubeconfig")}
        yield Account(folder, sandbox, {**sandbox.environment, **own})


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _spec(place: Account, name: str) -> dict[str, Any]:
    """What `kops create cluster` makes of the classic flags."""
    return {
        "apiVersion": "boatyard/v1",
        "kind": "Cluster",
        "name": name,
        "provider": {
            "kind": "kops",
            "state_store": f"s3://{STORE}",
            "zones": [ZONE],
            "dns": "none",
            "channel": place.sandbox.channel,
            "api_server": place.sandbox.api_server,
        },
        "kubernetes": {"version": OLD},
        "control_plane": {"size": SIZE},
        "pools": [{"name": f"nodes-{ZONE}", "size": SIZE, "min": 2}],
    }


def _creation(place: Account, name: str, machines: str) -> Row:
    """In turns, so that a machine that gets busier or quieter meanwhile does not decide; the medians of the seconds."""
    ours, theirs = list[float](), list[float]()
    for number in range(ROUNDS):
        theirs.append(_made_by_kops(place, f"hand{number}.example.com"))
        ours.append(_made_by_boatyard(place, f"ours{number}.example.com"))
        print(f"   {name}, round {number + 1}: ours {ours[-1]:.1f} s, kops {theirs[-1]:.1f} s", flush=True)
    notes = (
        f"{machines}; from the start of the first program until the last of three nodes is Ready, ours until its"
        f" program ends; the Prefect server runs already; median of {ROUNDS} rounds; {_load()}"
    )
    against = "kops create cluster, kops update cluster --yes"
    return Row(name, sorted(ours)[ROUNDS // 2], sorted(theirs)[ROUNDS // 2], "s", CREATION, against, notes)


def _made_by_kops(place: Account, name: str) -> float:
    flags = [f"--name={name}", f"--zones={ZONE}", "--node-count=2", f"--node-size={SIZE}", "--dns=none"]
    flags += [f"--control-plane-size={SIZE}", f"--kubernetes-version={OLD}", f"--channel={place.sandbox.channel}"]

    def make() -> None:
        place.kops("create", "cluster", *flags)
        place.kops("update", "cluster", name, "--yes")
        place.await_nodes(name, 3)

    seconds = timed(make)
    place.kops("delete", "cluster", name, "--yes")
    return seconds


def _made_by_boatyard(place: Account, name: str) -> float:
    """The flow that a user starts, in a Python process of its own."""
    home = place.folder / name
    home.mkdir()
    spec = home / "spec.yaml"
    spec.write_text(json.dumps(_spec(place, name)))
    settings = Settings(home, Settings.load().cache, f"sqlite:///{home / 'boatyard.db'}")
    with private_server(Place.of(settings).make(), template(settings)) as (_, prefect):
        env = minimal_env(
            **prefect,
            **place.sandbox.environment,
            PATH=os.environ["PATH"],
            BOATYARD_HOME=str(home),
            BOATYARD_CACHE=str(settings.cache),
            BOATYARD_STORE_URL=settings.store_url,
            BOATYARD_WHO="benchmark",
        )
        argv = [sys.executable, "-m", "benchmarks.fleets.created", str(spec)]
        seconds = timed(lambda: run_program(argv, timeout=LIMIT, env=env, cwd=HERE.parent))
    place.await_nodes(name, 3)
    place.driver(Cluster.model_validate(_spec(place, name))).delete()
    return seconds


def _rolling(place: Account) -> Row:
    """Two clusters alike, one after the other, each with an app that may miss one pod."""
    seconds = dict[str, float]()
    sides: dict[str, Callable[[Account, Cluster], None]] = {"hand": _rolled_by_kops, "ours": _rolled_by_boatyard}
    for name, roll in sides.items():
        with ExitStack() as after:
            cluster = _three_groups(place, f"{name}.example.com")
            after.callback(place.driver(cluster).delete)
            seconds[name] = timed(lambda roll=roll, cluster=cluster: roll(place, cluster))
            _check_rolled(place, cluster)
        print(f"   {OLD} to {NEW}, {name}: {seconds[name]:.1f} s", flush=True)
    notes = (
        f"a control plane and two pools of two nodes from {OLD} to {NEW}, the change of the version included;"
        " both drain by eviction under a budget, a node of a group at a time, and go on when the cluster is validated;"
        f" kOps with its default pauses; {_load()}"
    )
    against = "kops edit, update and rolling-update cluster --yes"
    return Row("kops/rolling-update", seconds["ours"], seconds["hand"], "s", ROLL, against, notes)


def _three_groups(place: Account, name: str) -> Cluster:
    pools = [{"name": pool, "size": SIZE, "min": 2} for pool in POOLS]
    image = next(each for each in _images(place) if "noble" in each and "amd64" in each)
    spec = _spec(place, name) | {"pools": pools}
    spec["provider"] |= {"image": image}  # `kops edit --set` wants one
    cluster = Cluster.model_validate(spec)
    driver = place.driver(cluster)
    driver.create()
    for pool in cluster.pools:
        driver.create_pool(pool, OLD)
    with Client(driver.kubeconfig()) as client:
        deadline = Deadline.after(LIMIT, "setting up the pods", SystemClock())
        apply_objects(client, _app(), deadline=deadline)
        wait_ready(client, [Ref("apps", "Deployment", _APP, _APP)], deadline=deadline)
    return cluster


def _images(place: Account) -> list[str]:
    channel = json.loads(Path(place.sandbox.channel.removeprefix("file://")).read_text())
    return [str(each["name"]) for each in channel["spec"]["images"]]


def _app() -> list[dict[str, Any]]:
    labels = {"app": _APP}
    container = {"name": "main", "image": "registry.example.com/app:1"}
    pod = {"containers": [container], "terminationGracePeriodSeconds": 1}
    named = {"name": _APP, "namespace": _APP}
    template_ = {"metadata": {"labels": labels}, "spec": pod}
    deployment = {"replicas": 8, "selector": {"matchLabels": labels}, "template": template_}
    budget = {"maxUnavailable": 1, "selector": {"matchLabels": labels}}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _APP}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": named, "spec": deployment},
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": named, "spec": budget},
    ]


def _rolled_by_kops(place: Account, cluster: Cluster) -> None:
    place.kops("edit", "cluster", cluster.name, "--set", f"spec.kubernetesVersion={NEW}")
    place.kops("update", "cluster", cluster.name, "--yes")
    place.kops("rolling-update", "cluster", cluster.name, "--yes", "--api-server", place.sandbox.api_server)


def _rolled_by_boatyard(place: Account, cluster: Cluster) -> None:
    driver = place.driver(cluster)
    driver.upgrade_control_plane(NEW)
    for pool in cluster.pools:
        driver.upgrade_pool(pool, NEW, surge=1, drain_timeout=120)


def _check_rolled(place: Account, cluster: Cluster) -> None:
    with Client(place.driver(cluster).kubeconfig()) as client:
        versions = sorted(each["status"]["nodeInfo"]["kubeletVersion"] for each in client.list("/api/v1/nodes"))
        if versions != [f"v{NEW}"] * (1 + 2 * len(POOLS)):
            raise AssertionError(f"the nodes of {cluster.name} run {', '.join(versions)}")
        app = Ref("apps", "Deployment", _APP, _APP)
        wait_ready(client, [app], deadline=Deadline.after(LIMIT, "the app to be whole", SystemClock()))


def _load() -> str:
    one, _, quarter = os.getloadavg()
    return f"load {one:.1f} at the end, {quarter:.1f} over the quarter of an hour before, {os.cpu_count()} cores"
