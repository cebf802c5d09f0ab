"""NAT gateways and DHCP options of the emulated account."""

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
        ec2.delete_nat_gateway(NatGatewayId=gateway)
        ec2.release_address(AllocationId=address)
    inside = [{"Name": "vpc-id", "Values": [network.vpc]}]
    assert ec2.describe_network_interfaces(Filters=inside)["NetworkInterfaces"] == []
    for subnet in network.subnets:
        ec2.delete_subnet(SubnetId=subnet)


def test_dhcp_options_have_their_tags_from_the_beginning(account: Sandbox) -> None:
    ec2 = clients(account)("ec2")
    tags = [{"ResourceType": "dhcp-options", "Tags": [{"Key": "owner", "Value": "us"}]}]
    asked = [{"Key": "domain-name", "Values": ["ec2.internal"]}]
    made = ec2.create_dhcp_options(DhcpConfigurations=asked, TagSpecifications=tags)["DhcpOptions"]
    assert made["Tags"] == tags[0]["Tags"]
    found = ec2.describe_dhcp_options(Filters=[{"Name": "tag:owner", "Values": ["us"]}])["DhcpOptions"]
    assert [each["DhcpOptionsId"] for each in found] == [made["DhcpOptionsId"]]
