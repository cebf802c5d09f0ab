"""A pool of 50 nodes with 1,000 pods under tight budgets upgraded, against a node after node with `kubectl drain`."""

import json
import statistics
from collections import Counter
from pathlib import Path

from benchmarks.base import Row, timed
from benchmarks.fleets.witness import settle, watched
from benchmarks.twin import LIMIT, VERSION, Twin, driver_in, twin
from boatyard.drivers.kwok import nodes
from boatyard.drivers.kwok.pools import wanted
from boatyard.kube.client import Client
from boatyard.spec.models import Cluster, Pool

GOAL = 0.2
NODES = 50
OLD = "1.35"
PATIENCE = 400.0
"""Seconds for kubectl: after that the nodes that are left are reckoned from those that are done."""
ENOUGH = 200.0
"""Seconds for kubectl: after that ours is not run a second time."""
POOL = Pool(name="web", size="16x64", min=NODES)
CLUSTER = Cluster.model_validate(
    {"name": "upgrade", "provider": {"kind": "kwok"}, "kubernetes": {"version": VERSION}, "pools": [POOL]}
)


def run() -> list[Row]:
    """Up with ours, down again by hand with kubectl, up with ours again: the same pods and the same machine."""
    with twin(CLUSTER.name) as cluster, cluster.client() as client:
        cluster.driver.create_pool(POOL, OLD)
        settle(client)
        first = _ours(cluster, client)
        theirs, done = _theirs(cluster, client)
        times, again = [first], ""
        if done == NODES and theirs < ENOUGH:
            times.append(_ours(cluster, client))
            again = ", mean of a run before and a run after kubectl's"
    whole = "all nodes with both" if done == NODES else f"kubectl measured on {done} nodes, the rest reckoned from them"
    notes = f"{NODES} nodes, 1,000 pods, 10 budgets of 1 or 2 pods; {whole}{again}; no budget was violated"
    return [Row("upgrade", statistics.mean(times), theirs, "s", GOAL, "kubectl drain node after node", notes)]


def _ours(cluster: Twin, client: Client) -> float:
    """What the step `upgrade pool` does, as many nodes at a time as budgets allow."""
    _all_at(client, OLD)
    driver = driver_in(cluster.home, CLUSTER)
    seconds, witness = watched(cluster, lambda: driver.upgrade_pool(POOL, VERSION, surge=None, drain_timeout=LIMIT))
    _all_at(client, VERSION)
    witness.vouch(seconds)
    return seconds


def _theirs(cluster: Twin, client: Client) -> tuple[float, int]:
    """Seconds for all nodes, and how many of them were really replaced.

    For each node, as by hand: a new one, wait until it is Ready, drain, delete. All are cordoned first, so that no pod
    moves twice.
    """
    before = sorted(node["metadata"]["name"] for node in client.list(nodes.NODES))
    files = [_file(cluster, number) for number in range(1, NODES + 1)]
    cordon = timed(lambda: cluster.kubectl("cordon", "-l", f"{nodes.POOL}={POOL.name}"))
    spent: list[float] = []
    for old, file in zip(before, files, strict=True):
        spent.append(timed(lambda old=old, file=file: _by_hand(cluster, old, file)))
        if sum(spent) > PATIENCE:
            break
    total = cordon + sum(spent) * NODES / len(spent)
    print(
        f"   kubectl: {len(spent)} nodes in {cordon + sum(spent):.1f} s,"
        f" {min(spent):.1f} to {max(spent):.1f} s a node; {total:.1f} s for all",
        flush=True,
    )
    return total, len(spent)


def _by_hand(cluster: Twin, old: str, file: Path) -> None:
    limit = f"--timeout={LIMIT:.0f}s"
    cluster.kubectl("create", "-f", file)
    cluster.kubectl("wait", "--for=condition=Ready", f"node/{file.stem}", limit)
    cluster.kubectl("drain", old, "--ignore-daemonsets", "--delete-emptydir-data", limit)
    cluster.kubectl("delete", "node", old)


def _file(cluster: Twin, number: int) -> Path:
    """A node of the pool as a manifest, of the version before: so that ours has something to do once more."""
    name = f"by-hand-{number:03d}"
    file = cluster.home / f"{name}.json"
    body = nodes.build(CLUSTER.name, POOL.name, wanted(POOL, OLD), name, number)
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "Node", **body}))
    return file


def _all_at(client: Client, version: str) -> None:
    found = Counter(nodes.version_of(node) for node in client.list(nodes.NODES))
    if found != {version: NODES}:
        raise AssertionError(f"expected {NODES} nodes at {version}, found {dict(found)}")
