"""An AWS twin for the tests of a file, and the few calls that most of them make."""

import base64
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from boatyard.sandbox.aws import Sandbox

Client = Callable[[str], Any]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """An emulated account without control planes."""
    with Sandbox.start(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


def clients(sandbox: Sandbox) -> Client:
    environment = sandbox.environment
    session = boto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )
    return lambda service: session.client(service, endpoint_url=sandbox.endpoint)


def user_data(version: str) -> str:
    return base64.b64encode(f"#!/bin/bash\nkubernetesVersion: {version}\n".encode()).decode()


class Network:
    """A VPC with a subnet in each of two zones and a security group."""

    def __init__(self, ec2: Any, cidr: str = "10.1.0.0/16") -> None:
        self.vpc = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
        base = cidr.rsplit(".", 2)[0]
        self.subnets = [
            ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"{base}.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")[
                "Subnet"
            ]["SubnetId"]
            for number, zone in enumerate("ab")
        ]
        self.security_group = ec2.create_security_group(GroupName="nodes", Description="nodes", VpcId=self.vpc)[
            "GroupId"
        ]


def template_data(ec2: Any, network: Network, version: str = "1.35.5", **more: Any) -> dict[str, Any]:
    """Launch template data with what kOps puts there."""
    image = ec2.describe_images(Owners=["099720109477"])["Images"][0]["ImageId"]
    return {
        "ImageId": image,
        "InstanceType": "t3.medium",
        "UserData": user_data(version),
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 64, "VolumeType": "gp3"}}],
        "NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": True, "Groups": [network.security_group]}],
        "TagSpecifications": [{"ResourceType": "volume", "Tags": [{"Key": "owner", "Value": "us"}]}],
    } | more
