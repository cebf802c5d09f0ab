"""A cluster's subnets and address ranges, named and cut as `kops create cluster` does it."""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any

from boatyard.drivers.kops.spec import KOPS_RANGE, Provider
from boatyard.spec.models import Cluster, Network


def zones_of(provider: Provider) -> list[str]:
    """All zones the cluster lies in, sorted, as kOps sorts them."""
    return sorted({*provider.zones, *provider.control_plane.zones})


def subnets(provider: Provider) -> list[dict[str, Any]]:
    """`spec.subnets`: one a zone, named like the zone, and `utility-ZONE` beside it in a private topology.
    Of existing subnets, and of new ones in an existing VPC, kOps looks the ranges up itself."""
    if provider.subnets:
        return [_existing(provider, zone, utility) for utility, zone in _places(provider)]
    found = [_subnet(provider, zone, utility) for utility, zone in _places(provider)]
    if provider.network_range is not None and provider.vpc is None:
        for subnet, cidr in zip(found, _cut(provider.network_range, provider), strict=True):
            subnet["cidr"] = cidr
    return found


def ranges(cluster: Cluster, provider: Provider) -> dict[str, str]:
    """nonMasqueradeCIDR, podCIDR and serviceClusterIPRange; kOps' own while `network` says nothing else."""
    if provider.networking == "amazonvpc":  # pods have addresses of the VPC
        own = provider.network_range
        found = {"nonMasqueradeCIDR": own} if own is not None else {}
        if cluster.network.services != Network().services:
            found["serviceClusterIPRange"] = cluster.network.services
        return found
    if cluster.network == Network():
        return {"nonMasqueradeCIDR": KOPS_RANGE}
    pods, services = cluster.network.pods, cluster.network.services
    return {"nonMasqueradeCIDR": pods, "podCIDR": pods, "serviceClusterIPRange": services}


def _places(provider: Provider) -> Iterator[tuple[bool, str]]:
    yield from ((False, zone) for zone in zones_of(provider))
    if provider.topology == "private":
        yield from ((True, zone) for zone in zones_of(provider))


def _subnet(provider: Provider, zone: str, utility: bool) -> dict[str, Any]:
    kind = "Utility" if utility else provider.topology.capitalize()
    return {"name": f"utility-{zone}" if utility else zone, "zone": zone, "type": kind}


def _existing(provider: Provider, zone: str, utility: bool) -> dict[str, Any]:
    wanted = "utility" if utility else provider.topology
    known = next((one.id for one in provider.subnets if one.zone == zone and one.type == wanted), None)
    return _subnet(provider, zone, utility) | ({"id": known} if known is not None else {})


def _cut(whole: str, provider: Provider) -> list[str]:
    """The range in 1, 2, 4 or 8 parts; utility subnets share the first, which is cut into 8 again."""
    network, zones = ipaddress.ip_network(whole), zones_of(provider)
    private = provider.topology == "private"
    parts = len(zones) + private
    big = _split(network, 0 if parts <= 1 else 1 if parts == 2 else 2 if parts <= 4 else 3)
    if not private:
        return big[: len(zones)]
    return [*big[1 : len(zones) + 1], *_split(ipaddress.ip_network(big[0]), 3)[: len(zones)]]


def _split(network: "ipaddress.IPv4Network | ipaddress.IPv6Network", bits: int) -> list[str]:
    return [str(part) for part in network.subnets(prefixlen_diff=bits)]


def names(provider: Provider, zones: Sequence[str]) -> list[str]:
    """The subnets of instances in some zones."""
    return [zone for zone in zones_of(provider) if zone in zones]
