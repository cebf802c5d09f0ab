"""The documents kOps takes (kops.k8s.io/v1alpha2), made from the spec. Pure; shaped as `kops get -o json` prints."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from boatyard.drivers.kops.compare import Differences, differences, merged
from boatyard.drivers.kops.merge import merge
from boatyard.drivers.kops.rules import control_plane_names
from boatyard.drivers.kops.spec import BASTIONS, Bastion, Group, Provider, Volume
from boatyard.drivers.kops.subnets import names, ranges, subnets, zones_of
from boatyard.spec.models import Cluster, Pool

__all__ = ["Differences", "control_plane_groups", "differences", "group_names", "manifests", "merged", "settings"]

API = "kops.k8s.io/v1alpha2"
DEFAULT_SIZE = "t3.medium"
"""What kOps takes on AWS for control plane and nodes that name no instance type."""

_NETWORKING: Mapping[str, tuple[str, dict[str, Any]]] = {
    "cilium": ("cilium", {"enableNodePort": True}),
    "calico": ("calico", {}),
    "amazonvpc": ("amazonvpc", {}),
    "kindnet": ("kindnet", {}),
    "kube-router": ("kuberouter", {}),
}
_WITHOUT_KUBE_PROXY = ("cilium", "kube-router")


def settings(cluster: Cluster) -> Provider:
    """The cluster's provider, as what it is."""
    return cast(Provider, cluster.provider)


def manifests(cluster: Cluster, version: str) -> list[dict[str, Any]]:
    """The Cluster, then its instance groups: control plane, pools, bastions. `version`: Kubernetes, like 1.35.5."""
    provider = settings(cluster)
    whole = merge(_cluster(cluster, provider, version), provider.raw.cluster)
    groups = [
        *(_control_plane(cluster, provider, name, zone) for name, zone in control_plane_groups(cluster).items()),
        *(_pool(provider, pool) for pool in cluster.pools),
        *([_bastions(provider, provider.bastion)] if provider.bastion is not None else []),
    ]
    return [
        {"apiVersion": API, "kind": "Cluster", "metadata": {"name": cluster.name}, "spec": whole},
        *(_document(cluster, name, merge(spec, provider.raw.groups.get(name, {}))) for name, spec in groups),
    ]


def group_names(cluster: Cluster) -> list[str]:
    """Names of all instance groups, in the order of `manifests`."""
    provider = settings(cluster)
    pools = [pool.name for pool in cluster.pools]
    return [*control_plane_groups(cluster), *pools, *([BASTIONS] if provider.bastion is not None else [])]


def control_plane_groups(cluster: Cluster) -> dict[str, str]:
    """Group → zone: `control-plane-ZONE`, or `control-plane-ZONE-N` where there are fewer zones than nodes."""
    more, count = settings(cluster).control_plane, cluster.control_plane.count
    zones = more.zones or settings(cluster).zones
    names = more.groups or control_plane_names(zones, count)
    return {name: zones[at % len(zones)] for at, name in enumerate(names)}


def _cluster(cluster: Cluster, provider: Provider, version: str) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "channel": provider.channel,
        "configBase": f"{provider.state_store}/{cluster.name}",
        "cloudProvider": "aws",
        "kubernetesVersion": version,
        "subnets": subnets(provider),
        **({"networkCIDR": provider.network_range} if provider.network_range is not None else {}),
        **({"networkID": provider.vpc} if provider.vpc is not None else {}),
        "topology": _topology(cluster, provider),
        **ranges(cluster, provider),
        "sshAccess": list(provider.ssh_access),
        "kubernetesApiAccess": list(provider.api_access),
        "etcdClusters": [_etcd(cluster, provider, name, cpu) for name, cpu in (("main", "200m"), ("events", "100m"))],
        "kubelet": {"anonymousAuth": False},
        "networking": dict([_NETWORKING[provider.networking]]),
        "api": _api(provider),
        "authorization": {"rbac": {}},
        "iam": {"legacy": False, "allowContainerRegistry": True},
        **_addons(provider),
    }
    if provider.networking in _WITHOUT_KUBE_PROXY:
        spec["kubeProxy"] = {"enabled": False}
    if provider.dns == "public":
        spec["masterPublicName"] = f"api.{cluster.name}"
    if provider.dns != "none" and provider.dns_zone is not None:
        spec["dnsZone"] = provider.dns_zone
    if provider.irsa is not None:
        store = f"{provider.irsa}/{cluster.name}"
        spec["serviceAccountIssuerDiscovery"] = {"discoveryStore": store, "enableAWSOIDCProvider": True}
        spec["iam"]["useServiceAccountExternalPermissions"] = True
    return spec


def _topology(cluster: Cluster, provider: Provider) -> dict[str, Any]:
    found: dict[str, Any] = {"dns": {"type": provider.dns.capitalize()}}
    if provider.bastion is not None and provider.dns != "none":
        found["bastion"] = {"bastionPublicName": f"bastion.{cluster.name}"}
    return found


def _api(provider: Provider) -> dict[str, Any]:
    if provider.topology == "public" and provider.dns != "none":
        return {"dns": {}}
    return {"loadBalancer": {"class": "Network", "type": "Public"}}


def _addons(provider: Provider) -> dict[str, Any]:
    asked = {
        "clusterAutoscaler": provider.autoscaler,
        "metricsServer": provider.metrics_server,
        "certManager": provider.cert_manager,
    }
    found: dict[str, Any] = {name: {"enabled": True} for name, on in asked.items() if on}
    if not provider.node_termination_handler:  # kOps has it on
        found["nodeTerminationHandler"] = {"enabled": False}
    return found


def _etcd(cluster: Cluster, provider: Provider, name: str, cpu: str) -> dict[str, Any]:
    groups = list(control_plane_groups(cluster))
    members: list[dict[str, Any]] = [
        {"name": member, "instanceGroup": group} for member, group in zip(member_names(groups), groups, strict=True)
    ]
    if provider.etcd_encryption:
        members = [member | {"encryptedVolume": True} for member in members]
    return {
        "name": name,
        "etcdMembers": members,
        "manager": {"backupRetentionDays": provider.backup_days},
        "memoryRequest": "100Mi",
        "cpuRequest": cpu,
    }


def member_names(groups: Sequence[str]) -> list[str]:
    """etcd's name for each control-plane group: what is left of the group's without what all begin with."""
    short = [group.removeprefix("control-plane-").removeprefix("master-") for group in groups]
    # kOps keeps the last letter of the first name, whatever the others begin with.
    alike = next((at for at, letters in enumerate(zip(*short, strict=False)) if len({*letters}) > 1), len(short[0]))
    cut = min(alike, len(short[0]) - 1)
    return [f"etcd-{name}" if name[:1].isdigit() else name for name in (one[cut:] for one in short)]


def _control_plane(cluster: Cluster, provider: Provider, name: str, zone: str) -> tuple[str, dict[str, Any]]:
    more = provider.control_plane
    spec = {"role": "Master", "minSize": 1, "maxSize": 1, "subnets": names(provider, [zone])}
    return name, spec | _instances(provider, more, cluster.control_plane.size) | {"nodeLabels": _labels(name)}


def _pool(provider: Provider, pool: Pool) -> tuple[str, dict[str, Any]]:
    more = provider.pools.get(pool.name, Group())
    spec: dict[str, Any] = {"role": "Node", "minSize": pool.min, "maxSize": pool.upper}
    spec["subnets"] = names(provider, more.zones or provider.zones)
    spec |= _instances(provider, more, pool.size)
    if pool.spot:
        spec |= _spot(more, pool)
    if pool.taints:
        spec["taints"] = list(pool.taints)
    spec["nodeLabels"] = {**pool.labels, "boatyard.dev/pool": pool.name, **_labels(pool.name)}
    return pool.name, spec


def _bastions(provider: Provider, bastion: Bastion) -> tuple[str, dict[str, Any]]:
    spec = {"role": "Bastion", "minSize": 1, "maxSize": 1, "machineType": bastion.size, "subnets": zones_of(provider)}
    image = {"image": provider.image} if provider.image is not None else {}
    return BASTIONS, spec | image | {"nodeLabels": _labels(BASTIONS)}


def _instances(provider: Provider, more: Group, size: str | None) -> dict[str, Any]:
    """Image, type, volume and security groups; other types that will do make a mixed instances policy."""
    spec: dict[str, Any] = {}
    if (image := more.image or provider.image) is not None:
        spec["image"] = image
    if size is not None:
        spec["machineType"] = size
    spec |= _volume(more.volume if more.volume is not None else provider.volume)
    if more.security_groups:
        spec["additionalSecurityGroups"] = list(more.security_groups)
    if more.instances:
        spec["mixedInstancesPolicy"] = {"instances": _types(more, size)}
    return spec


def _spot(more: Group, pool: Pool) -> dict[str, Any]:
    policy = {
        "instances": _types(more, pool.size),
        "onDemandBase": more.on_demand,
        "onDemandAboveBase": 0,
        "spotAllocationStrategy": "capacity-optimized",
    }
    return {"mixedInstancesPolicy": policy} | ({"maxPrice": more.max_price} if more.max_price is not None else {})


def _types(more: Group, size: str | None) -> list[str]:
    return list(dict.fromkeys([size or DEFAULT_SIZE, *more.instances]))


def _volume(volume: Volume) -> dict[str, Any]:
    """What is said of it; kOps' own for the rest: gp3, encrypted, 64 GiB for the control plane, 128 for nodes."""
    found = {
        "rootVolumeSize": volume.size,
        "rootVolumeType": volume.type,
        "rootVolumeIops": volume.iops,
        "rootVolumeThroughput": volume.throughput,
        "rootVolumeEncryption": None if volume.encrypted else False,
    }
    return {key: value for key, value in found.items() if value is not None}


def _labels(name: str) -> dict[str, str]:
    return {"kops.k8s.io/instancegroup": name}


def _document(cluster: Cluster, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    labels = {"kops.k8s.io/cluster": cluster.name}
    return {"apiVersion": API, "kind": "InstanceGroup", "metadata": {"name": name, "labels": labels}, "spec": spec}
