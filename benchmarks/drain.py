"""50 nodes with 1,000 pods under tight disruption budgets emptied onto 50 others, against `kubectl drain`."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.base import Row, timed
from benchmarks.fleets import crowd
from benchmarks.twin import LIMIT, VERSION, Twin, twin
from boatyard.clock import Deadline, SystemClock
from boatyard.kube.apply import apply_objects
from boatyard.kube.client import Client
from boatyard.kube.drain import drain_nodes
from boatyard.kube.objects import Ref
from boatyard.kube.waiting import wait_ready
from boatyard.spec.models import Pool

GOAL = 0.2
NODES = 50
PATIENCE = 270.0
"""Seconds for kubectl: after that the nodes that are left are reckoned from those that are done."""
ENOUGH = 150.0
"""Seconds for kubectl: after that ours is not run a second time."""
HERE = Path(__file__).parent.parent


@dataclass(frozen=True)
class Witness:
    """What the observer saw. `tightest`: the fewest healthy pods above a budget's floor, over all apps and all time."""

    changes: int
    violations: list[str]
    tightest: int


def run() -> list[Row]:
    """There with ours, back with kubectl, there with ours again: the same pods and the same machine."""
    pool = Pool(name="old", size="16x64", min=NODES)
    with twin("drain", [pool]) as cluster, cluster.client() as client:
        _settle(client)
        cluster.driver.create_pool(Pool(name="new", size="16x64", min=NODES), VERSION)
        old, new = _names(client, "old"), _names(client, "new")
        first = _ours(cluster, client, old)
        _open(cluster, "old")
        theirs, done = _theirs(cluster, new)
        times, again = [first], ""
        if done == NODES and theirs < ENOUGH:
            _open(cluster, "new")
            times.append(_ours(cluster, client, old))
            again = ", mean of a run before and a run after kubectl's"
    whole = "all nodes with both" if done == NODES else f"kubectl measured on {done} nodes, the rest reckoned from them"
    notes = f"{NODES} nodes, 1,000 pods, 10 budgets of 1 or 2 pods; {whole}{again}; no budget was violated"
    return [Row("drain", statistics.mean(times), theirs, "s", GOAL, "kubectl drain node after node", notes)]


def _settle(client: Client) -> None:
    deadline = Deadline.after(LIMIT, "setting up the pods", SystemClock())
    objects = crowd.objects()
    apply_objects(client, objects, deadline=deadline)
    wait_ready(client, [Ref.of(one) for one in objects], deadline=deadline)


def _ours(cluster: Twin, client: Client, nodes: Sequence[str]) -> float:
    deadline = Deadline.after(LIMIT, "the drain", SystemClock())
    seconds, witness = _watched(cluster, lambda: drain_nodes(client, nodes, deadline=deadline))
    _empty(client, nodes)
    print(
        f"   ours: {seconds:.1f} s; the observer saw {witness.changes} changes of pods,"
        f" at the tightest moment {witness.tightest} above a budget's floor",
        flush=True,
    )
    if witness.violations:
        raise AssertionError(f"{len(witness.violations)} violations: {'; '.join(witness.violations[:5])}")
    if witness.tightest:
        raise AssertionError("no budget was ever used up: the observer cannot have looked, or nothing was tight")
    return seconds


def _theirs(cluster: Twin, nodes: Sequence[str]) -> tuple[float, int]:
    """Seconds for all nodes, and how many of them were really drained. All cordoned first: no pod moves twice."""
    cordon = timed(lambda: cluster.kubectl("cordon", "-l", "boatyard.dev/pool=new"))
    spent: list[float] = []
    for node in nodes:
        arguments = ("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={LIMIT:.0f}s")
        spent.append(timed(lambda arguments=arguments: cluster.kubectl(*arguments)))
        if sum(spent) > PATIENCE:
            break
    total = cordon + sum(spent) * len(nodes) / len(spent)
    print(
        f"   kubectl: {len(spent)} nodes in {cordon + sum(spent):.1f} s,"
        f" {min(spent):.1f} to {max(spent):.1f} s a node; {total:.1f} s for all",
        flush=True,
    )
    return total, len(spent)


def _open(cluster: Twin, pool: str) -> None:
    cluster.kubectl("uncordon", "-l", f"boatyard.dev/pool={pool}")


def _names(client: Client, pool: str) -> list[str]:
    found = client.list("/api/v1/nodes", labelSelector=f"boatyard.dev/pool={pool}")
    return sorted(node["metadata"]["name"] for node in found)


def _empty(client: Client, nodes: Sequence[str]) -> None:
    left = [pod for pod in client.list("/api/v1/pods") if pod["spec"].get("nodeName") in nodes]
    if left:
        raise AssertionError(f"{len(left)} pods are still on drained nodes")


def _watched(cluster: Twin, work: Callable[[], object]) -> tuple[float, Witness]:
    """Seconds of `work`, and what an observer of its own process saw until every app was whole again."""
    with _observer(cluster) as observer:
        seconds = timed(work)
        _whole(cluster)
        out, _ = observer.communicate(timeout=30)
    said: dict[str, Any] = json.loads(out)
    return seconds, Witness(said["changes"], said["violations"], min(said["slack"].values()))


@contextmanager
def _observer(cluster: Twin) -> Iterator["subprocess.Popen[str]"]:
    pki = cluster.home / "kwok" / "clusters" / "drain" / "pki"
    with cluster.client() as client:
        argv = [sys.executable, "-m", "benchmarks.fleets.observer", client.server, str(pki)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE) as process:
        try:
            if process.stdin is None or process.stdout is None:
                raise AssertionError("the observer has no pipes")
            process.stdin.write(json.dumps({app.name: app.floor for app in crowd.apps()}) + "\n")
            process.stdin.flush()
            if process.stdout.readline().strip() != "READY":
                raise AssertionError("the observer did not start")
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def _whole(cluster: Twin) -> None:
    """Until every Deployment has all its pods again: what comes after the drain is watched, too."""
    refs = [Ref("apps", "Deployment", crowd.NAMESPACE, app.name) for app in crowd.apps()]
    with cluster.client() as client:
        wait_ready(client, refs, deadline=Deadline.after(LIMIT, "the apps to be whole", SystemClock()))
        time.sleep(0.5)  # the observer's own watch may be a moment behind
