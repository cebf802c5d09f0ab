"""What no single field of a kOps cluster can judge. Pure, and tolerant of data that is wrong elsewhere.

Each rule takes the cluster as plain data and yields a path and what is wrong there; what is left out is not there.
"""

import ipaddress
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from boatyard.drivers.kops.spec import BASTIONS, KOPS_RANGE, VPC_RANGE
from boatyard.spec.checks import DEFAULT_PODS, DEFAULT_SERVICES
from boatyard.spec.words import Path, did_you_mean, shown, shown_name

Wrong = tuple[Path, str]
Range = ipaddress.IPv4Network | ipaddress.IPv6Network

_ZONE = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9][a-z]")
_SIZE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
_ELSEWHERE = {"role": "the control plane, pools or bastion", "minSize": "the pool's min", "maxSize": "the pool's max"}


def rules(cluster: Mapping[str, Any]) -> Iterator[Wrong]:
    """Everything that is wrong between the fields of a cluster on kOps."""
    provider = _mapping(cluster.get("provider"))
    yield from _name(cluster, provider)
    yield from _zones(provider)
    yield from _control_plane(cluster, provider)
    yield from _dns(cluster, provider)
    yield from _subnets(provider)
    yield from _ranges(cluster, provider)
    yield from _pools(cluster, provider)
    yield from _sizes(cluster, provider)
    yield from _volumes(provider)
    yield from _raw(cluster, provider)
    if provider.get("bastion") is not None and provider.get("topology", "public") == "public":
        yield ("provider", "bastion"), "found a bastion with public nodes, allowed only with topology: private"
    if isinstance(irsa := provider.get("irsa"), str) and _bucket(irsa) == _bucket(provider.get("state_store")):
        yield ("provider", "irsa"), "found the state store's bucket, allowed another one: what is in it is public"


def _name(cluster: Mapping[str, Any], provider: Mapping[str, Any]) -> Iterator[Wrong]:
    name = cluster.get("name")
    if isinstance(name, str) and "." not in name:
        yield (
            ("name",),
            f"found {shown(name)}, allowed a full DNS name like shop.k8s.example.com: kOps names by it",
        )
    if isinstance(name, str) and name.endswith(".k8s.local") and provider.get("dns", "public") != "none":
        text = "found a name below k8s.local, which has no hosted zone, allowed dns: none with such a name"
        yield ("provider", "dns"), text
    if not provider.get("state_store", os.environ.get("KOPS_STATE_STORE")):
        yield ("provider", "state_store"), "found nothing, allowed s3://BUCKET: KOPS_STATE_STORE is not set either"


def _zones(provider: Mapping[str, Any]) -> Iterator[Wrong]:
    zones = _texts(provider.get("zones"))
    region = zones[0][:-1] if zones and _ZONE.fullmatch(zones[0]) else None
    control_plane = _texts(_mapping(provider.get("control_plane")).get("zones"))
    for path, given in ((("zones",), zones), (("control_plane", "zones"), control_plane)):
        for at, zone in enumerate(given):
            where: Path = ("provider", *path, at)
            if region is not None and _ZONE.fullmatch(zone) and zone[:-1] != region:
                yield where, f"found {shown(zone)}, allowed a zone of {region}: a cluster lies in one region"
            elif zone in given[:at]:
                yield where, f"found {shown(zone)} twice, allowed each zone once"


def _control_plane(cluster: Mapping[str, Any], provider: Mapping[str, Any]) -> Iterator[Wrong]:
    more, count = _mapping(provider.get("control_plane")), _mapping(cluster.get("control_plane")).get("count", 1)
    if not isinstance(count, int):
        return
    zones, groups = _texts(more.get("zones")), _texts(more.get("groups"))
    if len(zones) > count:
        text = f"found {len(zones)} zones for control_plane.count {count}, allowed at most one zone a node"
        yield ("provider", "control_plane", "zones"), text
    if groups and (len(groups) != count or len({*groups}) != count):
        text = f"found {len(groups)} names for control_plane.count {count}, allowed one of its own for each node"
        yield ("provider", "control_plane", "groups"), text
    for key in ("on_demand", "max_price"):
        if more.get(key):
            yield ("provider", "control_plane", key), "found it, allowed only in pools: a control plane is never spot"


def _dns(cluster: Mapping[str, Any], provider: Mapping[str, Any]) -> Iterator[Wrong]:
    zone, name = provider.get("dns_zone"), cluster.get("name")
    if not isinstance(zone, str) or not isinstance(name, str) or "." not in name:
        return
    if provider.get("dns", "public") == "none":
        yield ("provider", "dns_zone"), "found it with dns: none, allowed with dns: public or private"
    elif not f".{name}".endswith(f".{zone.rstrip('.')}"):
        allowed = _listed(_above(name))
        yield (
            ("provider", "dns_zone"),
            f"found {shown(zone)}, allowed a zone above the cluster's name: {allowed}",
        )


def _above(name: str) -> list[str]:
    labels = name.split(".")
    return [".".join(labels[at:]) for at in range(min(len(labels) - 1, 4))]


def _subnets(provider: Mapping[str, Any]) -> Iterator[Wrong]:
    given = _items(provider.get("subnets"))
    if not given:
        return
    if provider.get("vpc") is None:
        yield ("provider", "subnets"), "found subnets without their VPC, allowed with vpc: vpc-…"
    private = provider.get("topology", "public") == "private"
    needed = ("private", "utility") if private else ("public",)
    zones = _texts(provider.get("zones"))
    zones += [zone for zone in _texts(_mapping(provider.get("control_plane")).get("zones")) if zone not in zones]
    seen: set[tuple[str, str]] = set()
    for at, subnet in given:
        zone, kind = str(subnet.get("zone")), str(subnet.get("type", "public"))
        if zone not in zones:
            yield ("provider", "subnets", at, "zone"), f"found {shown(zone)}, allowed {_listed(zones)}"
        if kind in ("public", "private", "utility") and kind not in needed:
            text = f"found {kind}, allowed {' or '.join(needed)} with topology: {'private' if private else 'public'}"
            yield ("provider", "subnets", at, "type"), text
        elif (zone, kind) in seen:
            yield (
                ("provider", "subnets", at),
                f"found a second {shown_name(kind)} subnet in {shown_name(zone)}, allowed one a zone",
            )
        seen.add((zone, kind))
    missing = [f"{kind} in {zone}" for zone in zones for kind in needed if (zone, kind) not in seen]
    if missing:
        text = f"found none that is {_listed(missing)}, allowed {' and '.join(needed)} subnets in every zone"
        yield ("provider", "subnets"), text


def _ranges(cluster: Mapping[str, Any], provider: Mapping[str, Any]) -> Iterator[Wrong]:
    told, field = provider.get("network_cidr"), ("provider", "network_cidr")
    whole = _range(told if told is not None else None if provider.get("vpc") is not None else VPC_RANGE)
    most = 24 if provider.get("vpc") is None else 28
    if told is not None and whole is not None and (whole.version == 6 or not 16 <= whole.prefixlen <= most):
        yield field, f"found {whole}, allowed an IPv4 range between /16 and /{most}"
        return
    network = _mapping(cluster.get("network"))
    pods, services = _range(network.get("pods", DEFAULT_PODS)), _range(network.get("services", DEFAULT_SERVICES))
    for key, value in (("pods", pods), ("services", services)):
        if value is not None and value.version == 6:
            yield ("network", key), f"found {value}, allowed an IPv4 range: kOps keeps IPv6 clusters apart"
            return
    if whole is None:
        return
    standard = str(pods) == DEFAULT_PODS and str(services) == DEFAULT_SERVICES
    if provider.get("networking") == "amazonvpc":
        if str(pods) != DEFAULT_PODS:
            yield (
                ("network", "pods"),
                "found it with networking: amazonvpc, allowed nothing: pods get the VPC's addresses",
            )
    elif standard and whole.overlaps(ipaddress.ip_network(KOPS_RANGE)):
        yield (
            field,
            f"found {whole}, which overlaps {KOPS_RANGE}, kOps' range for pods and services, allowed apart from it",
        )
    elif not standard:
        for key, value in (("pods", pods), ("services", services)):
            if value is not None and value.overlaps(whole):
                yield (
                    ("network", key),
                    f"found {value}, which overlaps the VPC's {whole}, allowed a range apart from it",
                )


def _pools(cluster: Mapping[str, Any], provider: Mapping[str, Any]) -> Iterator[Wrong]:
    pools = {pool["name"]: pool for _, pool in _items(cluster.get("pools")) if isinstance(pool.get("name"), str)}
    zones, reserved = _texts(provider.get("zones")), _reserved(cluster, provider)
    for at, pool in _items(cluster.get("pools")):
        if (name := str(pool.get("name"))) in reserved:
            yield ("pools", at, "name"), f"found {shown(name)}, already the name of {reserved[name]}"
    for name, more in _mapping(provider.get("pools")).items():
        where: Path = ("provider", "pools", name)
        if name not in pools:
            allowed = _listed(list(pools)) or "none, there is no pool"
            yield where, f"found {shown(name)}, allowed the name of a pool: {allowed}{did_you_mean(name, pools)}"
            continue
        yield from ((where + path, text) for path, text in _group(_mapping(more), pools[name], zones))


def _group(more: Mapping[str, Any], pool: Mapping[str, Any], zones: list[str]) -> Iterator[Wrong]:
    for at, zone in enumerate(_texts(more.get("zones"))):
        if zones and zone not in zones:
            yield ("zones", at), f"found {shown(zone)}, allowed {_listed(zones)}{did_you_mean(zone, zones)}"
    if not pool.get("spot"):
        for key in ("on_demand", "max_price"):
            if more.get(key):
                yield (key,), "found it, allowed only for a pool with spot: true"
        return
    most, always = pool.get("max") or pool.get("min", 1), more.get("on_demand")
    if isinstance(always, int) and isinstance(most, int) and always > most:
        yield ("on_demand",), f"found {always}, allowed at most the pool's max ({most})"


def _reserved(cluster: Mapping[str, Any], provider: Mapping[str, Any]) -> dict[str, str]:
    found = dict.fromkeys(_control_plane_names(cluster, provider), "a control-plane group")
    return found | ({BASTIONS: "the bastion's group"} if provider.get("bastion") is not None else {})


def _control_plane_names(cluster: Mapping[str, Any], provider: Mapping[str, Any]) -> list[str]:
    more, count = _mapping(provider.get("control_plane")), _mapping(cluster.get("control_plane")).get("count", 1)
    zones = _texts(more.get("zones")) or _texts(provider.get("zones"))
    named = _texts(more.get("groups"))
    return named or (control_plane_names(zones, count) if zones and count in (1, 3, 5) else [])


def control_plane_names(zones: Sequence[str], count: int) -> list[str]:
    """`control-plane-ZONE`, or `control-plane-ZONE-N` where there are fewer zones than nodes: kOps' names."""
    many = count > len(zones)
    return [
        f"control-plane-{zones[at % len(zones)]}{f'-{1 + at // len(zones)}' if many else ''}" for at in range(count)
    ]


def _sizes(cluster: Mapping[str, Any], provider: Mapping[str, Any]) -> Iterator[Wrong]:
    places: list[tuple[Path, Any]] = [(("control_plane", "size"), _mapping(cluster.get("control_plane")).get("size"))]
    places += [(("pools", at, "size"), pool.get("size")) for at, pool in _items(cluster.get("pools"))]
    places.append((("provider", "bastion", "size"), _mapping(provider.get("bastion")).get("size")))
    for where, more in _groups(provider):
        places += [((*where, "instances", at), size) for at, size in enumerate(_texts(more.get("instances")))]
    for path, size in places:
        if isinstance(size, str) and not _SIZE.fullmatch(size):
            yield path, f"found {shown(size)}, allowed an EC2 instance type like m6i.large"


def _volumes(provider: Mapping[str, Any]) -> Iterator[Wrong]:
    for where, holder in [(("provider",), provider), *_groups(provider)]:
        volume = _mapping(holder.get("volume"))
        kind = volume.get("type") or "gp3"
        if volume.get("throughput") is not None and kind != "gp3":
            yield (
                (*where, "volume", "throughput"),
                f"found it with type: {shown_name(str(kind))}, allowed only with gp3",
            )
        if volume.get("iops") is not None and kind == "gp2":
            yield (*where, "volume", "iops"), "found it with type: gp2, allowed with gp3, io1 or io2"


def _raw(cluster: Mapping[str, Any], provider: Mapping[str, Any]) -> Iterator[Wrong]:
    raw = _mapping(provider.get("raw"))
    if "kubernetesVersion" in _mapping(raw.get("cluster")):
        yield ("provider", "raw", "cluster", "kubernetesVersion"), "found it, allowed only as kubernetes.version"
    pools = [str(pool.get("name")) for _, pool in _items(cluster.get("pools"))]
    known = [*_reserved(cluster, provider), *pools]
    for name, fields in _mapping(raw.get("groups")).items():
        if name not in known:
            allowed = _listed(known)
            yield ("provider", "raw", "groups", name), f"unknown group, allowed {allowed}{did_you_mean(name, known)}"
        for key in _ELSEWHERE if name != BASTIONS else ("role",):
            if key in _mapping(fields):
                yield ("provider", "raw", "groups", name, key), f"found it, allowed only by way of {_ELSEWHERE[key]}"


def _groups(provider: Mapping[str, Any]) -> list[tuple[Path, Mapping[str, Any]]]:
    found: list[tuple[Path, Mapping[str, Any]]] = [
        (("provider", "pools", name), _mapping(more)) for name, more in _mapping(provider.get("pools")).items()
    ]
    return [(("provider", "control_plane"), _mapping(provider.get("control_plane"))), *found]


def advice(cluster: Mapping[str, Any]) -> Iterator[str]:
    """What works, and what somebody who runs it in production would change: a sentence each."""
    provider = _mapping(cluster.get("provider"))
    count, zones = _mapping(cluster.get("control_plane")).get("count", 1), _texts(provider.get("zones"))
    spread = _texts(_mapping(provider.get("control_plane")).get("zones")) or zones
    if count == 1:
        yield "control_plane.count: 1 is down while its node is replaced; 3, one in each of three zones, is not."
    elif len(spread) < 3:
        most = max(Counter(spread[at % len(spread)] for at in range(count)).values()) if spread else count
        yield (
            f"control_plane.count: {count} in {len(spread)} zones puts {most} of them in one zone, and etcd stops when"
            f" that zone does; only three zones or more help."
        )
    if len(zones) < 3:
        yield f"zones: {len(zones)} of them; with three the cluster outlives the loss of one."
    if provider.get("topology", "public") == "public":
        yield "topology: public gives every node a public address; private puts nodes behind NAT gateways."
    for key, what in (("api_access", "the API server"), ("ssh_access", "the nodes' SSH")):
        if "0.0.0.0/0" in provider.get(key, ("0.0.0.0/0",)):
            yield f"{key}: open to the whole internet; name the ranges that need {what}."


SMALL = re.compile(r"t[1-4][a-z]*\.(nano|micro|small)")
"""Under 4 GiB of memory: too small for etcd, API server and controllers together."""


def too_small(cluster: Mapping[str, Any]) -> Iterator[str]:
    """Instance types that will not do, a sentence each."""
    size = _mapping(cluster.get("control_plane")).get("size")
    if isinstance(size, str) and SMALL.fullmatch(size):
        yield f"control_plane.size: {size} is too small, the control plane may never come up; t3.medium is the least."
    for _, pool in _items(cluster.get("pools")):
        if isinstance(size := pool.get("size"), str) and SMALL.fullmatch(size):
            yield f"pools: {size} of {pool.get('name')} leaves little for your own pods; t3.medium is the least."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(shown_name, names[:20]))


def _bucket(store: Any) -> str:
    return str(store).removeprefix("s3://").split("/")[0]


def _range(text: Any) -> Range | None:
    try:
        return ipaddress.ip_network(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else []


def _items(value: Any) -> list[tuple[int, Mapping[str, Any]]]:
    found = enumerate(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    return [(at, item) for at, item in found if isinstance(item, Mapping)]
