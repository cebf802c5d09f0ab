"""A pool's upgrade: each old node gets a new one in its place, so many at a time as budgets have head-room for.

All that a cut-off upgrade needs to go on stands on the nodes: a new node names the UID of the one it replaces, so how
many nodes are wanted can always be counted, and no old node ever gets two replacements.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from boatyard.drivers.kwok import nodes, state
from boatyard.drivers.kwok.nodes import NODES, Json, name_of, uid_of
from boatyard.drivers.kwok.pools import Pools, record_of, wanted
from boatyard.drivers.kwok.state import PoolRecord
from boatyard.errors import Unsafe
from boatyard.kube.client import ApiConflict, ApiNotFound
from boatyard.kube.headroom import batch
from boatyard.plan.surge import at_most
from boatyard.spec.models import Pool

_SOFT = {"key": nodes.OUTDATED, "effect": "PreferNoSchedule"}


@dataclass(frozen=True)
class _Look:
    """A pool at one moment. `old`: in the order in which they are replaced. `stand_ins`: old node → its new one."""

    present: Sequence[Json]
    old: Sequence[Json]
    stand_ins: dict[str, str]

    @property
    def size(self) -> int:
        return len(self.present) - len(self.stand_ins)

    @property
    def settled(self) -> bool:
        """Is a node as it should be, and stands in for none that is still there?"""
        return len(self.present) > len(self.old) + len(self.stand_ins)


class Rolling:
    """One upgrade of one pool. surge: the most nodes at a time, None as `at_most` says; patience: seconds a node."""

    def __init__(self, pools: Pools, pool: Pool, to: str, *, surge: int | None = None, patience: float = 0.0) -> None:
        self._pools, self._pool, self._env = pools, pool, pools.env
        self._surge, self._patience = surge, patience
        self._record = wanted(pool, to)

    def run(self, *, canary: bool = False) -> None:
        """Every node as the spec says, exactly as many as before; returns when the last is Ready.

        canary: one node only, and none where one is so already.
        """
        self._begin()
        while (seen := self._look()).old and not (canary and seen.settled):
            self._replace(seen, self._next(seen, 1 if canary else at_most(self._surge, seen.size)), alone=canary)
        self._pools.wait_ready(self._pool.name)

    def prepare(self) -> None:
        """A Ready node beside each old one, which is cordoned."""
        self._begin()
        seen = self._look()
        self._pools.wait_ready(self._pool.name, only=self._stand_in(seen, seen.old))
        self._pools.each(lambda node: self._pools.mark(node, "upgrade"), seen.old)

    def _begin(self) -> None:
        self._refuse_downgrade()
        self._env.fence()
        state.put_pool(self._pools.layout, self._pool.name, self._record)

    def _look(self) -> _Look:
        present = self._pools.of(self._pool.name)
        names = {uid_of(node): name_of(node) for node in present}
        stand_ins = {
            names[nodes.annotation(node, nodes.REPLACES)]: name_of(node) for node in nodes.standing_in(present)
        }
        old = [node for node in present if outdated(node, self._record, sized=self._pool.size is not None)]
        # Those already under way first, so that a surplus node never waits for its counterpart.
        old.sort(key=lambda node: (name_of(node) not in stand_ins, not nodes.cordoned(node), name_of(node)))
        return _Look(present, old, stand_ins)

    def _next(self, seen: _Look, most: int) -> list[Json]:
        """Those under way, and as many more as may be begun."""
        under_way = [node for node in seen.old if name_of(node) in seen.stand_ins]
        rest = {name_of(node): node for node in seen.old if name_of(node) not in seen.stand_ins}
        more = batch(self._pools.client, list(rest), most - len(under_way)) if len(under_way) < most else []
        return [*under_way, *(rest[name] for name in more)]

    def _replace(self, seen: _Look, some: Sequence[Json], *, alone: bool) -> None:
        left, count = len(seen.old), len(some)
        self._env.report(f"pool {self._pool.name}: {left} of {seen.size} nodes to replace, {count} of them now")
        self._pools.each(self._discourage, some if alone else seen.old)
        names = self._stand_in(seen, some)
        self._pools.wait_ready(self._pool.name, only=names)
        self._pools.drain_and_delete([name_of(node) for node in some], self._patience)

    def _stand_in(self, seen: _Look, old: Iterable[Json]) -> set[str]:
        """A new node for each of these that has none; the names of all of theirs, which take pods."""
        pairs = dict(seen.stand_ins)
        self._pools.each(self._pools.take_back, nodes.standing_in(seen.present))  # a roll-back may have been cut off
        coming = nodes.names(self._pool.name, {name_of(node) for node in seen.present})
        lacking = [(node, *next(coming)) for node in old if name_of(node) not in pairs]
        self._pools.each(self._make, lacking)
        return {pairs.get(name_of(node), "") for node in old} - {""} | {name for _, _, name in lacking}

    def _make(self, item: tuple[Json, int, str]) -> None:
        node, number, name = item
        self._pools.make(self._pool.name, self._record, name, number, replaces=uid_of(node))
        self._env.report(f"node {name} added in place of {name_of(node)}")

    def _discourage(self, node: Json) -> None:
        """A soft taint on every old node: a pod that has to move goes to a new one if it can, and so moves once."""
        taints = node["spec"].get("taints") or []
        if not any(taint["key"] == nodes.OUTDATED for taint in taints):
            set_taints(self._pools, node, [*taints, _SOFT])

    def _refuse_downgrade(self) -> None:
        newest = max((_order(nodes.version_of(node)) for node in self._pools.of(self._pool.name)), default=(0, 0))
        if newest > _order(self._record.version):
            raise Unsafe(
                f"pool {self._pool.name} has kubelets {newest[0]}.{newest[1]};"
                f" going down to {self._record.version} is not possible."
            )


def roll_back(pools: Pools, name: str, patience: float) -> None:
    """Back to the old nodes where they are still there: they take pods again, then their stand-ins go."""
    present = pools.of(name)
    new = nodes.standing_in(present)
    if not new:
        return
    replaced = {nodes.annotation(node, nodes.REPLACES) for node in new}
    old = [node for node in present if uid_of(node) in replaced]
    pools.env.fence()
    state.put_pool(pools.layout, name, record_of(old[0]))
    for node in old:
        taints = node["spec"].get("taints") or []
        set_taints(pools, node, [taint for taint in taints if taint["key"] != nodes.OUTDATED])
        pools.take_back(node)
    pools.each(lambda node: pools.mark(node, "roll back"), new)
    pools.drain_and_delete([name_of(node) for node in new], patience)
    pools.env.report(f"pool {name}: rolled back to {len(old)} nodes as they were")


def set_taints(pools: Pools, node: Json, taints: list[Json]) -> None:
    """Only a hint to the scheduler: where the node has changed meanwhile it stays as it is."""
    if taints == (node["spec"].get("taints") or []):
        return
    body = {"metadata": {"resourceVersion": node["metadata"]["resourceVersion"]}, "spec": {"taints": taints}}
    pools.env.fence()
    try:
        pools.client.patch(f"{NODES}/{name_of(node)}", body)
    except (ApiConflict, ApiNotFound):
        return


def outdated(node: Json, record: PoolRecord, *, sized: bool) -> bool:
    """Does this node have to be replaced? `sized`: the spec names a size, so another one counts."""
    return nodes.version_of(node) != record.version or (sized and nodes.size_of(node) != record.size)


def _order(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)
