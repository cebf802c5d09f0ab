"""Node pools: one instance group each. Its record by kOps, its size by the Auto Scaling group, its nodes by the API."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from boatyard.drivers.kops import changes, guard, nodes, render
from boatyard.drivers.kops.create import placeholder
from boatyard.drivers.kops.draining import drain_and_end, patch
from boatyard.drivers.kops.fleet import Machine, ScalingGroup
from boatyard.drivers.kops.judging import judge
from boatyard.drivers.kops.merge import merge
from boatyard.drivers.kops.nodes import NODES, Json, name_of
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.rolling import oldest_version
from boatyard.drivers.kops.scene import Scene, look, unsettled
from boatyard.drivers.kops.store import PLACEHOLDER, Document, Record
from boatyard.drivers.kops.waiting import watching
from boatyard.errors import NotFound, Unsafe
from boatyard.kube.client import ApiConflict, ApiNotFound, Client
from boatyard.spec.models import Pool
from boatyard.versions import Minor

_CONFLICTS = 5  # a node's status changes under us now and then; more often than this in a row it does not


class Groups:
    """The pools of one running cluster. A context manager."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._client: Client | None = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._client.close()

    @property
    def client(self) -> Client:
        if self._client is None:
            self._client = self._reach.client()
        return self._client

    def create(self, pool: Pool, version: str) -> None:
        """At least `pool.min` Ready nodes; completes what is there."""
        record = self._record()
        self.record_pool(record, pool, guard.groups(f"creating pool {pool.name}", [pool.name]))
        self._settle(pool.name)

    def scale(self, name: str, count: int) -> None:
        """Exactly `count` nodes. Within the bounds kOps is not asked: the Auto Scaling group alone says how many."""
        record = self._record()
        if name not in record.groups:
            raise NotFound(f"cluster {self._reach.name} has no pool named {name}.")
        lowest, highest = wanted_bounds(self._reach, record, name, count)
        scene = self._look()
        group = scene.group(name)
        if group is None:
            refuse_ahead(self._reach, record, scene)
            changes.apply(self._reach, guard.groups(f"scaling pool {name}", [name]), [name])
            scene = self._look()
            group = scene.fleet[name]
        if len(group.machines) > count:
            self._shrink(scene, group, count, lowest, highest)
        else:
            self._take_back(scene, group)
        self._bounds(name, lowest, highest)
        self._reach.fleet.set_desired(self._reach.fleet.read()[name], count)
        self._settle(name)

    def configure(self, pool: Pool) -> None:
        """Labels and taints of every node as the spec says, in place; then of the nodes to come.

        The nodes come first: until their group is changed, it still tells which labels and taints were its own.
        """
        record = self._record()
        stored = record.groups.get(pool.name)
        if stored is None:
            raise NotFound(f"cluster {self._reach.name} has no pool named {pool.name}.")
        scene = self._look()
        for machine in scene.fleet[pool.name].machines if pool.name in scene.fleet else ():
            if (node := scene.node(machine)) is not None:
                self._configure(node, stored, pool)
        self.record_pool(record, pool, guard.groups(f"configuring pool {pool.name}", [pool.name]))

    def delete(self, name: str) -> None:
        """Nodes drained, then the group deleted by kOps with its instances. A no-op when it is absent."""
        record = self._reach.store.read()
        fleet = self._reach.fleet.read() if record.cluster is not None else {}
        if name not in record.groups and name not in fleet:
            return
        if record.pools == [name] and PLACEHOLDER not in record.groups:
            with changes.changing(self._reach, guard.groups("keeping a group of nodes", [PLACEHOLDER]), [PLACEHOLDER]):
                self._reach.kops.replace([placeholder(self._reach.cluster)])
        scene = self._look()
        if (group := scene.group(name)) is not None:
            gone = [machine for machine in group.machines if machine.detached]
            kept = [machine for machine in group.machines if not machine.detached and scene.node(machine) is not None]
            drain_and_end(self._reach, self.client, scene, [*gone, *kept], self._drain_timeout, self._end_detached)
        self._reach.store.snapshot(self._reach.env.clock.now())
        self._reach.kops.delete_group(name)
        self._wait_gone(name)

    # shared with the upgrade

    def record_pool(self, record: Record, pool: Pool, scope: guard.Scope) -> None:
        """The pool's group as the spec says, and applied. Other groups stay as they are."""
        document = pool_document(self._reach, record, pool)
        refuse_ahead(self._reach, record, self._look())
        if document != record.groups.get(pool.name):
            judge(self._reach, record.version or "")
            with changes.changing(self._reach, scope, [pool.name]):
                self._reach.kops.replace([document])
        elif not changes.is_applied(self._reach, record):
            changes.apply(self._reach, scope, [pool.name])

    # parts

    @property
    def _drain_timeout(self) -> float:
        return self._reach.cluster.policy.upgrade.drain_timeout.total_seconds()

    def _record(self) -> Record:
        record = self._reach.store.read()
        if record.cluster is None:
            raise NotFound(f"there is no cluster {self._reach.name} in {self._reach.provider.state_store}.")
        return record

    def _look(self) -> Scene:
        return look(self._reach, self.client)

    def _bounds(self, name: str, lowest: int, highest: int) -> None:
        """Registered and applied; a no-op when they are so."""
        record = self._record()
        document = record.groups[name]
        scope = guard.groups(f"scaling pool {name}", [name])
        group = self._reach.fleet.read().get(name)
        if bounds_of(document) != (lowest, highest):
            refuse_ahead(self._reach, record, self._look())
            with changes.changing(self._reach, scope, [name]):
                self._reach.kops.replace([bounded(document, lowest, highest)])
        elif group is None or (group.minimum, group.maximum) != (lowest, highest):
            refuse_ahead(self._reach, record, self._look())
            changes.apply(self._reach, scope, [name])

    def _shrink(self, scene: Scene, group: ScalingGroup, count: int, lowest: int, highest: int) -> None:
        """Drained first; only then, and only where the bounds are in the way, is anything else changed."""
        victims = self._leaving(scene, group, len(group.machines) - count)
        for machine in victims:
            if (node := scene.node(machine)) is not None:
                self._mark(node)

        def end(machine: Machine) -> None:
            with self._lock:  # several nodes may be empty at once, the bounds are changed once
                self._bounds(group.group, lowest, max(highest, len(group.machines)))
            self._reach.fleet.end(machine, fewer=not machine.detached)
            self._reach.env.report(f"{machine.id} is ending")

        drain_and_end(self._reach, self.client, scene, victims, self._drain_timeout, end)

    def _leaving(self, scene: Scene, group: ScalingGroup, count: int) -> list[Machine]:
        """Who goes: detached ones, those that never joined, cordoned, outdated, the emptiest, then the newest."""
        pods = Counter(pod["spec"].get("nodeName") for pod in self.client.list("/api/v1/pods") if not _stays(pod))

        def order(machine: Machine) -> tuple[bool, bool, bool, bool, int]:
            node = scene.node(machine)
            if node is None:
                return (not machine.detached, False, False, False, 0)
            return (
                not machine.detached,
                True,
                not nodes.cordoned(node),
                not machine.outdated,
                pods[name_of(node)],
            )

        newest = sorted(group.machines, key=lambda machine: _born(scene.node(machine)), reverse=True)
        return sorted(newest, key=order)[:count]

    def _mark(self, node: Json) -> None:
        """Cordon, and note that it was us: a node cordoned by somebody else is never taken back by a later growth."""
        if not nodes.cordoned(node):
            body = {"metadata": {"annotations": {nodes.CORDONED: "scale"}}, "spec": {"unschedulable": True}}
            patch(self._reach, self.client, node, body)

    def _take_back(self, scene: Scene, group: ScalingGroup) -> None:
        """Growing again after a cut-off shrink: a node that was cordoned for it and is still there stays."""
        for machine in group.members:
            node = scene.node(machine)
            if node is not None and nodes.annotation(node, nodes.CORDONED):
                body: Json = {"metadata": {"annotations": {nodes.CORDONED: None}}, "spec": {"unschedulable": None}}
                patch(self._reach, self.client, node, body)
                self._reach.env.report(f"node {name_of(node)} stays after all")

    def _configure(self, node: Json, stored: Document, pool: Pool) -> None:
        for _ in range(_CONFLICTS):
            body = configuration(node, stored, dict(pool.labels), pool.taints)
            if body is None:
                return
            self._reach.env.fence()
            try:
                self.client.patch(f"{NODES}/{name_of(node)}", body)
                self._reach.env.report(f"node {name_of(node)}: labels and taints set")
                return
            except ApiConflict:
                node = self.client.get(f"{NODES}/{name_of(node)}")
            except ApiNotFound:
                return

    def _end_detached(self, machine: Machine) -> None:
        """Those of the group itself are kOps' to end, together."""
        if machine.detached:
            self._reach.fleet.end(machine)

    def _settle(self, name: str) -> None:
        with watching(self._reach.env, self.client, NODES) as lookout:
            lookout.until(lambda: unsettled(self._look(), name))

    def _wait_gone(self, name: str) -> None:
        def left() -> str:
            scene = self._look()
            here = [name_of(node) for node in scene.strangers(name)]
            return f"{', '.join(here[:3])} of {name} to leave the cluster" if here or scene.group(name) else ""

        with watching(self._reach.env, self.client, NODES) as lookout:
            lookout.until(left)


def pool_document(reach: Reach, record: Record, pool: Pool) -> Document:
    """The pool's group as the spec says, at the registered version."""
    others = tuple(each for each in reach.cluster.pools if each.name != pool.name)
    made = render.manifests(reach.cluster.model_copy(update={"pools": (*others, pool)}), record.version or "")
    wanted = next(each for each in made if each["metadata"]["name"] == pool.name and "role" in each["spec"])
    stored = record.groups.get(pool.name)
    return wanted if stored is None else render.merged(wanted, stored)


def bounds_of(document: Document) -> tuple[int, int]:
    """Fewest and most machines of a group."""
    return int(document["spec"].get("minSize") or 0), int(document["spec"].get("maxSize") or 0)


def bounded(document: Document, lowest: int, highest: int) -> Document:
    """The group with these bounds."""
    found: Document = merge(document, {"spec": {"minSize": lowest, "maxSize": highest}})
    return found


def wanted_bounds(reach: Reach, record: Record, name: str, count: int) -> tuple[int, int]:
    """What the spec says, else what is registered, in any case with room for `count`."""
    pool, (lowest, highest) = reach.cluster.pool(name), bounds_of(record.groups[name])
    if pool is not None:
        lowest, highest = pool.min, pool.upper
    return min(lowest, count), max(highest, count)


def refuse_ahead(reach: Reach, record: Record, scene: Scene) -> None:
    """A node must never be newer than the API server, and an update gives a group the registered version."""
    running = oldest_version(scene, record.control_plane)
    if running and record.version and Minor.parse(record.version) > Minor.parse(running):
        raise Unsafe(
            f"cluster {reach.name}: its control plane is on its way from {running} to {record.version}.",
            hint="Let that upgrade end first: new nodes would be newer than the API server.",
        )


def configuration(node: Json, stored: Document, labels: Mapping[str, str], taints: Sequence[str]) -> Json | None:
    """The merge patch that makes the pool's labels and taints so and keeps everybody else's; None when they are so."""
    have, ours = nodes.labels_of(node), nodes.pool_labels(stored)
    changed: dict[str, str | None] = {key: None for key in ours if key not in labels and key in have}
    changed |= {key: value for key, value in labels.items() if have.get(key) != value}
    present = node["spec"].get("taints") or []
    wanted = [nodes.parse_taint(text) for text in taints]
    replaced = {(taint["key"], taint["effect"]) for taint in wanted}
    gone = set(nodes.pool_taints(stored))
    kept = [
        taint
        for taint in present
        if nodes.taint_text(taint) not in gone and (taint["key"], taint["effect"]) not in replaced
    ]
    new = [*kept, *wanted]
    if not changed and sorted(map(nodes.taint_text, new)) == sorted(map(nodes.taint_text, present)):
        return None
    version = {"resourceVersion": node["metadata"]["resourceVersion"]}
    return {"metadata": {**version, "labels": changed}, "spec": {"taints": new}}


def _born(node: Json | None) -> str:
    return str(node["metadata"]["creationTimestamp"]) if node is not None else "~"


def _stays(pod: Json) -> bool:
    owners = pod["metadata"].get("ownerReferences") or []
    return pod["status"].get("phase") in ("Succeeded", "Failed") or any(
        owner["kind"] == "DaemonSet" for owner in owners
    )
