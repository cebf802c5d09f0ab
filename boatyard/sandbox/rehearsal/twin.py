"""The twin's life: made for one rehearsal, known by a marker on disk from before its first process, gone after it.

    HOME/rehearsals/NAME.json   there before the twin and after it; what a killed rehearsal left is found by it
    HOME/kwok/…/NAME            the twin itself, a kwok cluster that no fleet knows

A twin belongs to whoever holds the lease of its name.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from boatyard.clock import Deadline
from boatyard.drivers.base import Env, Report
from boatyard.drivers.kwok import nodes, state
from boatyard.drivers.kwok.driver import Driver
from boatyard.drivers.kwok.spec import Provider
from boatyard.drivers.operation import Yard
from boatyard.errors import DeadlineExceeded, Permanent
from boatyard.kube.client import ApiConflict, Client
from boatyard.sandbox.rehearsal import shapes
from boatyard.sandbox.rehearsal.source import Source
from boatyard.spec.models import Cluster, Pool
from boatyard.store.records import LeaseHeld

Json = dict[str, Any]

PREFIX = "rehearsal-"
OPERATION = "rehearse"
_LONGEST = 200
_PARALLEL = 16
_REMOVAL = 120.0  # seconds


def twin_name(cluster: str) -> str:
    """What the twin of a cluster is called."""
    name = f"{PREFIX}{cluster}"
    return name if len(name) <= _LONGEST else f"{name[:180]}-{hashlib.sha256(cluster.encode()).hexdigest()[:12]}"


class Twin:
    """The twin of one cluster, absent or there. Every method may be called again after a kill."""

    def __init__(self, yard: Yard, cluster: str, report: Report, fence: Callable[[], None]) -> None:
        self._yard, self._of, self._report, self._fence = yard, cluster, report, fence
        self.name = twin_name(cluster)
        self.cluster = _bare(self.name)
        self._marker = _markers(yard) / f"{self.name}.json"

    def env(self, seconds: float, what: str) -> Env:
        return self._yard.env(seconds, what, report=self._report, fence=self._fence)

    def driver(self, seconds: float = 60.0, what: str = "looking at the twin") -> Driver:
        return Driver(self.cluster, self.env(seconds, what))

    def client(self) -> Client:
        return Client(self.driver().kubeconfig(), agent="boatyard-rehearsal")

    def make(self, cluster: Cluster, source: Source, pool_of: Callable[[Json], str | None], *, limit: float) -> None:
        """Control plane and nodes, all Ready. limit: seconds."""
        by_pool: dict[str, list[Json]] = {}
        for node in source.nodes:
            by_pool.setdefault(pool_of(node) or "", []).append(node)
        self.cluster = _spec(self.name, cluster, source, shapes.twin_pools(cluster.pools, by_pool))
        env = self.env(limit, f"making the twin {self.name}")
        driver = Driver(self.cluster, env)
        if blocking := [finding for finding in driver.preflight() if finding.blocks]:
            raise Permanent(" ".join(f"{each.subject}: {each.problem} {each.fix}." for each in blocking))
        self._fence()
        told = {"of": self._of, "since": self._yard.clock.now().isoformat()}
        state.write_atomically(self._marker, json.dumps(told))
        driver.create()
        layout = state.Layout(self._yard.settings.home / "kwok", self.name)
        for pool in self.cluster.pools:
            if members := by_pool.get(pool.name):
                state.put_pool(layout, pool.name, shapes.record(pool, nodes.version_of(members[0])))
        made = [shapes.twin_node(node, self.cluster.pool(pool_of(node) or ""), self.name) for node in source.nodes]
        with self.client() as client:
            self._add(client, made, env.deadline)

    def remove(self) -> None:
        """Every part, proved by a scan, then the marker. A no-op where there is none."""
        driver = self.driver(_REMOVAL, f"removing the twin {self.name}")
        driver.delete()
        if left := driver.residue():
            raise Permanent(
                f"{len(left)} things are left of the twin {self.name}: "
                + ", ".join(f"{each.kind} {each.identity}" for each in left)
                + ".",
                hint=f"Remove them, or run `boatyard rehearse {self._of}` again.",
            )
        self._marker.unlink(missing_ok=True)

    def _add(self, client: Client, made: list[Json], deadline: Deadline) -> None:
        def create(node: Json) -> None:
            self._fence()
            try:
                client.create(nodes.NODES, node, fieldManager="boatyard")
            except ApiConflict:
                return

        with ThreadPoolExecutor(_PARALLEL, "nodes") as threads:
            list(threads.map(create, made))
        waiting = {node["metadata"]["name"] for node in made}
        with client.watch(nodes.NODES, deadline=deadline) as watch:
            for event in watch if waiting else ():
                if event.type != "SYNCED" and nodes.ready(event.object):
                    waiting.discard(nodes.name_of(event.object))
                if not waiting:
                    break
        if waiting:
            raise DeadlineExceeded(f"nodes of the twin not Ready in time: {', '.join(sorted(waiting)[:5])}.")
        self._report(f"{len(made)} nodes are Ready")


@contextmanager
def twin_of(yard: Yard, cluster: str, *, who: str, run_id: str, report: Report) -> Iterator[Twin]:
    """The twin's lease for the block; what earlier rehearsals left is removed before, the twin itself after.

    `LeaseHeld` while another rehearsal of the cluster runs.
    """
    name = twin_name(cluster)
    with yard.store.leases.hold(name, who, OPERATION, run_id=run_id) as lease:
        if _kept(yard, name):
            raise Permanent(f"the twin of {cluster} would be called {name}, and there is a cluster of that name.")
        twin = Twin(yard, cluster, report, lambda: yard.store.leases.check(lease))
        twin.remove()
        remove_left(yard, who=who, run_id=run_id, report=report, but=name)
        try:
            yield twin
        finally:
            twin.remove()


def remove_left(yard: Yard, *, who: str, run_id: str, report: Report, but: str = "") -> list[str]:
    """Remove twins whose rehearsals were killed; those of running ones stay, and so does what by now is a cluster of
    somebody's. Returns the names of what was removed."""
    removed = []
    for name, cluster in _left(yard):
        if name == but:
            continue
        try:
            with yard.store.leases.hold(name, who, OPERATION, run_id=run_id) as lease:
                if _kept(yard, name):
                    continue
                Twin(yard, cluster, report, lambda lease=lease: yard.store.leases.check(lease)).remove()  # type: ignore[misc]
                removed.append(name)
        except LeaseHeld:
            continue
    return removed


def _kept(yard: Yard, name: str) -> bool:
    """Is it a cluster that Boatyard keeps, and no twin? To be asked under the lease of that name."""
    known = yard.store.clusters.get(name)
    return known is not None and known.state != "deleted"


def _left(yard: Yard) -> Iterable[tuple[str, str]]:
    """(twin, cluster) of every marker that can be read; one that cannot was never finished, and nothing after it."""
    for path in sorted(_markers(yard).glob(f"{PREFIX}*.json")):
        try:
            yield path.name.removesuffix(".json"), json.loads(path.read_text())["of"]
        except (OSError, ValueError, KeyError, TypeError):
            continue


def _markers(yard: Yard) -> Path:
    return yard.settings.home / "rehearsals"


def _bare(name: str) -> Cluster:
    """Enough of a spec to look for the twin and to remove it."""
    return Cluster.model_validate(
        {"name": name, "provider": {"kind": "kwok"}, "kubernetes": {"version": Provider.minors[-1]}}
    )


def _spec(name: str, cluster: Cluster, source: Source, pools: tuple[Pool, ...]) -> Cluster:
    """The cluster as its twin: what decides how an upgrade goes, and nothing else."""
    wanted = _bare(name).at_version(source.version)
    return wanted.model_copy(
        update={
            "provider": Provider(kind="kwok", runtime_config=source.apis),
            "network": cluster.network,
            "pools": pools,
            "policy": cluster.policy,
        }
    )
