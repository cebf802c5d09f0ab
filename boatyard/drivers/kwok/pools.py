"""Node pools: nodes made, configured, drained and removed."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from boatyard.drivers.base import Env
from boatyard.drivers.kwok import nodes, sizes, state
from boatyard.drivers.kwok.nodes import NODES, Json, name_of
from boatyard.drivers.kwok.shapes import shape_of, shaped
from boatyard.drivers.kwok.state import Layout, PoolRecord
from boatyard.drivers.rules import drain_rules
from boatyard.errors import DeadlineExceeded, NotFound
from boatyard.kube.client import ApiConflict, ApiNotFound, Client
from boatyard.kube.drain import drain_nodes
from boatyard.spec.models import Cluster, Pool

T = TypeVar("T")

_PARALLEL = 16
_CONFLICTS = 5  # a node's status changes under us now and then; more often than this in a row it does not


class Pools:
    """The pools of one running cluster."""

    def __init__(self, cluster: Cluster, env: Env, layout: Layout, client: Client) -> None:
        self.cluster, self.env, self.layout, self.client = cluster, env, layout, client
        self._shapes: dict[str, dict[str, str]] = {}

    def create(self, pool: Pool, version: str) -> None:
        """At least `pool.min` Ready nodes; completes what is there."""
        record = wanted(pool, version)
        sizes.capacity(record.size)
        self.env.fence()
        state.put_pool(self.layout, pool.name, record)
        present = self.of(pool.name)
        self.add(pool.name, record, pool.min - len(present), present)
        self.wait_ready(pool.name)

    def scale(self, name: str, count: int) -> None:
        """Exactly `count` nodes."""
        present = self.of(name)
        record = self._record(name, present)
        self.env.fence()
        state.put_pool(self.layout, name, record)
        if len(present) > count:
            victims = self._leaving(present, len(present) - count, record)
            self.each(lambda node: self.mark(node, "scale"), victims)
            self.drain_and_delete([name_of(node) for node in victims], self._limit())
        else:
            self.each(self.take_back, present)
            self.add(name, record, count - len(present), present)
        self.wait_ready(name)

    def configure(self, pool: Pool) -> None:
        """Labels and taints as the spec says, on every node."""
        present = self.of(pool.name)
        record = replace(self._record(pool.name, present), labels=dict(pool.labels), taints=tuple(pool.taints))
        self.env.fence()
        state.put_pool(self.layout, pool.name, record)
        self.each(lambda node: self._configure(node, record), present)

    def delete(self, name: str) -> None:
        """No node and no record of it left."""
        self.drain_and_delete([name_of(node) for node in self.of(name)], self._limit())
        self.env.fence()
        state.put_pool(self.layout, name, None)

    # parts, shared with the upgrade

    def of(self, name: str) -> list[Json]:
        """The pool's nodes, by name."""
        found = sorted(self.client.list(NODES, labelSelector=f"{nodes.POOL}={name}"), key=name_of)
        self._shapes.setdefault(name, {}).update({nodes.uid_of(node): shape_of(node) for node in found})
        return found

    def add(self, name: str, record: PoolRecord, count: int, present: Collection[Json]) -> None:
        """`count` more nodes, made side by side; not waited for."""
        if count <= 0:
            return
        coming = nodes.names(name, {name_of(node) for node in present})
        new = [next(coming) for _ in range(count)]
        self.env.report(
            f"pool {name}: adding {count} node{'s' if count > 1 else ''} {record.size}, kubelet {record.version}"
        )
        self.each(lambda item: self.make(name, record, item[1], item[0]), new)

    def make(self, pool: str, record: PoolRecord, name: str, number: int, replaces: str = "") -> None:
        self.env.fence()
        body = nodes.build(self.layout.name, pool, record, name, number, replaces=replaces)
        known = self._shapes.get(pool) or {}
        if shape := known.get(replaces) or next(iter(known.values()), ""):
            body = shaped(body, shape)
        try:
            self.client.create(NODES, body, fieldManager="boatyard")
        except ApiConflict:
            return  # an attempt that was cut off had made it

    def wait_ready(self, pool: str, only: Collection[str] | None = None) -> None:
        """Until every node of the pool (or those named) is Ready, by watch. `DeadlineExceeded` names the others."""
        present, version = self.client.list_at(NODES, labelSelector=f"{nodes.POOL}={pool}")
        waiting = {name_of(node) for node in present if not nodes.ready(node)}
        if only is not None:
            waiting &= set(only)
        if not waiting:
            return
        with self.client.watch(
            NODES, resource_version=version, deadline=self.env.deadline, labelSelector=f"{nodes.POOL}={pool}"
        ) as watch:
            for event in watch:
                if event.type == "DELETED" or (event.type != "SYNCED" and nodes.ready(event.object)):
                    waiting.discard(name_of(event.object))
                if not waiting:
                    return
        raise DeadlineExceeded(f"pool {pool}: nodes not Ready in time: {', '.join(sorted(waiting))}.")

    def drain_and_delete(self, victims: Sequence[str], patience: float) -> None:
        """Drain side by side by eviction; each node goes as soon as it is empty. patience: seconds a node."""
        if not victims:
            return
        drain_nodes(
            self.client,
            victims,
            deadline=self.env.deadline.named(f"draining {', '.join(victims)}"),
            parallel=_PARALLEL,
            report=self.env.report,
            fence=self.env.fence,
            on_empty=self._delete_node,
            rules=drain_rules(self.cluster, self.env, patience),
        )

    def each(self, work: Callable[[T], object], items: Iterable[T], *, parallel: int = _PARALLEL) -> None:
        """`work` on every item, side by side; the first failure is raised, after those under way have ended."""
        stop = threading.Event()

        def guarded(item: T) -> None:
            if stop.is_set():
                return
            try:
                work(item)
            except BaseException:
                stop.set()
                raise

        with ThreadPoolExecutor(parallel) as pool:
            for future in [pool.submit(guarded, item) for item in items]:
                future.result()

    def _delete_node(self, name: str) -> None:
        """The machine goes, and with it what ran only there (DaemonSets' pods)."""
        self.env.fence()
        with suppress(ApiNotFound):
            self.client.delete(f"{NODES}/{name}")
        for pod in self.client.list("/api/v1/pods", fieldSelector=f"spec.nodeName={name}"):
            metadata = pod["metadata"]
            self.env.fence()
            try:
                path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
                self.client.delete(path, uid=metadata["uid"], grace=0)
            except (ApiNotFound, ApiConflict):
                continue
        self.env.report(f"node {name} deleted")

    def _limit(self) -> float:
        return self.cluster.policy.upgrade.drain_timeout.total_seconds()

    def _leaving(self, present: Sequence[Json], count: int, record: PoolRecord) -> list[Json]:
        """Who goes: cordoned ones first, then those an upgrade would replace, then the emptiest, then the newest."""
        pods = Counter(pod["spec"].get("nodeName") for pod in self.client.list("/api/v1/pods") if not _stays(pod))
        order = sorted(present, key=name_of, reverse=True)
        order.sort(key=lambda node: node["metadata"]["creationTimestamp"], reverse=True)
        order.sort(
            key=lambda node: (not nodes.cordoned(node), nodes.version_of(node) == record.version, pods[name_of(node)])
        )
        for node in order[:count]:
            name = name_of(node)
            why = "it is cordoned" if nodes.cordoned(node) else f"it runs {pods[name]} pods"
            if not nodes.cordoned(node) and nodes.version_of(node) != record.version:
                why = f"its kubelet is {nodes.version_of(node)}"
            self.env.report(f"node {name} goes: {why}")
        return order[:count]

    def mark(self, node: Json, purpose: str) -> None:
        """Cordon, and note that it was us: a node cordoned by somebody else is never taken back by us."""
        if not nodes.cordoned(node):
            self.env.fence()
            self._patch(node, {"metadata": {"annotations": {nodes.CORDONED: purpose}}, "spec": {"unschedulable": True}})

    def take_back(self, node: Json) -> None:
        """A node that we cordoned and that is still there takes pods again: it stays after all."""
        if nodes.annotation(node, nodes.CORDONED):
            self.env.fence()
            self._patch(node, {"metadata": {"annotations": {nodes.CORDONED: None}}, "spec": {"unschedulable": None}})
            self.env.report(f"node {name_of(node)} stays after all")

    def _patch(self, node: Json, body: Json) -> None:
        try:
            self.client.patch(f"{NODES}/{name_of(node)}", body)
        except ApiNotFound:
            return

    def _configure(self, node: Json, record: PoolRecord) -> None:
        for _ in range(_CONFLICTS):
            if nodes.configured(node, record):
                return
            self.env.fence()
            try:
                self.client.patch(f"{NODES}/{name_of(node)}", nodes.configuration(node, record))
                self.env.report(f"node {name_of(node)}: labels and taints set")
                return
            except ApiConflict:
                node = self.client.get(f"{NODES}/{name_of(node)}")
            except ApiNotFound:
                return

    def _record(self, name: str, present: Sequence[Json]) -> PoolRecord:
        """How this pool's nodes are made: as ordered, else as its nodes are, else as the spec says."""
        known = state.load(self.layout)
        if known is not None and name in known.pools:
            return known.pools[name]
        if present:
            return record_of(present[-1])
        if (pool := self.cluster.pool(name)) is not None and known is not None:
            return wanted(pool, known.version)
        raise NotFound(f"cluster {self.layout.name} has no pool named {name}.")


def record_of(node: Json) -> PoolRecord:
    """How this node was made."""
    return PoolRecord(
        size=nodes.size_of(node),
        version=nodes.version_of(node),
        labels=nodes.our_labels(node),
        taints=nodes.our_taints(node),
        spot=nodes.is_spot(node),
    )


def wanted(pool: Pool, version: str) -> PoolRecord:
    """How the spec wants a pool's nodes."""
    return PoolRecord(
        size=pool.size or sizes.DEFAULT,
        version=".".join(version.split(".")[:2]),
        labels=dict(pool.labels),
        taints=tuple(pool.taints),
        spot=pool.spot,
    )


def _stays(pod: Json) -> bool:
    owners = pod["metadata"].get("ownerReferences") or []
    return pod["status"].get("phase") in ("Succeeded", "Failed") or any(
        owner["kind"] == "DaemonSet" for owner in owners
    )
