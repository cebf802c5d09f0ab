"""From what kOps' state store holds to the spec that gives it: clusters that others made, taken over unchanged.

What a spec has a field for is told there; everything else is found by rendering that spec and goes to `provider.raw`,
so that nothing can be lost.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from boatyard.drivers.kops.compare import POOL_LABEL, differences
from boatyard.drivers.kops.merge import patch
from boatyard.drivers.kops.render import API, control_plane_groups, manifests, settings
from boatyard.drivers.kops.spec import BASTIONS, VPC_RANGE, Provider
from boatyard.errors import Unsupported
from boatyard.spec.models import Cluster

Document = Mapping[str, Any]
Data = dict[str, Any]

_PLUGINS = {"cilium": "cilium", "calico": "calico", "amazonvpc": "amazonvpc", "kindnet": "kindnet"} | {
    "kuberouter": "kube-router"
}
_ROLES = ("Master", "Node", "Bastion")
_TRIES = 40


def spec_of(cluster: Document, groups: Sequence[Document], store: str) -> Cluster:
    """The spec of a cluster as kOps stores it (v1alpha2); rendered, it differs from it in nothing.
    `Unsupported` names the cluster and says what of it no spec can say."""
    name = str(cluster.get("metadata", {}).get("name", ""))
    if reason := _refused(cluster, groups):
        raise Unsupported(f"cluster {name} in {store} cannot be taken over: {reason}.")
    version = str(cluster["spec"]["kubernetesVersion"]).lstrip("v")
    found = _valid(_Reading(name, cluster["spec"], groups, store.rstrip("/")).data(), name, store)
    raw = _raw(found, version, cluster, groups)
    whole = found.model_dump(mode="json")
    whole["provider"]["raw"] = raw
    try:
        spec = Cluster.model_validate(whole)
    except ValidationError as error:
        raise _cannot(name, store, error) from None
    left = differences(manifests(spec, version), [dict(one) for one in (cluster, *groups)])
    if left:
        lines = [*left.cluster, *(f"{group}: {line}" for group, told in left.groups.items() for line in told)]
        raise Unsupported(f"cluster {name} in {store} cannot be taken over: {'; '.join(lines[:3])}.")
    return spec


def _refused(cluster: Document, groups: Sequence[Document]) -> str:
    """Why no spec can tell of this cluster; empty when one can."""
    spec = cluster.get("spec", {})
    name = str(cluster.get("metadata", {}).get("name", ""))
    if cluster.get("apiVersion") != API:
        return f"its record is of {cluster.get('apiVersion')}, {API} is read"
    if spec.get("cloudProvider") != "aws":
        return f"it runs on {spec.get('cloudProvider')}, only aws is driven"
    if not spec.get("kubernetesVersion"):
        return "its record names no kubernetesVersion"
    minor = ".".join(str(spec["kubernetesVersion"]).lstrip("v").split(".")[:2])
    if minor not in Provider.minors:
        return f"it runs Kubernetes {minor}, {Provider.minors[0]} to {Provider.minors[-1]} are driven; upgrade it first"
    if ":" in str(spec.get("nonMasqueradeCIDR", "")):
        return "it is an IPv6 cluster"
    if name.endswith(".k8s.local") and _dns(spec) != "none":
        return "it finds itself by gossip, which kOps 1.37 removes; move it to dns: none first"
    if reason := next(filter(None, map(_group_refused, groups)), ""):
        return reason
    masters = sum(one["spec"].get("role") == "Master" for one in groups)
    return "" if masters in (1, 3, 5) else f"it has {masters} control-plane instance groups, 1, 3 or 5 can be told"


def _group_refused(group: Document) -> str:
    name, spec = group["metadata"]["name"], group["spec"]
    role = spec.get("role")
    if role not in _ROLES:
        return f"instance group {name} has the role {role}, {', '.join(_ROLES)} are known"
    if spec.get("manager", "CloudGroup") != "CloudGroup":
        return f"instance group {name} is managed by {spec['manager']}, Auto Scaling groups are driven"
    if "minSize" not in spec or "maxSize" not in spec:
        return f"instance group {name} names no minSize or maxSize"
    if role == "Master" and (spec["minSize"], spec["maxSize"]) == (0, 0):
        return f"control-plane group {name} has no node; wake the cluster first"
    if role == "Master" and (spec["minSize"], spec["maxSize"]) != (1, 1):
        return f"control-plane group {name} has a minSize and maxSize other than 1"
    if role == "Bastion" and name != BASTIONS:
        return f"instance group {name} is a bastion, only one named {BASTIONS} can be told"
    return ""


def _dns(spec: Document) -> str:
    return str(spec.get("topology", {}).get("dns", {}).get("type", "Public")).lower()


class _Reading:
    """The spec's fields, as far as the stored documents fit into them."""

    def __init__(self, name: str, spec: Document, groups: Sequence[Document], store: str) -> None:
        self._name, self._spec, self._store = name, spec, store
        self._subnets = spec.get("subnets") or []
        self._zone = {one.get("name"): one.get("zone", "") for one in self._subnets}
        self._zones = sorted({one.get("zone", "") for one in self._subnets if one.get("type") != "Utility"})
        self._masters = self._in_order([one for one in groups if one["spec"]["role"] == "Master"])
        self._nodes = [one for one in groups if one["spec"]["role"] == "Node"]
        self._bastion = next((one["spec"] for one in groups if one["spec"]["role"] == "Bastion"), None)
        images = Counter(one["spec"]["image"] for one in groups if "image" in one["spec"])
        self._image = images.most_common(1)[0][0] if images else None

    def data(self) -> Data:
        first = self._masters[0]["spec"]
        return {
            "name": self._name,
            "provider": {key: value for key, value in self._provider().items() if value is not None},
            "kubernetes": {"version": str(self._spec["kubernetesVersion"]).lstrip("v")},
            "control_plane": {"size": first.get("machineType"), "count": len(self._masters)},
            "pools": [self._pool(one["metadata"]["name"], one["spec"]) for one in self._nodes],
            "network": self._network(),
        }

    def _in_order(self, masters: list[Document]) -> list[Document]:
        """As etcd's members stand, which is the order kOps made the groups in."""
        etcd: list[Document] = [one for one in self._spec.get("etcdClusters", ()) if one.get("name") == "main"]
        main = etcd[0] if etcd else {}
        order = [member.get("instanceGroup") for member in main.get("etcdMembers", ())]
        return sorted(masters, key=lambda one: [*order, one["metadata"]["name"]].index(one["metadata"]["name"]))

    def _provider(self) -> Data:
        spec = self._spec
        etcd: list[Document] = spec.get("etcdClusters") or [{}]
        main = etcd[0]
        members = main.get("etcdMembers", ())
        return {
            "kind": "kops",
            "state_store": self._store,
            "zones": self._zones,
            "dns": _dns(spec),
            "dns_zone": spec.get("dnsZone"),
            "topology": "private" if any(one.get("type") == "Private" for one in self._subnets) else "public",
            "networking": next((ours for key, ours in _PLUGINS.items() if key in spec.get("networking", {})), "calico"),
            "vpc": spec.get("networkID"),
            "network_cidr": None if self._usual_range() else spec.get("networkCIDR"),
            "subnets": self._existing(),
            "api_access": spec.get("kubernetesApiAccess", []),
            "ssh_access": spec.get("sshAccess", []),
            "bastion": {"size": self._bastion["machineType"]} if self._bastion else None,
            "image": self._image,
            "channel": spec.get("channel"),
            "etcd_encryption": bool(members) and all(one.get("encryptedVolume") for one in members),
            "backup_days": main.get("manager", {}).get("backupRetentionDays"),
            "irsa": self._irsa(),
            "autoscaler": self._on("clusterAutoscaler"),
            "metrics_server": self._on("metricsServer"),
            "cert_manager": self._on("certManager"),
            "node_termination_handler": spec.get("nodeTerminationHandler", {}).get("enabled") is not False,
            "pools": {one["metadata"]["name"]: more for one in self._nodes if (more := self._group(one["spec"]))},
            "control_plane": self._control_plane(),
        }

    def _usual_range(self) -> bool:
        return self._spec.get("networkCIDR") == VPC_RANGE and "networkID" not in self._spec

    def _on(self, addon: str) -> bool:
        return self._spec.get(addon, {}).get("enabled") is True

    def _irsa(self) -> str | None:
        store = str(self._spec.get("serviceAccountIssuerDiscovery", {}).get("discoveryStore", ""))
        return store.removesuffix(f"/{self._name}") if store.endswith(f"/{self._name}") else None

    def _existing(self) -> list[Data] | None:
        """Subnets by id; told only when every one has its id."""
        found = [
            {"id": one.get("id"), "zone": one.get("zone"), "type": one.get("type", "").lower()} for one in self._subnets
        ]
        return found if self._spec.get("networkID") and all(one["id"] for one in found) else None

    def _control_plane(self) -> Data:
        zones = [self._zone.get((one["spec"].get("subnets") or [""])[0], "") for one in self._masters]
        apart = list(dict.fromkeys(zones))
        again = [self._zones[at % len(self._zones)] for at in range(len(zones))] if self._zones else []
        found = self._group(self._masters[0]["spec"]) | {"zones": [] if zones == again else apart}
        return found | {"groups": [one["metadata"]["name"] for one in self._masters]}

    def _group(self, spec: Document) -> Data:
        policy = spec.get("mixedInstancesPolicy", {})
        zones = sorted({self._zone.get(one, "") for one in spec.get("subnets", ())})
        volume = {
            "size": spec.get("rootVolumeSize"),
            "type": spec.get("rootVolumeType"),
            "iops": spec.get("rootVolumeIops"),
            "throughput": spec.get("rootVolumeThroughput"),
            "encrypted": spec.get("rootVolumeEncryption") is not False,
        }
        told = {key: value for key, value in volume.items() if value is not None}
        found: Data = {
            "zones": [] if zones == self._zones or spec["role"] == "Master" else zones,
            "image": spec.get("image") if spec.get("image") != self._image else None,
            "volume": told if told != {"encrypted": True} else None,
            "instances": [one for one in policy.get("instances", ()) if one != spec.get("machineType")],
            "security_groups": spec.get("additionalSecurityGroups", []),
        }
        if _spot(spec):
            found |= {"on_demand": policy.get("onDemandBase", 0), "max_price": spec.get("maxPrice")}
        return {key: value for key, value in found.items() if value}

    def _pool(self, name: str, spec: Document) -> Data:
        labels = dict(spec.get("nodeLabels") or {})
        labels = {key: value for key, value in labels.items() if key not in ("kops.k8s.io/instancegroup", POOL_LABEL)}
        least, most = spec["minSize"], spec["maxSize"]
        found: Data = {"name": name, "size": spec.get("machineType"), "min": least}
        found |= {"max": most} if most != least else {}
        return found | {"spot": _spot(spec), "labels": labels, "taints": spec.get("taints", [])}

    def _network(self) -> Data:
        pods, services = self._spec.get("podCIDR"), self._spec.get("serviceClusterIPRange")
        own = pods and services and self._spec.get("nonMasqueradeCIDR") == pods
        return {"pods": pods, "services": services} if own else {}


def _spot(spec: Document) -> bool:
    policy = spec.get("mixedInstancesPolicy", {})
    return bool(spec.get("maxPrice")) or (policy.get("onDemandAboveBase") == 0 and "spotAllocationStrategy" in policy)


def _valid(data: Data, name: str, store: str) -> Cluster:
    """The cluster; a field that does not take what stands there is left out, and told in raw."""
    for _ in range(_TRIES):
        try:
            found = Cluster.model_validate(data)
        except ValidationError as error:
            if not _without(data, error):
                raise _cannot(name, store, error) from None
            continue
        return _named_as_usual(found)
    raise Unsupported(f"cluster {name} in {store} cannot be taken over: too much of it fits into no spec.")


def _without(data: Data, error: ValidationError) -> bool:
    """Take the first field that is wrong out of `data`; False when it cannot be done without."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = [part for part in first["loc"] if part != "kops"]
    path += [int(one) if one.isdigit() else one for one in first.get("ctx", {}).get("field", "").split(".") if one]
    depth = {"provider": 4 if path[1:2] in (["pools"], ["control_plane"]) else 2, "pools": 3, "network": 1}
    cut = path[: depth.get(str(path[0]), 0)] if path else []
    cut = cut[:3] if cut[1:2] == ["control_plane"] else cut
    if not cut or cut[-1] in ("name", "min", "max", "kind", "zones", "state_store"):
        return False
    holder: Any = data
    for part in cut[:-1]:
        holder = holder[part]
    return isinstance(holder, dict) and holder.pop(cut[-1], None) is not None


def _named_as_usual(found: Cluster) -> Cluster:
    """Without the names of control-plane groups where they are those that kOps gives."""
    provider = settings(found)
    more = provider.control_plane
    plain = provider.model_copy(update={"control_plane": more.model_copy(update={"groups": ()})})
    usual = found.model_copy(update={"provider": plain})
    return usual if tuple(control_plane_groups(usual)) == more.groups else found


def _raw(found: Cluster, version: str, cluster: Document, groups: Sequence[Document]) -> Data:
    rendered = manifests(found, version)
    wanted = {one["metadata"]["name"]: dict(one["spec"]) for one in groups}
    patches: Data = {}
    for document in rendered[1:]:
        name = document["metadata"]["name"]
        spec = wanted[name]
        if document["spec"]["role"] == "Node":  # not worth new nodes, and no difference
            spec["nodeLabels"] = {POOL_LABEL: name, **(spec.get("nodeLabels") or {})}
        if told := patch(document["spec"], spec):
            patches[name] = told
    return {"cluster": patch(rendered[0]["spec"], _plain(cluster["spec"])), "groups": patches}


def _plain(spec: Document) -> Data:
    """Without what kOps looks up by itself: ranges of existing subnets, the letter before the version."""
    version = str(spec["kubernetesVersion"]).lstrip("v")
    subnets = spec.get("subnets")
    if spec.get("networkID") and isinstance(subnets, list) and all(one.get("id") for one in subnets):
        subnets = [{key: value for key, value in one.items() if key != "cidr"} for one in subnets]
    return {**spec, "kubernetesVersion": version, **({"subnets": subnets} if subnets is not None else {})}


def _cannot(name: str, store: str, error: ValidationError) -> Unsupported:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"] if part != "kops")
    text = f"{where} {first['msg']}".strip()
    return Unsupported(f"cluster {name} in {store} cannot be taken over: {text[:200]}.")
