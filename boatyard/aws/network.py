"""The network a cluster is to live in: address ranges, and an existing VPC with its subnets, routes and tags."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Any

from boatyard.aws.account import Account
from boatyard.aws.checks import Check, Needs, Subnet, fine, missing, warning, wrong
from boatyard.aws.errors import AwsNotFound, told

ROLE_TAGS: Mapping[str, str] = {
    "public": "kubernetes.io/role/elb",
    "utility": "kubernetes.io/role/elb",
    "private": "kubernetes.io/role/internal-elb",
}
"""Kind of subnet → tag by which Kubernetes finds a place for load balancers."""
LOAD_BALANCER_ADDRESSES = 8
"""Free addresses that a subnet needs for a load balancer; Elastic Load Balancing user guide."""


def examine(account: Account, needs: Needs) -> list[Check]:
    """Ranges of addresses first, then the existing VPC, or that other VPCs do not get in the way of a new one."""
    if needs.vpc is None:
        return _ranges(needs) + _neighbours(account, needs)
    try:
        network = _read(account, needs.vpc)
    except AwsNotFound:
        problem = f"There is no VPC {needs.vpc} in {needs.region} of account {account.id}."
        fix = "Name one that exists (`aws ec2 describe-vpcs`), or leave `vpc` out to have one made."
        return [*(_ranges(needs) if needs.network_cidr else []), missing(f"VPC {needs.vpc}", problem, fix)]
    needs = replace(needs, network_cidr=needs.network_cidr or network.vpc["CidrBlock"])
    return _ranges(needs) + _vpc(network, needs) + _peers(network, needs) + _subnets(account, network, needs)


def own_vpc(account: Account, cluster: str) -> str | None:
    """The VPC that was made for the cluster, if it was already."""
    filters = [{"Name": f"tag:kubernetes.io/cluster/{cluster}", "Values": ["owned"]}]
    return next((vpc["VpcId"] for vpc in account.pages("ec2", "describe_vpcs", "Vpcs", Filters=filters)), None)


def _ranges(needs: Needs) -> list[Check]:
    """The cluster's own ranges must not overlap; `network_cidr` must be of a size that AWS takes."""
    named = {"network_cidr": needs.network_cidr, "pods": needs.pods_cidr, "services": needs.services_cidr}
    ranges = {name: ip_network(cidr, strict=False) for name, cidr in named.items() if cidr}
    checks = []
    network = ranges["network_cidr"]
    if not 16 <= network.prefixlen <= 28:
        fix = "AWS takes VPCs from /16 to /28; /16 leaves room for all zones."
        checks.append(wrong("network_cidr", f"network_cidr {network} is not a size that a VPC can have.", fix))
    for name in ("pods", "services"):
        if name in ranges and ranges[name].overlaps(network):
            problem = f"The range of {name} {ranges[name]} overlaps the VPC's {network}."
            checks.append(wrong(f"range of {name}", problem, "Take another network_cidr, or another range for them."))
    return checks or [fine("network_cidr")]


def _neighbours(account: Account, needs: Needs) -> list[Check]:
    """Other VPCs with the same addresses are no error, until somebody wants to connect them."""
    wanted = ip_network(needs.network_cidr, strict=False)
    own = own_vpc(account, needs.cluster)
    overlapping = sorted(
        f"{vpc['VpcId']} ({cidr})"
        for vpc in account.pages("ec2", "describe_vpcs", "Vpcs")
        for cidr in _cidrs(vpc)
        if vpc["VpcId"] != own and ip_network(cidr).overlaps(wanted)
    )
    if not overlapping:
        return [fine("other VPCs")]
    problem = f"network_cidr {wanted} overlaps {', '.join(overlapping)}: they can never be peered."
    return [warning("other VPCs", problem, "Take a range of its own for each cluster that may have to reach others.")]


@dataclass(frozen=True)
class _Network:
    """What there is of an existing VPC."""

    vpc: dict[str, Any]
    resolves: bool
    gateways: list[str]
    subnets: dict[str, dict[str, Any]]
    tables: list[dict[str, Any]]
    peerings: list[dict[str, Any]]
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Subnet → its VPC, of those that are in another one."""

    @property
    def id(self) -> str:
        return str(self.vpc["VpcId"])

    def routes(self, subnet: str) -> list[dict[str, Any]]:
        """Of the subnet's own route table, or of the VPC's main one."""
        by_subnet = {link.get("SubnetId") or "main": table["Routes"] for table in self.tables for link in _links(table)}
        return list(by_subnet.get(subnet) or by_subnet.get("main") or [])


def _links(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [link for link in table.get("Associations", []) if link.get("SubnetId") or link.get("Main")]


def _read(account: Account, vpc: str) -> _Network:
    with told(f"reading the VPC {vpc}"):
        client = account.client("ec2")
        found = client.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]
        answers = [
            client.describe_vpc_attribute(VpcId=vpc, Attribute=name)[f"E{name[1:]}"]["Value"]
            for name in ("enableDnsSupport", "enableDnsHostnames")
        ]
    inside = [{"Name": "vpc-id", "Values": [vpc]}]
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
    gateways = account.pages("ec2", "describe_internet_gateways", "InternetGateways", Filters=attached)
    everywhere = list(account.pages("ec2", "describe_subnets", "Subnets"))
    peerings = account.pages("ec2", "describe_vpc_peering_connections", "VpcPeeringConnections")
    return _Network(
        vpc=found,
        resolves=all(answers),
        gateways=[gateway["InternetGatewayId"] for gateway in gateways],
        subnets={subnet["SubnetId"]: subnet for subnet in everywhere if subnet["VpcId"] == vpc},
        tables=list(account.pages("ec2", "describe_route_tables", "RouteTables", Filters=inside)),
        peerings=list(peerings),
        elsewhere={subnet["SubnetId"]: subnet["VpcId"] for subnet in everywhere if subnet["VpcId"] != vpc},
    )


def _vpc(network: _Network, needs: Needs) -> list[Check]:
    checks = [fine(f"VPC {network.id}")]
    cidrs = _cidrs(network.vpc)
    if str(ip_network(needs.network_cidr, strict=False)) not in cidrs:
        problem = f"VPC {network.id} has {', '.join(cidrs)}, not network_cidr {needs.network_cidr}."
        checks.append(wrong("network_cidr", problem, f"Write network_cidr: {cidrs[0]}."))
    if not network.resolves:
        problem = f"VPC {network.id} gives its instances no DNS names, which kOps needs."
        fix = (
            f"Run `aws ec2 modify-vpc-attribute --vpc-id {network.id}` with --enable-dns-support and, in a second run, "
        )
        checks.append(wrong(f"VPC {network.id}: DNS", problem, fix + "--enable-dns-hostnames."))
    outside = any(subnet.kind != "private" for subnet in needs.subnets) or not needs.subnets
    if outside and not network.gateways:
        problem = f"VPC {network.id} has no internet gateway, so nothing in it can be reached or fetch images."
        fix = "Attach one (`aws ec2 attach-internet-gateway`); kOps makes none in a VPC that is not its own."
        checks.append(wrong(f"VPC {network.id}: internet gateway", problem, fix))
    return checks


def _peers(network: _Network, needs: Needs) -> list[Check]:
    """Ranges of peered VPCs are routed, so pods and services must not have them too."""
    ours = {"pods": needs.pods_cidr, "services": needs.services_cidr, "the VPC": needs.network_cidr}
    ranges = {name: ip_network(cidr, strict=False) for name, cidr in ours.items() if cidr}
    checks = []
    for peering in network.peerings:
        for other in _other_side(peering, network.id):
            for name, cidr in ranges.items():
                if cidr.overlaps(ip_network(other)):
                    subject = f"peering {peering['VpcPeeringConnectionId']}"
                    problem = (
                        f"The range of {name} {cidr} overlaps {other} of a peered VPC, which could not be reached."
                    )
                    checks.append(wrong(subject, problem, "Take another range for the cluster."))
    return checks


def _other_side(peering: Mapping[str, Any], vpc: str) -> list[str]:
    """Ranges of the VPC at the other end of an active peering of ours."""
    sides = [peering.get("RequesterVpcInfo") or {}, peering.get("AccepterVpcInfo") or {}]
    if (peering.get("Status") or {}).get("Code") != "active" or vpc not in [side.get("VpcId") for side in sides]:
        return []
    return [side["CidrBlock"] for side in sides if side.get("VpcId") != vpc and side.get("CidrBlock")]


def _subnets(account: Account, network: _Network, needs: Needs) -> list[Check]:
    if not needs.subnets:
        return _room(network, needs)
    checks = []
    for subnet in needs.subnets:
        found = network.subnets.get(subnet.id)
        if found is None:
            checks.append(_absent(network, subnet))
        else:
            checks += _subnet(account, network, needs, subnet, found)
    return checks + _zones(needs)


def _absent(network: _Network, subnet: Subnet) -> Check:
    subject = f"subnet {subnet.id}"
    fix = f"List those of the VPC: `aws ec2 describe-subnets --filters Name=vpc-id,Values={network.id}`."
    if subnet.id in network.elsewhere:
        problem = f"Subnet {subnet.id} is in {network.elsewhere[subnet.id]}, not in {network.id}."
        return wrong(subject, problem, fix)
    return missing(subject, f"There is no subnet {subnet.id}.", fix)


def _room(network: _Network, needs: Needs) -> list[Check]:
    """kOps cuts its own subnets from the start of network_cidr, and does not look whether others are there."""
    wanted = ip_network(needs.network_cidr, strict=False)
    own = f"kubernetes.io/cluster/{needs.cluster}"
    taken = sorted(
        f"{subnet['SubnetId']} ({subnet['CidrBlock']})"
        for subnet in network.subnets.values()
        if _tags(subnet).get(own) != "owned" and ip_network(subnet["CidrBlock"]).overlaps(wanted)
    )
    if not taken:
        return [fine("subnets")]
    problem = f"kOps would make subnets in {wanted} of {network.id}, where {', '.join(taken)} are already."
    return [warning("subnets", problem, "Name the `subnets` to use, or a network_cidr that has room.")]


def _subnet(account: Account, network: _Network, needs: Needs, subnet: Subnet, found: Mapping[str, Any]) -> list[Check]:
    subject = f"subnet {subnet.id}"
    checks = []
    if found["AvailabilityZone"] != subnet.zone:
        problem = f"Subnet {subnet.id} is in {found['AvailabilityZone']}, not in {subnet.zone}."
        checks.append(wrong(subject, problem, f"Write zone: {found['AvailabilityZone']}."))
    wanted, free = _addresses(needs, subnet), int(found["AvailableIpAddressCount"])
    if free < wanted:
        problem = f"Subnet {subnet.id} has {free} free addresses, and {wanted} are needed."
        checks.append(wrong(f"{subject}: addresses", problem, "Free some, take a larger subnet, or start fewer nodes."))
    if problem := _way_out(network.routes(subnet.id), subnet):
        fix = f"Add a route to 0.0.0.0/0 to its route table, or write another type than {subnet.kind}."
        checks.append(wrong(f"{subject}: route", problem, fix))
    tag = ROLE_TAGS[subnet.kind]
    if tag not in _tags(found):

        def mend() -> None:
            with told(f"tagging the subnet {subnet.id}"):
                account.client("ec2").create_tags(Resources=[subnet.id], Tags=[{"Key": tag, "Value": "1"}])

        problem = f"Subnet {subnet.id} has no tag {tag}, so Kubernetes puts no load balancers there."
        checks.append(warning(f"{subject}: tags", problem, f"It is tagged {tag}=1.", mend))
    return checks or [fine(subject)]


def _addresses(needs: Needs, subnet: Subnet) -> int:
    """How many addresses a subnet must have left: its share of the nodes, and room for a load balancer."""
    if subnet.kind == "utility":
        return LOAD_BALANCER_ADDRESSES
    hosts = [other for other in needs.subnets if other.kind != "utility"]
    balancers = LOAD_BALANCER_ADDRESSES if subnet.kind == "public" or needs.load_balancers else 0
    return math.ceil(needs.nodes / len(hosts)) + balancers


def _way_out(routes: Iterable[Mapping[str, Any]], subnet: Subnet) -> str:
    """What is wrong with the way from a subnet to the internet, "" when nothing is."""
    out = next(
        (r for r in routes if r.get("DestinationCidrBlock") == "0.0.0.0/0" and r.get("State") != "blackhole"), {}
    )
    gateway = str(out.get("GatewayId") or "")
    if subnet.kind in ("public", "utility"):
        return "" if gateway.startswith("igw-") else f"Subnet {subnet.id} has no route to an internet gateway."
    if gateway.startswith("igw-"):
        return f"Subnet {subnet.id} is to be private, but its way out is an internet gateway: nodes would get none."
    other = ("NatGatewayId", "TransitGatewayId", "NetworkInterfaceId", "InstanceId", "VpcPeeringConnectionId")
    if gateway or any(out.get(key) for key in other):
        return ""
    return f"Subnet {subnet.id} has no route to a NAT gateway, so its nodes cannot fetch images."


def _zones(needs: Needs) -> list[Check]:
    """Each zone has a subnet for nodes and, where those are private, one for load balancers."""
    private = any(subnet.kind == "private" for subnet in needs.subnets)
    kinds = {"nodes": {"public", "private"}} | ({"load balancers": {"utility", "public"}} if private else {})
    checks = []
    for zone in needs.zones:
        here = {subnet.kind for subnet in needs.subnets if subnet.zone == zone}
        lacking = {purpose: fitting for purpose, fitting in kinds.items() if not here & fitting}
        if lacking:
            problem = f"Zone {zone} has no subnet for {' nor for '.join(lacking)}."
            wanted = " and one of type ".join(" or ".join(sorted(fitting)) for fitting in lacking.values())
            fix = f"Add a subnet in {zone} of type {wanted}, or leave the zone out."
            checks.append(missing(f"subnets of {zone}", problem, fix))
    return checks


def _cidrs(vpc: Mapping[str, Any]) -> list[str]:
    linked = vpc.get("CidrBlockAssociationSet") or []
    live = [link["CidrBlock"] for link in linked if link["CidrBlockState"]["State"] in ("associated", "associating")]
    return live or [vpc["CidrBlock"]]


def _tags(thing: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags") or []}
