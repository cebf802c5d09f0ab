"""NAT gateways of private nodes, and their addresses: what kOps has lost sight of goes by our hand.

kOps (1.36.2, source, and seen) finds an address by its gateway, and a gateway by the route through it, or else by a tag
of its subnet. Address and gateway are made before the route, for which kOps waits until the gateway is up, and they go
before it. So kOps, cut off in between and run again,
- makes another address, and refuses to give it to a gateway that the tag names: `kops update cluster` gets no further;
- makes another gateway where the tag is not there yet, and `kops delete cluster` never gets the subnet deleted;
- leaves an address without a gateway for good;
- stops `kops delete cluster` where gateway and address are gone and the route is not (`InvalidAllocationID.NotFound`),
  for as long as AWS tells of a deleted gateway, which is about an hour.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from boatyard.aws.errors import AwsNotFound, AwsRefused, told
from boatyard.aws.scan import tags_of
from boatyard.drivers.kops.fleet import CLUSTER_TAG
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.waiting import Lookout

_SUBNET_TAG = "AssociatedNatgateway"
_ON_ITS_WAY = ("pending", "deleting")
_HELD = ("InvalidIPAddress.InUse", "AuthFailure")
"""What AWS answers to the release of an address that a gateway still has, or has had until a moment ago."""
_DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")

Thing = Mapping[str, Any]


def recover(reach: Reach) -> None:
    """Take away what kOps no longer finds, and routes that it stops at; returns once that is gone. Mostly a no-op.

    `DeadlineExceeded` names what is still there.
    """
    Lookout(reach.env).until(lambda: _awaited(reach))


@dataclass(frozen=True)
class _Network:
    """The cluster's own, by kOps' tags; and of `gateways` also those that only routes tell of."""

    subnets: list[Thing]
    tables: list[Thing]
    gateways: dict[str, Thing]
    addresses: dict[str, Thing]

    @property
    def routes(self) -> list[tuple[Thing, Thing]]:
        """Through NAT gateways, each with its table."""
        return [(table, each) for table in self.tables for each in table["Routes"] if "NatGatewayId" in each]

    @property
    def gone(self) -> set[str]:
        """Gateways that are deleted, and at least one address with them."""
        deleted = {known: each for known, each in self.gateways.items() if each["State"] == "deleted"}
        return {known for known, each in deleted.items() if not self.addresses.keys() >= set(_of(each))}

    @property
    def found(self) -> set[str]:
        """Gateways that kOps finds by their routes, and can do something with."""
        return {route["NatGatewayId"] for _, route in self.routes} - self.gone

    def lost_gateways(self) -> list[Thing]:
        return [each for known, each in self.gateways.items() if known not in self.found and each["State"] != "deleted"]

    def lost_addresses(self) -> list[Thing]:
        """Of gateways that are not found, or of none; not those that something else was given."""
        found = {its for known, each in self.gateways.items() if known in self.found for its in _of(each)}
        had = {its for each in self.gateways.values() for its in _of(each)}
        lost = (each for known, each in self.addresses.items() if known not in found)
        return [each for each in lost if "AssociationId" not in each or each["AllocationId"] in had]

    def dead_ends(self) -> list[tuple[Thing, Thing]]:
        return [(table, route) for table, route in self.routes if route["NatGatewayId"] in self.gone]

    def misled(self) -> list[Thing]:
        """Subnets whose tag names a gateway that is not found by a route."""
        named = ((each, tags_of(each.get("Tags")).get(_SUBNET_TAG)) for each in self.subnets)
        return [each for each, known in named if known is not None and known not in self.found]


def _awaited(reach: Reach) -> str:
    """Does what can be done at once; what is left to wait for."""
    network = _look(reach)
    for table, route in network.dead_ends():
        _drop(reach, table, route)
    for each in network.misled():
        _untag(reach, each["SubnetId"])
    gateways = network.lost_gateways()
    for each in gateways:
        if each["State"] not in _ON_ITS_WAY:
            _delete(reach, each["NatGatewayId"])
    if gateways:
        return f"{len(gateways)} NAT gateways to go that kOps has lost sight of"
    held = [each for each in network.lost_addresses() if "AssociationId" in each or not _release(reach, each)]
    return f"{len(held)} addresses to be let go that kOps has lost sight of" if held else ""


def _look(reach: Reach) -> _Network:
    ours = [
        {"Name": f"tag:{CLUSTER_TAG}", "Values": [reach.name]},
        {"Name": f"tag:kubernetes.io/cluster/{reach.name}", "Values": ["owned"]},
    ]

    def find(what: str, key: str, filters: list[dict[str, Any]]) -> list[Thing]:
        return list(reach.account.pages("ec2", what, key, Filters=filters))

    tables = find("describe_route_tables", "RouteTables[]", ours)
    gateways = _named("NatGatewayId", find("describe_nat_gateways", "NatGateways[]", ours))
    told_of = {route["NatGatewayId"] for _, route in _Network([], tables, {}, {}).routes} - gateways.keys()
    if told_of:  # what is deleted may have lost its tags
        by_id = [{"Name": "nat-gateway-id", "Values": sorted(told_of)}]
        gateways |= _named("NatGatewayId", find("describe_nat_gateways", "NatGateways[]", by_id))
    addresses = _named("AllocationId", find("describe_addresses", "Addresses[]", ours))
    return _Network(find("describe_subnets", "Subnets[]", ours), tables, gateways, addresses)


def _named(key: str, found: Iterable[Thing]) -> dict[str, Thing]:
    return {str(each[key]): each for each in found}


def _of(gateway: Thing) -> list[str]:
    """Ids of the addresses that it has, or had."""
    return [each["AllocationId"] for each in gateway.get("NatGatewayAddresses", ()) if each.get("AllocationId")]


def _drop(reach: Reach, table: Thing, route: Thing) -> None:
    known = table["RouteTableId"]
    where = {key: route[key] for key in _DESTINATIONS if key in route}
    reach.env.report(f"{reach.name}: the route of {known} through {route['NatGatewayId']} goes, which is gone")
    _gone(reach, f"deleting a route of {known}", "delete_route", RouteTableId=known, **where)


def _untag(reach: Reach, subnet: str) -> None:
    asked = {"Resources": [subnet], "Tags": [{"Key": _SUBNET_TAG}]}
    _gone(reach, f"taking the tag {_SUBNET_TAG} off {subnet}", "delete_tags", **asked)


def _delete(reach: Reach, known: str) -> None:
    reach.env.report(f"{reach.name}: deleting the NAT gateway {known}, which no route leads to")
    _gone(reach, f"deleting the NAT gateway {known}", "delete_nat_gateway", NatGatewayId=known)


def _release(reach: Reach, address: Thing) -> bool:
    """False while something has it."""
    known = address["AllocationId"]
    reach.env.report(f"{reach.name}: letting go of the address {address.get('PublicIp', known)}, which nothing uses")
    try:
        _gone(reach, f"releasing the address {known}", "release_address", AllocationId=known)
    except AwsRefused as error:
        if error.code not in _HELD:
            raise
        return False
    return True


def _gone(reach: Reach, doing: str, operation: str, **asked: Any) -> None:
    """A change after which the thing is gone; a no-op when it is gone already."""
    call: Callable[..., Any] = getattr(reach.account.client("ec2"), operation)
    reach.env.fence()
    try:
        with told(doing):
            call(**asked)
    except AwsNotFound:
        return
