"""What kOps keeps in the state store for a cluster (recorded), and what drains nodes that AWS takes away (recorded)."""

import base64
import json
import os
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from standin import contents, keysets
from standin.aws import tag_list
from standin.say import VERSION, Field
from standin.store import Document
from standin.world import Task, World, cloud_name, role

_SECRETS = (
    "admin kube kube-proxy kubelet system:controller_manager system:dns system:logging system:monitoring"
    " system:scheduler"
)
_ADDONS = (
    ("aws-cloud-controller.addons.k8s.io", "k8s-1.18", "k8s-1.18"),
    ("aws-ebs-csi-driver.addons.k8s.io", "k8s-1.17", "k8s-1.17"),
    ("coredns.addons.k8s.io", "k8s-1.12", "k8s-1.12"),
    ("dns-controller.addons.k8s.io", "k8s-1.12", "k8s-1.12"),
    ("kops-controller.addons.k8s.io", "k8s-1.16", "k8s-1.16"),
    ("kubelet-api.rbac.addons.k8s.io", "k8s-1.9", "k8s-1.9"),
    ("limit-range.addons.k8s.io", "", "v1.5.0"),
    ("storage-aws.addons.k8s.io", "v1.15.0", "v1.15.0"),
)
_OPTIONAL = {
    "cilium": ("networking.cilium.io", "k8s-1.16", "k8s-1.16-v1.15"),
    "calico": ("networking.projectcalico.org", "k8s-1.25", "k8s-1.25"),
    "amazonvpc": ("networking.amazon-vpc-routed-eni", "k8s-1.16", "k8s-1.16"),
    "kindnet": ("networking.kindnet", "k8s-1.32", "k8s-1.32"),
    "kuberouter": ("networking.kuberouter", "k8s-1.12", "k8s-1.12"),
    "clusterAutoscaler": ("cluster-autoscaler.addons.k8s.io", "k8s-1.15", "k8s-1.15"),
    "metricsServer": ("metrics-server.addons.k8s.io", "k8s-1.11", "k8s-1.11"),
    "certManager": ("certmanager.io", "k8s-1.16", "k8s-1.16"),
}
_HANDLER = ("node-termination-handler.aws", "k8s-1.11", "k8s-1.11")
_EVENTS = {
    "ASGLifecycle": '{"source":["aws.autoscaling"],"detail-type":["EC2 Instance-terminate Lifecycle Action"]}',
    "InstanceScheduledChange": '{"source": ["aws.health"],"detail-type": ["AWS Health Event"],"detail": {"service":'
    ' ["EC2"],"eventTypeCategory": ["scheduledChange"]}}',
    "InstanceStateChange": '{"source": ["aws.ec2"],"detail-type": ["EC2 Instance State-change Notification"]}',
    "SpotInterruption": '{"source": ["aws.ec2"],"detail-type": ["EC2 Spot Instance Interruption Warning"]}',
}


def keys(world: World) -> Iterator[Task]:
    """Keypairs and secrets; they are made before everything else."""
    for name in keysets.ALL:
        fields: list[Field] = [("Subject", f"cn={name}"), ("Issuer", ""), ("Type", "ca"), ("LegacyFormat", "false")]
        yield Task("Keypair", name, fields, _found(world, f"pki/private/{name}/keyset.yaml"), _issue(world, name))
    for name in _SECRETS.split():
        yield Task("Secret", name, [], _found(world, f"secrets/{name}"), _secret(world, name))


def _there(world: World, path: str) -> bool:
    every = world.aws.look("store", lambda: set(world.store.names(world.name)))
    return path in every


def _found(world: World, path: str) -> Any:
    return lambda: {} if _there(world, path) else None


def _issue(world: World, name: str) -> Any:
    return lambda: keysets.issue(world.store, world.name, name)


def _secret(world: World, name: str) -> Any:
    value = base64.b64encode(secrets.token_urlsafe(24).encode()).decode()
    return lambda: world.store.write(f"{world.name}/secrets/{name}", json.dumps({"Data": value}))


def tasks(world: World) -> Iterator[Task]:
    for addon, version, file in addons(world):
        name = f"{world.name}-addons-{addon}{f'-{version}' if version else ''}"
        yield _file(world, "AddonManifest", name, f"addons/{addon}/{file}.yaml", f"# {addon} {version}\n")
    listed = "".join(f"- {addon} {version}\n" for addon, version, _ in addons(world))
    yield _file(world, "BootstrapChannel", f"{world.name}-addons-bootstrap", "addons/bootstrap-channel.yaml", listed)
    yield _based(world, "cluster-completed.spec", contents.completed(world))
    yield _based(world, "kops-version.txt", own_version())
    yield _managed(world, "manifests-channels-kops-channels", "manifests/channels/kops-channels.yaml")
    static = "manifests/static/kube-apiserver-healthcheck.yaml"
    yield _managed(world, "manifests-static-kube-apiserver-healthcheck", static)
    for etcd in world.spec.get("etcdClusters", ()):
        yield _etcd(world, etcd)
        for group in sorted({one["instanceGroup"] for one in etcd["etcdMembers"]}):
            path = f"manifests/etcd/{etcd['name']}-{group}.yaml"
            yield _managed(world, f"manifests-etcdmanager-{etcd['name']}-{group}", path)
    for group in world.chosen:
        if role(group) != "Bastion":
            yield _nodeup(world, group)


def addons(world: World) -> list[tuple[str, str, str]]:
    asked = list(world.spec.get("networking", {}))
    asked += [name for name in _OPTIONAL if world.spec.get(name, {}).get("enabled")]
    found = [*_ADDONS, *(_OPTIONAL[name] for name in asked if name in _OPTIONAL)]
    return sorted([*found, _HANDLER] if handled(world) else found)


def _file(world: World, kind: str, name: str, location: str, text: str, *before: Field) -> Task:
    path = f"{world.name}/{location.removeprefix('/')}"

    def find() -> Any:
        if not _there(world, location.removeprefix("/")):
            return None
        kept = world.store.read(path)
        return None if kept is None else {"Contents": kept.decode()}

    def make() -> None:
        world.store.write(path, text)

    return Task(kind, name, [*before, ("Location", location)], find, make, {"Contents": text}, make)


def own_version() -> str:
    """What kOps takes for its own version: the last part of the address of its assets, if that was given (source)."""
    path = urlsplit(os.environ.get("KOPS_BASE_URL", "")).path
    return path.rstrip("/").rpartition("/")[2] or VERSION


def _based(world: World, name: str, text: str) -> Task:
    return _file(world, "ManagedFile", name, name, text, ("Base", world.base))


def _managed(world: World, name: str, location: str) -> Task:
    return _file(world, "ManagedFile", name, location, f"# {name}\n")


def _etcd(world: World, etcd: Document) -> Task:
    name, folder = etcd["name"], f"backups/etcd/{etcd['name']}"
    text = json.dumps({"memberCount": len(etcd["etcdMembers"]), "etcdVersion": etcd.get("version", "3.6.6")}, indent=2)
    inner = _file(world, "ManagedFile", f"etcd-cluster-spec-{name}", f"{folder}/control/etcd-cluster-spec", text)
    inner.fields = [("Base", f"{world.base}/{folder}"), ("Location", "/control/etcd-cluster-spec")]
    return inner


def _nodeup(world: World, group: Document) -> Task:
    name = group["metadata"]["name"]
    folder = "control-plane" if role(group) == "ControlPlane" else "node"
    location = f"igconfig/{folder}/{name}/nodeupconfig.yaml"
    return _file(world, "ManagedFile", f"nodeupconfig-{name}", location, contents.nodeup_config(world, group))


def handled(world: World) -> bool:
    return bool(world.spec.get("nodeTerminationHandler", {}).get("enabled", True))


def handler(world: World) -> Iterator[Task]:
    """A queue, the rules that fill it, and a hook for each group."""
    if not handled(world):
        return
    queue = f"{world.name.replace('.', '-')}-nth"
    call = world.aws.call

    def url() -> Any:
        found = world.asked("sqs", "get_queue_url", QueueName=queue)
        return found["QueueUrl"] if found else None

    def make_queue() -> None:
        tags, attributes = world.tags(queue), {"MessageRetentionPeriod": "300"}
        call("sqs", "create_queue", QueueName=queue, Attributes=attributes, tags=tags)

    shown = world.shown_tags(queue)
    yield Task("SQS", queue, [("MessageRetentionPeriod", "300"), shown], lambda: {} if url() else None, make_queue)
    for short, pattern in _EVENTS.items():
        yield from _rule(world, f"{world.name}-{short}", pattern, queue, url)
    for group in world.chosen:
        yield _hook(world, group)


def _rule(world: World, name: str, pattern: str, queue: str, url: Any) -> Iterator[Task]:
    call = world.aws.call

    def make() -> None:
        call("events", "put_rule", Name=name, EventPattern=pattern, Tags=tag_list(world.tags(name)))

    def targeted() -> Any:
        found = world.asked("events", "list_targets_by_rule", Rule=name)
        return {} if found and found["Targets"] else None

    def target() -> None:
        asked = {"QueueUrl": url(), "AttributeNames": ["QueueArn"]}
        arn = call("sqs", "get_queue_attributes", **asked)["Attributes"]["QueueArn"]
        call("events", "put_targets", Rule=name, Targets=[{"Id": "1", "Arn": arn}])

    aimed: Field = ("SQSQueue", f"name:{queue}")
    fields = [("EventPattern", pattern), aimed, world.shown_tags(name)]
    yield Task("EventBridgeRule", name, fields, lambda: world.asked("events", "describe_rule", Name=name) and {}, make)
    yield Task("EventBridgeTarget", f"{name}-Target", [("Rule", f"name:{name} id:{name}"), aimed], targeted, target)


def _hook(world: World, group: Document) -> Task:
    name, owner = f"{group['metadata']['name']}-NTHLifecycleHook", cloud_name(world, group)
    known = {"AutoScalingGroupName": owner, "LifecycleHookName": name}
    moment = "autoscaling:EC2_INSTANCE_TERMINATING"

    def find() -> Any:
        if owner not in world.auto_scaling_groups():
            return None
        found = world.asked("autoscaling", "describe_lifecycle_hooks", AutoScalingGroupName=owner)
        return {} if any(one["LifecycleHookName"] == name for one in found["LifecycleHooks"]) else None

    def make() -> None:
        asked = {"DefaultResult": "CONTINUE", "HeartbeatTimeout": 300, "LifecycleTransition": moment}
        world.aws.call("autoscaling", "put_lifecycle_hook", **known, **asked)

    fields = [("ID", name), ("AutoscalingGroup", f"name:{owner} id:{owner}"), ("DefaultResult", "CONTINUE")]
    fields += [("HeartbeatTimeout", "300"), ("LifecycleTransition", moment), ("Enabled", "true")]
    return Task("AutoscalingLifecycleHook", name, fields, find, make)
