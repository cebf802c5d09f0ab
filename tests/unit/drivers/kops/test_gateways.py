"""NAT gateways and addresses that kOps does not find any more: a creation and a deletion that were cut off on the way.

One cluster of three zones for all of it, in the order of its life: by the stand-in, and by the real kOps on PATH. The
account has no API servers, so nobody waits for one.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

import boto3
import pytest

from boatyard.clock import Deadline, SystemClock
from boatyard.drivers.base import Env
from boatyard.drivers.kops import create, gateways
from boatyard.drivers.kops.driver import Driver
from boatyard.drivers.kops.reach import Reach
from boatyard.errors import Permanent
from boatyard.sandbox.aws import Sandbox
from boatyard.settings import Settings
from boatyard.spec.models import Cluster
from boatyard.tools.toolbox import Toolbox
from tests.conformance.worlds import CHANNEL
from tests.faults.aws import raw
from tests.standin.kops.install import install

pytestmark = pytest.mark.account

NAME = "nat.test.example.com"
ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]
CLOCK = SystemClock()
REAL = which("kops")
ALONE = pytest.param("real", marks=[pytest.mark.real_kops, pytest.mark.skipif(REAL is None, reason="there is no kops")])


@dataclass
class Place:
    """A private cluster, and what the account held before it."""

    sandbox: Sandbox
    home: Path
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ec2 = boto3.client("ec2")
        self.before = self.everything()

    def everything(self) -> dict[str, str]:
        return raw.everything(self.sandbox)

    def spec(self) -> Cluster:
        provider = {
            "kind": "kops",
            "state_store": "s3://gateways",
            "zones": ZONES,
            "dns": "none",
            "topology": "private",
            "channel": CHANNEL.as_uri(),
            "api_server": "https://127.0.0.1:1",
        }
        pools = [{"name": "web", "size": "t3.medium", "min": 1}]
        known = {"name": NAME, "provider": provider, "kubernetes": {"version": "1.35"}}
        return Cluster.model_validate({**known, "control_plane": {"size": "t3.medium"}, "pools": pools})

    def env(self) -> Env:
        deadline = Deadline.after(240, "the test", CLOCK)
        return Env(self.home, CLOCK, deadline, Toolbox(Settings.load().cache).path, report=self.said.append)

    def driver(self) -> Driver:
        return Driver(self.spec(), self.env())

    def reach(self) -> Reach:
        return Reach(self.spec(), self.env())

    def network(self) -> dict[str, tuple[str, str]]:
        """Zone → ids of its NAT gateway and of its address."""
        every = self.ec2.describe_nat_gateways()["NatGateways"]
        live = [each for each in every if each["State"] == "available"]
        subnets = {each["SubnetId"]: each["AvailabilityZone"] for each in self.ec2.describe_subnets()["Subnets"]}
        return {
            subnets[each["SubnetId"]]: (each["NatGatewayId"], each["NatGatewayAddresses"][0]["AllocationId"])
            for each in live
        }

    # what is left of a zone where kOps was cut off

    def without_a_route(self, zone: str) -> None:
        through = [{"Name": "route.nat-gateway-id", "Values": [self.network()[zone][0]]}]
        (table,) = self.ec2.describe_route_tables(Filters=through)["RouteTables"]
        self.ec2.delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")

    def without_a_trace(self, zone: str) -> None:
        """Neither route nor tag: cut off right after it was made."""
        self.without_a_route(zone)
        known = self.network()[zone][0]
        (subnet,) = self.ec2.describe_subnets(Filters=[{"Name": "tag:AssociatedNatgateway", "Values": [known]}])[
            "Subnets"
        ]
        self.ec2.delete_tags(Resources=[subnet["SubnetId"]], Tags=[{"Key": "AssociatedNatgateway"}])

    def only_the_address(self, zone: str) -> None:
        gateway, address = self.network()[zone]
        self.without_a_route(zone)
        self.ec2.delete_nat_gateway(NatGatewayId=gateway)
        assert "AssociationId" not in self.ec2.describe_addresses(AllocationIds=[address])["Addresses"][0]

    def only_the_route(self, zone: str) -> None:
        gateway, address = self.network()[zone]
        self.ec2.delete_nat_gateway(NatGatewayId=gateway)
        self.ec2.release_address(AllocationId=address)

    def unmake_machines(self) -> None:
        """What kOps makes last."""
        autoscaling = boto3.client("autoscaling")
        for each in autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
            autoscaling.delete_auto_scaling_group(AutoScalingGroupName=each["AutoScalingGroupName"], ForceDelete=True)


@pytest.fixture(scope="module", params=["stand-in", ALONE])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An account with a state store, and a kOps on PATH."""
    folder = tmp_path_factory.mktemp("account")
    program = Path(REAL or "") if request.param == "real" else install(folder / "bin")
    with Sandbox.start(folder / "sandbox") as sandbox, pytest.MonkeyPatch.context() as to:
        for name, value in sandbox.environment.items():
            to.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            to.delenv(name, raising=False)
        to.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        to.setattr(create, "wait_for_control_plane", lambda reach, record: None)
        boto3.client("s3").create_bucket(Bucket="gateways")
        yield Place(sandbox, folder / "home")


def test_of_a_whole_cluster_nothing_is_taken_and_of_anybody_elses_neither(place: Place) -> None:
    place.driver().create()
    specs = [{"ResourceType": "elastic-ip", "Tags": [{"Key": "KubernetesCluster", "Value": f"other.{NAME}"}]}]
    others = [place.ec2.allocate_address(Domain="vpc", TagSpecifications=specs)["AllocationId"]]
    others += [place.ec2.allocate_address(Domain="vpc")["AllocationId"]]
    network, everything = place.network(), place.everything()
    assert sorted(network) == ZONES
    place.said.clear()
    gateways.recover(place.reach())
    assert place.said == []
    assert place.everything() == everything
    for each in others:
        place.ec2.release_address(AllocationId=each)


def test_what_a_creation_lost_sight_of_is_not_made_twice(place: Place) -> None:
    before = place.network()
    place.without_a_route("us-east-1a")
    place.only_the_address("us-east-1b")
    place.without_a_trace("us-east-1c")
    place.unmake_machines()
    place.driver().create()
    after = place.network()
    assert sorted(after) == ZONES
    assert not {each for both in before.values() for each in both} & {each for both in after.values() for each in both}
    assert raw.doubled(place.everything(), NAME) == []


def test_a_deletion_ends_with_nothing_left_wherever_one_was_cut_off(place: Place) -> None:
    place.only_the_route("us-east-1a")
    with pytest.raises(Permanent, match=r"DescribeAddresses.*InvalidAllocationID\.NotFound"):
        place.reach().kops.delete(limit=60)  # alone it stops; should it go on one day, no harm is done
    place.only_the_address("us-east-1b")
    place.without_a_trace("us-east-1c")
    place.driver().delete()
    assert place.driver().residue() == []
    assert place.everything() == place.before
