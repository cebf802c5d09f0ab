"""VPC, subnets, routes, gateways. Names, fields and tags as recorded; private topology from documentation."""

from collections.abc import Iterator
from typing import Any

from standin.aws import tag_list, tag_map
from standin.say import Fail, Odd, flag
from standin.world import Task, World


def tasks(world: World) -> Iterator[Task]:
    if not world.spec.get("networkID"):
        yield from _vpc(world)
    for subnet in world.subnets():
        if not subnet.get("id"):
            yield _subnet(world, subnet)
    if any(not subnet.get("id") for subnet in world.subnets()):
        yield from _public(world)
        for zone in sorted({subnet["zone"] for subnet in world.subnets("Private")}):
            yield from _private(world, zone)


def _ec2(world: World, operation: str, **parameters: Any) -> Any:
    return world.aws.call("ec2", operation, **parameters)


def _vpc(world: World) -> Iterator[Task]:
    name, cidr = world.name, world.spec.get("networkCIDR", "172.20.0.0/16")
    region = world.subnets()[0]["zone"][:-1]
    domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"

    def vpc() -> Any:
        return world.tagged("describe_vpcs", "Vpcs").get(name)

    def make() -> None:
        specs = world.tag_specs("vpc", name)
        made = _ec2(world, "create_vpc", CidrBlock=cidr, TagSpecifications=specs)["Vpc"]["VpcId"]
        for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
            _ec2(world, "modify_vpc_attribute", VpcId=made, **{attribute: {"Value": True}})

    shared = ("Shared", "false")
    wide = [("AmazonIPv6", "true"), ("EnableDNSHostnames", "true"), ("EnableDNSSupport", "true"), shared]
    fields = [("CIDR", cidr), *wide, world.shown_tags(name)]
    yield Task("VPC", name, fields, lambda: {"CIDR": vpc()["CidrBlock"]} if vpc() else None, make, {"CIDR": cidr})

    def six() -> Any:
        blocks = (vpc() or {}).get("Ipv6CidrBlockAssociationSet") or ()
        return {} if any(one["Ipv6CidrBlockState"]["State"].startswith("assoc") for one in blocks) else None

    def make_six() -> None:
        _ec2(world, "associate_vpc_cidr_block", VpcId=world.vpc_id(), AmazonProvidedIpv6CidrBlock=True)

    own = ("VPC", f"name:{name}")
    yield Task("VPCAmazonIPv6CIDRBlock", "AmazonIPv6", [own, shared], six, make_six)

    def options() -> Any:
        return world.tagged("describe_dhcp_options", "DhcpOptions").get(name)

    def make_options() -> None:
        values = {"domain-name": domain, "domain-name-servers": "AmazonProvidedDNS"}
        asked = [{"Key": key, "Values": [value]} for key, value in values.items()]
        specs = world.tag_specs("dhcp-options", name)
        made = _ec2(world, "create_dhcp_options", DhcpConfigurations=asked, TagSpecifications=specs)["DhcpOptions"]
        if not made.get("Tags"):  # moto without the sandbox's extension
            _ec2(world, "create_tags", Resources=[made["DhcpOptionsId"]], Tags=specs[0]["Tags"])

    fields = [("DomainName", domain), ("DomainNameServers", "AmazonProvidedDNS"), shared, world.shown_tags(name)]
    yield Task("DHCPOptions", name, fields, lambda: {} if options() else None, make_options)

    def associated() -> Any:
        return {} if vpc() and options() and vpc().get("DhcpOptionsId") == options()["DhcpOptionsId"] else None

    def associate() -> None:
        _ec2(world, "associate_dhcp_options", DhcpOptionsId=options()["DhcpOptionsId"], VpcId=world.vpc_id())

    yield Task("VPCDHCPOptionsAssociation", name, [own, ("DHCPOptions", f"name:{name}")], associated, associate)


def _subnet_tags(subnet: dict[str, Any], public: bool) -> dict[str, str]:
    kind = subnet.get("type", "Public")
    found = {"SubnetType": kind}
    if kind in ("Public", "Utility"):
        found["kubernetes.io/role/elb"] = "1"
    if kind == "Private" or (kind == "Public" and public):
        found["kubernetes.io/role/internal-elb"] = "1"
    return found


def _subnet(world: World, subnet: dict[str, Any]) -> Task:
    name, cidr = f"{subnet['name']}.{world.name}", subnet["cidr"]
    more = _subnet_tags(subnet, not world.subnets("Private"))

    def find() -> Any:
        found = world.tagged("describe_subnets", "Subnets").get(name)
        named = (found or {}).get("PrivateDnsNameOptionsOnLaunch", {}).get("HostnameType") == "resource-name"
        return None if found is None else {"ResourceBasedNaming": flag(named)}

    def change() -> None:
        known = world.subnet_id(subnet["name"])
        attribute = {"PrivateDnsHostnameTypeOnLaunch": "resource-name"}
        _ec2(world, "modify_subnet_attribute", SubnetId=known, **attribute)

    def make() -> None:
        specs = world.tag_specs("subnet", name, **more)
        asked = {"VpcId": world.vpc_id(), "CidrBlock": cidr, "AvailabilityZone": subnet["zone"]}
        made = _ec2(world, "create_subnet", **asked, TagSpecifications=specs)["Subnet"]["SubnetId"]
        if subnet.get("type", "Public") != "Private":
            _ec2(world, "modify_subnet_attribute", SubnetId=made, MapPublicIpOnLaunch={"Value": True})
        world.aws.forget()
        change()

    naming = {"ResourceBasedNaming": "true"}
    fields = [
        ("ShortName", subnet["name"]),
        ("VPC", f"name:{world.name}"),
        ("AvailabilityZone", subnet["zone"]),
        ("CIDR", cidr),
        *naming.items(),
        ("AssignIPv6AddressOnCreation", "false"),
        ("Shared", "false"),
        world.shown_tags(name, **more),
    ]
    return Task("Subnet", name, fields, find, make, naming, change)


def _table(world: World, name: str, role: str) -> Task:
    def make() -> None:
        specs = world.tag_specs("route-table", name, **{"kubernetes.io/kops/role": role})
        _ec2(world, "create_route_table", VpcId=world.vpc_id(), TagSpecifications=specs)

    tags = world.shown_tags(name, **{"kubernetes.io/kops/role": role})
    fields = [("VPC", f"name:{world.name}"), ("Shared", "false"), tags]
    return Task("RouteTable", name, fields, lambda: {} if table(world, name) else None, make)


def table(world: World, name: str) -> Any:
    return world.tagged("describe_route_tables", "RouteTables").get(name)


def _association(world: World, subnet: dict[str, Any], routes: str) -> Task:
    prefix = {"Private": "private-", "Utility": "utility-"}.get(subnet.get("type", "Public"), "")
    short = subnet["name"].removeprefix("utility-")
    name = f"{prefix}{short}.{world.name}"

    def find() -> Any:
        links = (table(world, routes) or {}).get("Associations", ())
        known = world.subnet_id(subnet["name"])
        return {} if known and any(one.get("SubnetId") == known for one in links) else None

    def make() -> None:
        asked = {"RouteTableId": table(world, routes)["RouteTableId"], "SubnetId": world.subnet_id(subnet["name"])}
        _ec2(world, "associate_route_table", **asked)

    fields = [("RouteTable", f"name:{routes}"), ("Subnet", f"name:{subnet['name']}.{world.name}")]
    return Task("RouteTableAssociation", name, fields, find, make)


def _route(world: World, name: str, routes: str, via: tuple[str, str], target: Any, six: bool = False) -> Task:
    """`via`: what kOps shows; `target`: returns the parameter of create_route."""
    cidr, key = ("::/0", "DestinationIpv6CidrBlock") if six else ("0.0.0.0/0", "DestinationCidrBlock")

    def find() -> Any:
        found = (table(world, routes) or {}).get("Routes", ())
        return {} if any(one.get(key) == cidr for one in found) else None

    def make() -> None:
        _ec2(world, "create_route", RouteTableId=table(world, routes)["RouteTableId"], **{key: cidr}, **target())

    fields = [("RouteTable", f"name:{routes}"), ("IPv6CIDR" if six else "CIDR", cidr), via]
    return Task("Route", name, fields, find, make)


def _public(world: World) -> Iterator[Task]:
    name = world.name

    def gateway() -> Any:
        return world.tagged("describe_internet_gateways", "InternetGateways").get(name)

    def find() -> Any:
        return {} if gateway() and gateway().get("Attachments") else None

    def make() -> None:
        if not gateway():
            _ec2(world, "create_internet_gateway", TagSpecifications=world.tag_specs("internet-gateway", name))
            world.aws.forget()
        _ec2(world, "attach_internet_gateway", VpcId=world.vpc_id(), InternetGatewayId=gateway()["InternetGatewayId"])

    if not world.spec.get("networkID"):
        fields = [("VPC", f"name:{name}"), ("Shared", "false"), world.shown_tags(name)]
        yield Task("InternetGateway", name, fields, find, make)

    def through() -> dict[str, str]:
        if gateway():
            return {"GatewayId": gateway()["InternetGatewayId"]}
        filters = [{"Name": "attachment.vpc-id", "Values": [world.vpc_id()]}]
        found = world.aws.pages("ec2", "describe_internet_gateways", "InternetGateways", Filters=filters)
        return {"GatewayId": found[0]["InternetGatewayId"]}

    yield _table(world, name, "public")
    via = ("InternetGateway", f"name:{name}")
    yield _route(world, "0.0.0.0/0", name, via, through)
    yield _route(world, "::/0", name, via, through, six=True)
    for subnet in world.subnets("Public", "Utility"):
        yield _association(world, subnet, name)


def _private(world: World, zone: str) -> Iterator[Task]:
    """From documentation and source: a route table, an Elastic IP and a NAT gateway of its own for each zone; found by
    the route through the gateway, so that an address without one is not found again, and a gateway only by the tag
    of its subnet."""
    name, routes = f"{zone}.{world.name}", f"private-{zone}.{world.name}"
    utility = next(one for one in world.subnets("Utility", "Public") if one["zone"] == zone)
    made = dict[str, str]()  # by this run

    def routed() -> str | None:
        through = [one for one in (table(world, routes) or {}).get("Routes", ()) if one.get("NatGatewayId")]
        if any(one["State"] == "blackhole" for one in through):
            raise Odd(f"a route of {routes} whose NAT gateway is gone")
        return next((one["NatGatewayId"] for one in through), None)

    def tagged() -> str | None:
        subnet = world.tagged("describe_subnets", "Subnets").get(f"{utility['name']}.{world.name}") or {}
        return tag_map(subnet.get("Tags")).get("AssociatedNatgateway")

    def addresses(known: str) -> list[str]:
        found = world.aws.pages("ec2", "describe_nat_gateways", "NatGateways", NatGatewayIds=[known])
        return [one["AllocationId"] for each in found for one in each["NatGatewayAddresses"]]

    def nat() -> str | None:
        known = made.get("nat") or routed() or tagged()
        if known and "address" in made and made["address"] not in (has := addresses(known)):
            said = f'ElasticIP: Forbidden: field is immutable: old="{has[0]}" new=""'
            raise Fail(
                f"error running tasks: deadline exceeded executing task NatGateway/{name}. Example error: {said}"
            )
        return known

    def address() -> str | None:
        through = routed()
        return made.get("address") or (addresses(through)[0] if through else None)

    def make_address() -> None:
        specs = world.tag_specs("elastic-ip", name)
        made["address"] = _ec2(world, "allocate_address", Domain="vpc", TagSpecifications=specs)["AllocationId"]

    def make_nat() -> None:
        subnet = world.subnet_id(utility["name"])
        specs = world.tag_specs("natgateway", name)
        asked = {"SubnetId": subnet, "AllocationId": address(), "TagSpecifications": specs}
        made["nat"] = _ec2(world, "create_nat_gateway", **asked)["NatGateway"]["NatGatewayId"]
        _ec2(world, "create_tags", Resources=[subnet], Tags=tag_list({"AssociatedNatgateway": made["nat"]}))

    shown = world.shown_tags(name)
    yield _table(world, routes, f"private-{zone}")
    yield Task("ElasticIP", name, [shown], lambda: {} if address() else None, make_address)
    fields = [("ElasticIP", f"name:{name}"), ("Subnet", f"name:{utility['name']}.{world.name}"), shown]
    yield Task("NatGateway", name, fields, lambda: {} if nat() else None, make_nat)
    via = ("NatGateway", f"name:{name}")
    yield _route(world, f"private-{zone}-0.0.0.0/0", routes, via, lambda: {"NatGatewayId": nat()})
    for subnet in world.subnets("Private"):
        if subnet["zone"] == zone:
            yield _association(world, subnet, routes)
