"""`kops validate cluster`: every instance a Ready node, every control-plane node its pods (recorded)."""

import json
import time
from typing import Any

from standin import kube, look
from standin.say import Fail, log, out, table
from standin.store import Store
from standin.update import world_of
from standin.world import World, cloud_name, role

_PODS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


def examined(world: World, where: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Failures and nodes."""
    world.aws.forget()
    client = kube.client(world, where)
    there = client.list("/api/v1/nodes")
    pods = client.list("/api/v1/namespaces/kube-system/pods")
    by_id = {one["spec"].get("providerID", "").rpartition("/")[2]: one for one in there}
    failures, nodes = list[dict[str, Any]](), list[dict[str, Any]]()
    for group in world.groups:
        name = cloud_name(world, group)
        found = world.auto_scaling_groups().get(name)
        if found is None or role(group) == "Bastion":
            continue
        short = look.ordered(group) | {"spec": {**group["spec"], "role": role(group)}}
        shown = {"metadata": short["metadata"], "spec": short["spec"]}
        title = group["metadata"]["name"]
        if len(found["Instances"]) < found["DesiredCapacity"]:
            counts = f"{len(found['Instances'])} vs {found['DesiredCapacity']}"
            said = f'InstanceGroup "{title}" did not have enough nodes {counts}'
            failures.append({"type": "InstanceGroup", "name": title, "message": said, "instanceGroup": shown})
        kind = "control-plane" if role(group) == "ControlPlane" else "node"
        for one in found["Instances"]:
            identity = one["InstanceId"]
            node = by_id.get(identity)
            if node is None:
                said = f'machine "{identity}" has not yet joined cluster'
                failures.append({"type": "Machine", "name": identity, "message": said, "instanceGroup": shown})
                continue
            ready = _ready(node)
            entry = {"name": node["metadata"]["name"], "role": kind, "hostname": node["metadata"]["name"]}
            nodes.append(entry | {"status": ready})
            for said in _wrong(node, kind, ready, pods):
                failures.append({"type": "Node", "name": entry["name"], "message": said, "instanceGroup": shown})
    return failures, nodes


def _ready(node: dict[str, Any]) -> str:
    conditions = node.get("status", {}).get("conditions", ())
    return next((one["status"] for one in conditions if one["type"] == "Ready"), "Unknown")


def _wrong(node: dict[str, Any], kind: str, ready: str, pods: list[dict[str, Any]]) -> list[str]:
    name = node["metadata"]["name"]
    if ready != "True":
        return [f'node "{name}" of role "{kind}" is not ready']
    if kind != "control-plane":
        return []
    here = {one["metadata"].get("labels", {}).get("k8s-app") for one in pods if one["spec"].get("nodeName") == name}
    return [f'control-plane node "{name}" is missing {pod} pod' for pod in _PODS if pod not in here]


def run(store: Store, name: str, where: str, output: str, wait: float, interval: float, count: int) -> None:
    world, end, passed = world_of(store, name), time.monotonic() + wait, 0
    if output == "table":
        out(f"Validating cluster {name}\n")
    while True:
        try:
            failures, nodes = examined(world, where)
        except kube.Unreachable as error:
            if not wait or time.monotonic() > end:
                raise Fail(
                    f"validation failed: unexpected error during validation: error listing nodes: {error}"
                ) from None
            failures, nodes = [{"type": "API", "name": "", "message": str(error)}], []
        _show(world, failures, nodes, output)
        passed = 0 if failures else passed + 1
        if passed >= max(1, count):
            return
        if passed:
            said = f"(will retry): cluster passed validation {passed} consecutive times"
            log("validate_cluster.go:229", said)
        elif not wait or time.monotonic() > end:
            raise Fail("validation failed: cluster not yet healthy")
        time.sleep(interval)


def _show(world: World, failures: list[dict[str, Any]], nodes: list[dict[str, Any]], output: str) -> None:
    if output == "json":
        found = ({"failures": failures} if failures else {}) | {"nodes": nodes}
        out(json.dumps(found, separators=(",", ":")))
        return
    out("INSTANCE GROUPS")
    rows = []
    for group in world.groups:
        spec = group["spec"]
        sizes = (str(spec["minSize"]), str(spec["maxSize"]))
        machine = spec.get("machineType", "")
        rows.append((group["metadata"]["name"], role(group), machine, *sizes, ",".join(spec["subnets"])))
    table(("NAME", "ROLE", "MACHINETYPE", "MIN", "MAX", "SUBNETS"), rows)
    out("\nNODE STATUS")
    ordered = sorted(nodes, key=lambda one: str(one["name"]))
    table(("NAME", "ROLE", "READY"), [(one["name"], one["role"], one["status"]) for one in ordered])
    if failures:
        out("\nVALIDATION ERRORS")
        table(("KIND", "NAME", "MESSAGE"), [(one["type"], one["name"], one["message"]) for one in failures])
        out("\nValidation Failed")
    else:
        out(f"\nYour cluster {world.name} is ready")
