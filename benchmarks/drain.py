"""50 nodes with 1,000 pods under tight disruption budgets emptied onto 50 others, against `kubectl drain`."""

import statistics
from collections.abc import Sequence

from benchmarks.base import Row, timed
from benchmarks.fleets.witness import settle, watched
from benchmarks.twin import LIMIT, VERSION, Twin, twin
from boatyard.clock import Deadline, SystemClock
from boatyard.kube.client import Client
from boatyard.kube.drain import drain_nodes
from boatyard.spec.models import Pool

GOAL = 0.2
NODES = 50
PATIENCE = 270.0
"""Seconds for kubectl: after that the nodes that are left are reckoned from those that are done."""
ENOUGH = 150.0
"""Seconds for kubectl: after that ours is not run a second time."""


def run() -> list[Row]:
    """There with ours, back with kubectl, there with ours again: the same pods and the same machine."""
    pool = Pool(name="old", size="16x64", min=NODES)
    with twin("drain", [pool]) as cluster, cluster.client() as client:
        settle(client)
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


def _ours(cluster: Twin, client: Client, nodes: Sequence[str]) -> float:
    deadline = Deadline.after(LIMIT, "the drain", SystemClock())
    seconds, witness = watched(cluster, lambda: drain_nodes(client, nodes, deadline=deadline))
    _empty(client, nodes)
    witness.vouch(seconds)
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
