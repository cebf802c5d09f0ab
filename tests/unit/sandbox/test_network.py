"""NAT gateways and DHCP options of the emulated account."""

import pytest
from botocore.exceptions import ClientError

from boatyard.sandbox.aws import Sandbox
from tests.unit.sandbox.conftest import Network, clients


def test_a_nat_gateway_is_found_by_its_tags_and_leaves_nothing(account: Sandbox) -> None:
    ec2 = clients(account)("ec2")
    network = Network(ec2, "10.44.0.0/16")
    made = {}
    for owner in ("one", "other"):
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        tags = [{"ResourceType": "natgateway", "Tags": [{"Key": "owner", "Value": owner}]}]
        gateway = ec2.create_nat_gateway(SubnetId=network.subnets[0], AllocationId=address, TagSpecifications=tags)
        made[owner] = (gateway["NatGateway"]["NatGatewayId"], address)
    found = ec2.describe_nat_gateways(Filters=[{"Name": "tag:owner", "Values": ["one"]}])["NatGateways"]
    assert [each["NatGatewayId"] for each in found] == [made["one"][0]]
    for gateway, address in made.values():
        with pytest.raises(ClientError, match=r"InvalidIPAddress\.InUse"):
            ec2.release_address(AllocationId=address)
        ec2.delete_nat_gateway(NatGatewayId=gateway)
        ec2.release_address(AllocationId=address)
    inside = [{"Name": "vpc-id", "Values": [network.vpc]}]
    assert ec2.describe_network_interfaces(Filters=inside)["NetworkInterfaces"] == []
    for subnet in network.subnets:
        ec2.delete_subnet(SubnetId=subnet)


def test_a_nat_gateway_that_is_gone_leaves_its_routes_and_is_told_of_with_its_address(account: Sandbox) -> None:
    ec2 = clients(account)("ec2")
    network = Network(ec2, "10.45.0.0/16")
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    asked = {"SubnetId": network.subnets[0], "AllocationId": address}
    gateway = ec2.create_nat_gateway(**asked)["NatGateway"]["NatGatewayId"]
    table = ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=gateway)

    def route() -> str:
        (found,) = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
        return next(str(each["State"]) for each in found["Routes"] if each.get("NatGatewayId") == gateway)

    assert route() == "active"
    ec2.delete_nat_gateway(NatGatewayId=gateway)
    assert route() == "blackhole"
    (told,) = ec2.describe_nat_gateways(NatGatewayIds=[gateway])["NatGateways"]
    assert (told["State"], told["NatGatewayAddresses"][0]["AllocationId"]) == ("deleted", address)
    assert "AssociationId" not in ec2.describe_addresses(AllocationIds=[address])["Addresses"][0]
    ec2.release_address(AllocationId=address)
    with pytest.raises(ClientError, match=r"InvalidAllocationID\.NotFound"):
        ec2.describe_addresses(AllocationIds=[address])


def test_a_nat_gateway_that_never_was_is_told_so(account: Sandbox) -> None:
    ec2 = clients(account)("ec2")
    for call, asked in (("describe_nat_gateways", ["nat-0"]), ("delete_nat_gateway", "nat-0")):
        key = "NatGatewayIds" if isinstance(asked, list) else "NatGatewayId"
        with pytest.raises(ClientError, match="NatGatewayNotFound"):
            getattr(ec2, call)(**{key: asked})


def test_dhcp_options_have_their_tags_from_the_beginning(account: Sandbox) -> None:
    ec2 = clients(account)("ec2")
    tags = [{"ResourceType": "dhcp-options", "Tags": [{"Key": "owner", "Value": "us"}]}]
    asked = [{"Key": "domain-name", "Values": ["ec2.internal"]}]
    made = ec2.create_dhcp_options(DhcpConfigurations=asked, TagSpecifications=tags)["DhcpOptions"]
    assert made["Tags"] == tags[0]["Tags"]
    found = ec2.describe_dhcp_options(Filters=[{"Name": "tag:owner", "Values": ["us"]}])["DhcpOptions"]
    assert [each["DhcpOptionsId"] for each in found] == [made["DhcpOptionsId"]]
