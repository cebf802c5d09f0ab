"""Look at moto's backends: which kOps clusters there are, and what they are made of. Under the gate's lock."""

import base64
import gzip
import logging
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

from boatyard.errors import Permanent
from boatyard.sandbox.aws import keysets
from boatyard.sandbox.aws.model import Keys, Machine, Role, Wanted
from boatyard.sandbox.aws.store import Store, find

FAULT = "boatyard.dev/sandbox-fault"
"""A tag that makes an instance a bad node: `not-ready`, or `absent`. On one that runs, its kubelet dies, or the node
goes; taken off again, it comes back."""

_CLUSTER, _GROUP, _ETCD = "KubernetesCluster", "kops.k8s.io/instancegroup", "k8s.io/etcd/"
_MASTERS = ("k8s.io/role/control-plane", "k8s.io/role/master")
_BASTION = "k8s.io/role/bastion"
_DEVICES = {"main": "/dev/xvdu", "events": "/dev/xvdv"}  # where etcd-manager mounts them
_VERSION = re.compile(r"kubernetesVersion:\s*\"?v?(\d+\.\d+\.\d+)|/release/v(\d+\.\d+\.\d+)/", re.IGNORECASE)

_log = logging.getLogger(__name__)


@dataclass
class _Known:
    """What a cluster's control plane runs with, as of the launch of the newest of these machines."""

    masters: set[str] = field(default_factory=set)
    keys: Keys | None = None
    ranges: dict[str, str] = field(default_factory=dict)
    place: str = ""


class Observer:
    """Remembers what counts as of a machine's launch: its version, labels, taints, and the keysets of that moment."""

    def __init__(self) -> None:
        self._machines: dict[str, Machine | None] = {}
        self._known: defaultdict[str, _Known] = defaultdict(_Known)

    def look(self) -> dict[str, Wanted]:
        """Cluster name → what is wanted of it now. Attaches etcd volumes on the way, as etcd-manager would."""
        from moto.ec2.models import ec2_backends

        found: dict[str, Wanted] = {}
        seen: set[str] = set()
        for account, regions in list(ec2_backends.items()):
            for region, backend in list(regions.items()):
                machines = self._of(account, backend, seen)
                volumes = _etcd_volumes(backend)
                for name in sorted(machines.keys() | volumes.keys()):
                    _attach(backend, machines[name], volumes[name])
                    found[name] = self._wanted(name, account, region, tuple(machines[name]), bool(volumes[name]))
        self._machines = {identity: machine for identity, machine in self._machines.items() if identity in seen}
        for name in self._known.keys() - found.keys():
            del self._known[name]
        return found

    def _wanted(self, name: str, account: str, region: str, machines: tuple[Machine, ...], kept: bool) -> Wanted:
        known = self._known[name]
        masters = {machine.identity for machine in machines if machine.role == "control-plane"}
        if masters and (known.keys is None or masters - known.masters) and (store := find(account, name)):
            known.keys, known.ranges = _read_keys(store) or known.keys, store.ranges()
            known.place = f"{store.bucket}/{store.prefix}"
        known.masters |= masters
        balancers = _balancers(account, region, name)
        return Wanted(name, account, region, machines, known.keys, kept, balancers, place=known.place, **known.ranges)

    def _of(self, account: str, backend: Any, seen: set[str]) -> defaultdict[str, list[Machine]]:
        """Running machines by cluster, oldest first."""
        found: defaultdict[str, list[Machine]] = defaultdict(list)
        for reservation in backend.reservations.values():
            for instance in reservation.instances:
                if instance.state_code != 16:
                    continue
                seen.add(instance.id)
                tags = _instance_tags(instance)
                if instance.id not in self._machines:
                    self._machines[instance.id] = _machine(account, instance, tags)
                if machine := self._machines[instance.id]:
                    found[tags[_CLUSTER]].append(replace(machine, fault=tags.get(FAULT, "")))
        return found


def _instance_tags(instance: Any) -> dict[str, str]:
    tags = _tags(instance)
    if _CLUSTER not in tags and (group := getattr(instance, "autoscaling_group", None)) is not None:
        tags = {tag["Key"]: tag.get("Value", "") for tag in group.tags} | tags
    return tags


def _tags(resource: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in resource.get_tags()}


def _machine(account: str, instance: Any, tags: dict[str, str]) -> Machine | None:
    """None for what is no machine of a kOps cluster, and for bastions, which are no nodes."""
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    if _CLUSTER not in tags or _GROUP not in tags or _BASTION in tags:
        return None
    role: Role = "control-plane" if any(tag in tags for tag in _MASTERS) else "node"
    store = find(account, tags[_CLUSTER])
    group = store.group(tags[_GROUP]) if store else {}
    kind = INSTANCE_TYPES.get(instance.instance_type) or {}
    return Machine(
        identity=instance.id,
        group=tags[_GROUP],
        role=role,
        zone=str(instance.availability_zone),
        region=str(instance.region_name),
        size=instance.instance_type,
        address=str(instance.private_ip),
        version=_version(instance, store, role, tags[_GROUP]),
        cpus=int((kind.get("VCpuInfo") or {}).get("DefaultVCpus") or 2),
        memory=int((kind.get("MemoryInfo") or {}).get("SizeInMiB") or 4096),
        architecture="arm64" if instance.architecture == "arm64" else "amd64",
        spot=instance.lifecycle == "spot",
        labels=group.get("nodeLabels") or {},
        taints=tuple(group.get("taints") or ()),
    )


def _version(instance: Any, store: Store | None, role: Role, group: str) -> str:
    """In the user data, else in what nodeup is told by the state store, else in the cluster's spec."""
    texts = [_user_data(instance)]
    if store is not None:
        texts += [store.text(f"igconfig/{role}/{group}/nodeupconfig.yaml"), store.text("config")]
    for text in texts:
        if match := _VERSION.search(text):
            return match[1] or match[2]
    _log.warning("%s: no Kubernetes version in its user data or state store", instance.id)
    return ""


def _user_data(instance: Any) -> str:
    data = base64.b64decode(str(instance.user_data or ""))
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return data.decode(errors="replace")


def _etcd_volumes(backend: Any) -> defaultdict[str, list[Any]]:
    """Volumes that hold etcd's data, by cluster, in the order of their names."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for volume in backend.volumes.values():
        tags = _tags(volume)
        if _CLUSTER in tags and any(tag.startswith(_ETCD) for tag in tags):
            found[tags[_CLUSTER]].append(volume)
    for volumes in found.values():
        volumes.sort(key=lambda volume: (_tags(volume).get("Name", ""), volume.id))
    return found


def _attach(backend: Any, machines: list[Machine], volumes: list[Any]) -> None:
    """Each control-plane machine takes one free volume of each etcd cluster in its zone."""
    for machine in machines:
        for kind, device in _DEVICES.items() if machine.role == "control-plane" else ():
            ours = [volume for volume in volumes if f"{_ETCD}{kind}" in _tags(volume)]
            if any(volume.attachment and volume.attachment.instance.id == machine.identity for volume in ours):
                continue
            free = [volume for volume in ours if not volume.attachment and volume.availability_zone == machine.zone]
            if free:
                backend.attach_volume(free[0].id, machine.identity, device)


def _balancers(account: str, region: str, name: str) -> tuple[str, ...]:
    """DNS names of the load balancers of the cluster's API: those that are named for it, not for a Service."""
    from moto.elb.models import elb_backends
    from moto.elbv2.models import elbv2_backends

    found: list[str] = []
    for balancer in elbv2_backends[account][region].load_balancers.values():
        tags = elbv2_backends[account][region].tagging_service.get_tag_dict_for_resource(balancer.arn)
        if tags.get(_CLUSTER) == name and tags.get("Name") == f"api.{name}":
            found.append(balancer.dns_name)
    for classic in elb_backends[account][region].load_balancers.values():
        tags = dict(classic.tags)
        if tags.get(_CLUSTER) == name and tags.get("Name") == f"api.{name}":
            found.append(classic.dns_name)
    return tuple(sorted(found))


def _read_keys(store: Store) -> Keys | None:
    texts = [store.text(f"pki/private/{name}/keyset.yaml") for name in ("kubernetes-ca", "service-account")]
    if not all(texts):
        return None
    try:
        authority, account = (keysets.parse(text, f"a keyset of {store.where}") for text in texts)
    except Permanent as error:
        _log.warning("%s", error)
        return None
    return Keys(authority, account)
