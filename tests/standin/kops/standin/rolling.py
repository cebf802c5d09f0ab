"""`kops rolling-update cluster`: instance by instance, validating between, with kOps' own fixed pauses (recorded)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from standin import groups, kube, validate
from standin.say import Fail, log, out, table
from standin.store import Document, Store
from standin.update import choose, world_of
from standin.world import World, cloud_name, role

RETRY = 30.0
"""Seconds between two validations that failed: kOps' own constant (recorded)."""
_ORDER = {"Bastion": 0, "ControlPlane": 1, "Node": 2}


@dataclass
class Options:
    """Pauses and limits in seconds. Defaults: documentation."""

    yes: bool = False
    cloud_only: bool = False
    force: bool = False
    api_server: str = ""
    only: Sequence[str] = ()
    control_plane_interval: float = 15.0
    node_interval: float = 15.0
    bastion_interval: float = 15.0
    post_drain_delay: float = 5.0
    drain_timeout: float = 900.0
    validation_timeout: float = 900.0
    validate_count: int = 2


def run(store: Store, name: str, options: Options) -> None:
    world = world_of(store, name)
    choose(world, options.only)
    names: dict[str, str] = {}
    if not options.cloud_only:
        names = _node_names(world, options)
    rows, work = _table(world, names, options), _work(world, options.force)
    titles = ("NAME", "STATUS", "NEEDUPDATE", "READY", "MIN", "TARGET", "MAX")
    table(titles if options.cloud_only else (*titles, "NODES"), rows)
    if not work:
        out("\nNo rolling-update required.")
        return
    if not options.yes:
        out("\nMust specify --yes to rolling-update.")
        return
    for group, instances in work:
        _Roll(world, group, options, names).all(instances)
    done = " ".join(group["metadata"]["name"] for group, _ in work)
    log("rollingupdate.go:236", f'Completed rolling update for cluster "{name}" instance groups [{done}]')


def _node_names(world: World, options: Options) -> dict[str, str]:
    """Instance → node."""
    try:
        nodes = kube.nodes(world, options.api_server)
    except kube.Unreachable as error:
        log_line = "Unable to reach the kubernetes API.\n"
        advice = "Use --cloudonly to do a rolling-update without confirming progress with the k8s API\n"
        raise Fail(f"error listing nodes in cluster: {error}", before=log_line + advice) from None
    return {one["spec"].get("providerID", "").rpartition("/")[2]: one["metadata"]["name"] for one in nodes}


def _table(world: World, names: dict[str, str], options: Options) -> list[tuple[str, ...]]:
    rows = []
    for group in world.chosen:
        title = cloud_name(world, group)
        if (found := world.auto_scaling_groups().get(title)) is None:
            continue
        old = groups.outdated(world, title)
        need = sum(old.values())
        ready = len(old) - need
        sizes = (found["MinSize"], found["DesiredCapacity"], found["MaxSize"])
        row = [group["metadata"]["name"], "NeedsUpdate" if need else "Ready", need, ready, *sizes]
        if not options.cloud_only:
            row.append(sum(one in names for one in old))
        rows.append(tuple(map(str, row)))
    return rows


def _work(world: World, force: bool) -> list[tuple[Document, list[str]]]:
    found = []
    for group in sorted(world.chosen, key=lambda one: _ORDER[role(one)]):
        name = cloud_name(world, group)
        if name in world.auto_scaling_groups():
            old = [identity for identity, needs in groups.outdated(world, name).items() if needs or force]
            if old:
                found.append((group, old))
    return found


class _Roll:
    """One instance group."""

    def __init__(self, world: World, group: Document, options: Options, names: dict[str, str]) -> None:
        self.world, self.group, self.options, self.names = world, group, options, names
        self.title, self.owner = group["metadata"]["name"], cloud_name(world, group)
        pauses = {"ControlPlane": options.control_plane_interval, "Bastion": options.bastion_interval}
        self.pause = pauses.get(role(group), options.node_interval)

    def all(self, instances: list[str]) -> None:
        if not self.options.cloud_only:
            self.validate(1)
            many = "node" if len(instances) == 1 else "nodes"
            log("instancegroups.go:364", f'Tainting {len(instances)} {many} in "{self.title}" instancegroup.')
            for one in instances:
                self._taint(one)
        detached = instances[0] if role(self.group) == "Node" and len(instances) > 1 else None
        if detached:
            self._detach(detached)
            instances = [*instances[1:], detached]
        for one in instances:
            self._replace(one)

    def _detach(self, identity: str) -> None:
        """Surge: one instance leaves the group first, so that another takes its place (recorded)."""
        log("instancegroups.go:631", f"Detaching {self._called(identity)}.")
        asked = {"AutoScalingGroupName": self.owner, "InstanceIds": [identity], "ShouldDecrementDesiredCapacity": False}
        self.world.aws.call("autoscaling", "detach_instances", **asked)
        log("instancegroups.go:225", f"waiting for {self.pause:g}s after detaching instance")
        self._after()

    def _replace(self, identity: str) -> None:
        if not self.options.cloud_only:
            self._drain(identity)
        log("instancegroups.go:654", f"Stopping {self._called(identity)} (this may take a while).")
        self.world.aws.call("ec2", "terminate_instances", InstanceIds=[identity])
        log("instancegroups.go:491", f"waiting for {self.pause:g}s after terminating instance")
        self._after()

    def _after(self) -> None:
        time.sleep(self.pause)
        if not self.options.cloud_only:
            self.validate(self.options.validate_count)

    def _called(self, identity: str) -> str:
        return f'instance "{identity}", node "{self.names.get(identity, "")}", in group "{self.owner}"'

    def _kube(self) -> kube.Kube:
        return kube.client(self.world, self.options.api_server)

    def _taint(self, identity: str) -> None:
        taint = {"key": "kops.k8s.io/scheduled-for-update", "effect": "PreferNoSchedule"}
        self._patch(identity, {"spec": {"taints": [taint]}})

    def _patch(self, identity: str, change: Any) -> None:
        if name := self.names.get(identity):
            kind = "application/strategic-merge-patch+json"
            self._kube().ask("PATCH", f"/api/v1/nodes/{name}", change, kind)

    def _drain(self, identity: str) -> None:
        if (name := self.names.get(identity)) is None:
            return
        log("instancegroups.go:453", f'Draining the node: "{name}".')
        self._patch(identity, {"spec": {"unschedulable": True}})
        end, client = time.monotonic() + self.options.drain_timeout, self._kube()
        while pods := self._evictable(client, name):
            if time.monotonic() > end:
                raise Fail(f'error draining node "{name}": timed out')
            for one in pods:
                meta = {"name": one["metadata"]["name"], "namespace": one["metadata"]["namespace"]}
                body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
                client.ask("POST", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/eviction", body)
            time.sleep(1)
        log(
            "instancegroups.go:742",
            f"Waiting for {self.options.post_drain_delay:g}s for pods to stabilize after draining.",
        )
        time.sleep(self.options.post_drain_delay)

    @staticmethod
    def _evictable(client: kube.Kube, node: str) -> list[dict[str, Any]]:
        found = client.list(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")
        kept = "kubernetes.io/config.mirror"
        return [one for one in found if kept not in one["metadata"].get("annotations", {}) and not _daemon(one)]

    def validate(self, count: int) -> None:
        log("instancegroups.go:530", "Validating the cluster.")
        end, passed = time.monotonic() + self.options.validation_timeout, 0
        while True:
            try:
                failures, nodes = validate.examined(self.world, self.options.api_server)
                said = failures[0]["message"] if failures else ""
            except kube.Unreachable as error:
                said, nodes = f"error listing nodes: {error}", []
            if not said:
                passed += 1
                if passed >= count:
                    log("instancegroups.go:566", "Cluster validated.")
                    self.names.update({one["name"]: one["name"] for one in nodes})
                    return
                said = f"Cluster validated; revalidating in {RETRY / 3:g}s to make sure it does not flap."
                log("instancegroups.go:560", said)
                time.sleep(RETRY / 3)
                continue
            passed = 0
            if time.monotonic() + RETRY > end:
                raise Fail(f"error validating cluster: {said}")
            log("instancegroups.go:589", f'Cluster did not pass validation, will retry in "30s": {said}.')
            time.sleep(RETRY)


def _daemon(pod: dict[str, Any]) -> bool:
    return any(one["kind"] == "DaemonSet" for one in pod["metadata"].get("ownerReferences", ()))
