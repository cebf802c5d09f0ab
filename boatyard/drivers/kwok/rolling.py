"""A pool's upgrade: each old node gets a new one in its place, `surge` of them at a time.

All that a cut-off upgrade needs to go on stands on the nodes: a new node names the UID of the one it replaces, so how
many nodes are wanted can always be counted, and no old node ever gets two replacements.
"""

import threading

from boatyard.drivers.kwok import nodes, state
from boatyard.drivers.kwok.nodes import NODES, Json, name_of, uid_of
from boatyard.drivers.kwok.pools import Pools, wanted
from boatyard.drivers.kwok.state import PoolRecord
from boatyard.errors import Unsafe
from boatyard.kube.client import ApiConflict, ApiNotFound
from boatyard.spec.models import Pool

_SOFT = {"key": nodes.OUTDATED, "effect": "PreferNoSchedule"}


class Rolling:
    """One upgrade of one pool."""

    def __init__(self, pools: Pools, pool: Pool, to: str, *, surge: int, drain_timeout: float) -> None:
        self._pools, self._pool, self._env = pools, pool, pools.env
        self._surge, self._drain_timeout = surge, drain_timeout
        self._record = wanted(pool, to)
        self._lock = threading.Lock()
        self._taken: set[str] = set()

    def run(self) -> None:
        """Every node as the spec says, exactly as many as before; returns when the last is Ready."""
        self._refuse_downgrade()
        self._env.fence()
        state.put_pool(self._pools.layout, self._pool.name, self._record)
        present = self._pools.of(self._pool.name)
        self._taken = {name_of(node) for node in present}
        old = [node for node in present if outdated(node, self._record, sized=self._pool.size is not None)]
        if old:
            self._env.report(
                f"pool {self._pool.name}: {len(old)} of {len(present)} nodes to replace, {self._surge} at a time"
            )
        self._pools.each(self._discourage, old)
        replacing = {nodes.annotation(node, nodes.REPLACES): name_of(node) for node in present}
        # Those already under way first, so that a surplus node never waits for its counterpart.
        old.sort(key=lambda node: (uid_of(node) not in replacing, not nodes.cordoned(node), name_of(node)))
        self._pools.each(lambda node: self._replace(node, replacing.get(uid_of(node))), old, parallel=self._surge)
        self._pools.wait_ready(self._pool.name)

    def _replace(self, node: Json, stand_in: str | None) -> None:
        name = name_of(node)
        if stand_in is None:
            number, stand_in = self._next_name()
            self._pools.make(self._pool.name, self._record, stand_in, number, replaces=uid_of(node))
            self._env.report(f"node {stand_in} added in place of {name}")
        self._pools.wait_ready(self._pool.name, only={stand_in})
        self._pools.drain_and_delete([name], self._env.deadline.sooner(self._drain_timeout, f"draining {name}"))

    def _next_name(self) -> tuple[int, str]:
        with self._lock:
            number, name = next(nodes.names(self._pool.name, self._taken))
            self._taken.add(name)
            return number, name

    def _discourage(self, node: Json) -> None:
        """A soft taint on every old node: a pod that has to move goes to a new one if it can, and so moves once."""
        taints = node["spec"].get("taints") or []
        if any(taint["key"] == nodes.OUTDATED for taint in taints):
            return
        patch = {
            "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]},
            "spec": {"taints": [*taints, _SOFT]},
        }
        self._env.fence()
        try:
            self._pools.client.patch(f"{NODES}/{name_of(node)}", patch)
        except (ApiConflict, ApiNotFound):
            return  # only a hint to the scheduler

    def _refuse_downgrade(self) -> None:
        newest = max((_order(nodes.version_of(node)) for node in self._pools.of(self._pool.name)), default=(0, 0))
        if newest > _order(self._record.version):
            raise Unsafe(
                f"pool {self._pool.name} has kubelets {newest[0]}.{newest[1]};"
                f" going down to {self._record.version} is not possible."
            )


def outdated(node: Json, record: PoolRecord, *, sized: bool) -> bool:
    """Does this node have to be replaced? `sized`: the spec names a size, so another one counts."""
    return nodes.version_of(node) != record.version or (sized and nodes.size_of(node) != record.size)


def _order(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)
