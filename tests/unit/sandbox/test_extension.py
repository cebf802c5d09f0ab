"""What kOps needs from the emulated account, asked by boto3 alone."""

import base64
import hashlib
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from boatyard.sandbox.aws import Sandbox
from tests.unit.sandbox.conftest import Network, clients, template_data, user_data

pytestmark = pytest.mark.account


@pytest.fixture
def ec2(account: Sandbox) -> Any:
    return clients(account)("ec2")


@pytest.fixture
def scaling(account: Sandbox) -> Any:
    return clients(account)("autoscaling")


@pytest.fixture(scope="module")
def network(account: Sandbox) -> Network:
    return Network(clients(account)("ec2"))


@pytest.fixture
def group(ec2: Any, scaling: Any, network: Network) -> Iterator["Group"]:
    group = Group(ec2, scaling, network)
    yield group
    group.delete()


class Group:
    """An Auto Scaling group of three from the newest version of a launch template."""

    count = 0

    def __init__(self, ec2: Any, scaling: Any, network: Network, **template: Any) -> None:
        type(self).count += 1
        self.name, self.ec2, self.scaling, self.network = f"group-{self.count}", ec2, scaling, network
        data = template_data(ec2, network)
        made = ec2.create_launch_template(LaunchTemplateName=self.name, LaunchTemplateData=data)
        self.template = made["LaunchTemplate"]["LaunchTemplateId"]
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=self.name,
            MinSize=3,
            MaxSize=6,
            VPCZoneIdentifier=",".join(network.subnets),
            Tags=[{"Key": "KubernetesCluster", "Value": "x", "PropagateAtLaunch": True}],
            **(template or {"LaunchTemplate": {"LaunchTemplateId": self.template, "Version": "$Latest"}}),
        )

    @property
    def description(self) -> dict[str, Any]:
        return self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])["AutoScalingGroups"][0]

    @property
    def instances(self) -> list[dict[str, Any]]:
        return self.description["Instances"]

    @property
    def ids(self) -> list[str]:
        return [instance["InstanceId"] for instance in self.instances]

    @property
    def versions(self) -> list[str]:
        return sorted(instance["LaunchTemplate"]["Version"] for instance in self.instances)

    def new_version(self, version: str) -> None:
        data = template_data(self.ec2, self.network, version)
        self.ec2.create_launch_template_version(LaunchTemplateId=self.template, LaunchTemplateData=data)

    def delete(self) -> None:
        self.scaling.delete_auto_scaling_group(AutoScalingGroupName=self.name, ForceDelete=True)


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


def test_an_instance_keeps_naming_the_version_it_was_launched_from(group: Group) -> None:
    group.new_version("1.36.1")
    group.ec2.modify_launch_template(LaunchTemplateId=group.template, DefaultVersion="2")
    assert group.versions == ["1", "1", "1"]


def test_a_terminated_instance_is_replaced_from_the_newest_version(group: Group) -> None:
    group.new_version("1.36.1")
    before = group.ids
    group.ec2.terminate_instances(InstanceIds=before[:1])
    assert group.versions == ["1", "1", "2"]
    (new,) = set(group.ids) - set(before)
    told = group.ec2.describe_instance_attribute(InstanceId=new, Attribute="userData")["UserData"]["Value"]
    assert told == user_data("1.36.1")


def test_a_detached_instance_is_replaced_and_runs_on(group: Group) -> None:
    gone = group.ids[0]
    group.scaling.detach_instances(
        AutoScalingGroupName=group.name, InstanceIds=[gone], ShouldDecrementDesiredCapacity=False
    )
    assert len(group.ids) == 3
    assert gone not in group.ids
    found = group.ec2.describe_instances(InstanceIds=[gone])["Reservations"][0]["Instances"][0]
    assert found["State"]["Name"] == "running"
    group.ec2.terminate_instances(InstanceIds=[gone])
    assert len(group.ids) == 3


def test_instances_spread_over_the_zones(group: Group) -> None:
    assert sorted(Counter(each["AvailabilityZone"] for each in group.instances).values()) == [1, 2]


def test_the_oldest_version_in_the_fullest_zone_leaves_first(group: Group) -> None:
    group.new_version("1.36.1")
    group.scaling.set_desired_capacity(AutoScalingGroupName=group.name, DesiredCapacity=4)
    group.scaling.update_auto_scaling_group(AutoScalingGroupName=group.name, MinSize=0, MaxSize=2)
    zones = {each["AvailabilityZone"] for each in group.instances}
    assert len(zones) == 2
    assert "2" in group.versions


def test_an_update_that_names_no_template_keeps_it(group: Group) -> None:
    before = group.description["LaunchTemplate"]
    group.scaling.update_auto_scaling_group(AutoScalingGroupName=group.name, MinSize=1)
    assert group.description["LaunchTemplate"] == before


def test_launch_suspended_means_no_replacement(group: Group) -> None:
    group.scaling.suspend_processes(AutoScalingGroupName=group.name, ScalingProcesses=["Launch"])
    group.ec2.terminate_instances(InstanceIds=group.ids[:1])
    assert len(group.ids) == 2


def test_a_warm_pool_that_is_not_there_is_no_error(group: Group) -> None:
    answer = group.scaling.describe_warm_pool(AutoScalingGroupName=group.name)
    assert answer["Instances"] == []
    assert "WarmPoolConfiguration" not in answer


def test_a_warm_pool_of_no_group_is_a_validation_error(scaling: Any) -> None:
    with pytest.raises(ClientError) as refused:
        scaling.describe_warm_pool(AutoScalingGroupName="nobody")
    assert code(refused) == "ValidationError"


def test_an_instance_type_is_offered_in_its_zones(ec2: Any) -> None:
    """kOps' own way to find the type of a group that names none."""
    asked = {"InstanceType": "t3.medium", "OfferingType": "No Upfront", "ProductDescription": "Linux/UNIX (Amazon VPC)"}
    found = ec2.describe_reserved_instances_offerings(**asked)["ReservedInstancesOfferings"]
    assert {"us-east-1a", "us-east-1b", "us-east-1c"} <= {each["AvailabilityZone"] for each in found}
    assert {each["InstanceType"] for each in found} == {"t3.medium"}


def test_root_volumes_are_provisioned_as_the_template_says(ec2: Any, scaling: Any, network: Network) -> None:
    group = Group(ec2, scaling, network)
    ebs = {"VolumeType": "io2", "VolumeSize": 80, "Iops": 2000, "Encrypted": True}
    data = template_data(ec2, network) | {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": ebs}]}
    ec2.create_launch_template_version(LaunchTemplateId=group.template, LaunchTemplateData=data)
    before = group.ids
    ec2.terminate_instances(InstanceIds=before[:1])
    (new,) = set(group.ids) - set(before)
    (volume,) = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [new]}])["Volumes"]
    assert {name: volume[name] for name in ("VolumeType", "Size", "Iops", "Encrypted")} == {
        "VolumeType": "io2",
        "Size": 80,
        "Iops": 2000,
        "Encrypted": True,
    }
    group.delete()


def test_an_instance_may_be_ended_twice(group: Group) -> None:
    gone = group.ids[0]
    for _ in range(2):
        group.ec2.terminate_instances(InstanceIds=[gone])
    assert len(group.ids) == 3


def test_what_no_group_has_is_neither_ended_nor_detached_as_its_member(group: Group) -> None:
    gone, stays = group.ids[0], group.ids[1]
    asked = {"AutoScalingGroupName": group.name, "ShouldDecrementDesiredCapacity": False}
    group.scaling.detach_instances(InstanceIds=[gone], **asked)
    with pytest.raises(ClientError, match=f"ValidationError.*The instance {gone} is not part of Auto Scaling group"):
        group.scaling.detach_instances(InstanceIds=[stays, gone], **asked)
    assert stays in group.ids
    for identity in (gone, "i-0123456789abcdef0"):
        with pytest.raises(ClientError, match=f"ValidationError.*No managed instance found for instance ID {identity}"):
            group.scaling.terminate_instance_in_auto_scaling_group(
                InstanceId=identity, ShouldDecrementDesiredCapacity=False
            )
    group.ec2.terminate_instances(InstanceIds=[gone])


def test_a_mixed_instances_policy_outlives_an_update(ec2: Any, scaling: Any, network: Network) -> None:
    base = Group(ec2, scaling, network)
    policy = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateId": base.template, "Version": "1"},
            "Overrides": [{"InstanceType": "m5.large"}, {"InstanceType": "m5a.large"}],
        },
        "InstancesDistribution": {"OnDemandBaseCapacity": 1, "OnDemandPercentageAboveBaseCapacity": 0},
    }
    group = Group(ec2, scaling, network, MixedInstancesPolicy=policy)
    scaling.update_auto_scaling_group(AutoScalingGroupName=group.name, MinSize=4)
    told = group.description
    assert "LaunchTemplate" not in told
    assert len(told["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]) == 2
    assert {each["InstanceType"] for each in told["Instances"]} == {"m5.large"}
    found = ec2.describe_instances(InstanceIds=group.ids)["Reservations"]
    spot = [each.get("InstanceLifecycle") for entry in found for each in entry["Instances"]]
    assert spot.count("spot") == 3
    group.delete()
    base.delete()


def test_nothing_is_left_of_a_deleted_group(ec2: Any, scaling: Any, account: Sandbox) -> None:
    network = Network(ec2, "10.9.0.0/16")
    group = Group(ec2, scaling, network)
    volumes = [{"Name": "tag:owner", "Values": ["us"]}]
    assert len(ec2.describe_volumes(Filters=volumes)["Volumes"]) == 3
    assert all(each["Size"] == 64 for each in ec2.describe_volumes(Filters=volumes)["Volumes"])
    group.delete()
    assert ec2.describe_volumes(Filters=volumes)["Volumes"] == []
    there = [{"Name": "vpc-id", "Values": [network.vpc]}]
    assert ec2.describe_network_interfaces(Filters=there)["NetworkInterfaces"] == []


def test_instances_join_and_leave_the_groups_load_balancer(account: Sandbox, group: Group) -> None:
    balancing = clients(account)("elbv2")
    made = balancing.create_target_group(Name="tg", Protocol="TCP", Port=443, VpcId=group.network.vpc)
    target_group = made["TargetGroups"][0]["TargetGroupArn"]
    group.scaling.attach_load_balancer_target_groups(AutoScalingGroupName=group.name, TargetGroupARNs=[target_group])

    def targets() -> set[str]:
        health = balancing.describe_target_health(TargetGroupArn=target_group)["TargetHealthDescriptions"]
        return {each["Target"]["Id"] for each in health}

    assert targets() == set(group.ids)
    group.ec2.terminate_instances(InstanceIds=group.ids[:1])
    assert set(group.ids) >= targets()
    group.scaling.set_desired_capacity(AutoScalingGroupName=group.name, DesiredCapacity=5)
    assert targets() == set(group.ids)
    group.scaling.set_desired_capacity(AutoScalingGroupName=group.name, DesiredCapacity=3)
    assert targets() == set(group.ids)


def test_a_target_groups_name_may_have_two_hyphens_side_by_side(account: Sandbox, group: Group) -> None:
    balancing = clients(account)("elbv2")
    wanted = {"Name": "tcp-minimal-example--bne5ih", "Protocol": "TCP", "Port": 443, "VpcId": group.network.vpc}
    balancing.create_target_group(**wanted)
    (found,) = balancing.describe_target_groups(Names=[wanted["Name"]])["TargetGroups"]
    assert found["TargetGroupName"] == wanted["Name"]
    with pytest.raises(ClientError, match="DuplicateTargetGroupName"):
        balancing.create_target_group(**wanted)
    balancing.delete_target_group(TargetGroupArn=found["TargetGroupArn"])


def test_a_subnet_in_use_is_not_deleted(ec2: Any, scaling: Any, account: Sandbox) -> None:
    network = Network(ec2, "10.8.0.0/16")
    group = Group(ec2, scaling, network)
    with pytest.raises(ClientError) as refused:
        ec2.delete_subnet(SubnetId=network.subnets[0])
    assert code(refused) == "DependencyViolation"
    group.delete()
    balancer = clients(account)("elb")
    balancer.create_load_balancer(
        LoadBalancerName="service",
        Listeners=[{"Protocol": "TCP", "LoadBalancerPort": 80, "InstancePort": 30000}],
        Subnets=network.subnets[:1],
    )
    with pytest.raises(ClientError) as refused:
        ec2.delete_subnet(SubnetId=network.subnets[0])
    assert "load balancer service" in str(refused.value)
    balancer.delete_load_balancer(LoadBalancerName="service")
    ec2.delete_subnet(SubnetId=network.subnets[0])


def test_a_rule_for_a_protocol_without_ports_needs_none(ec2: Any, network: Network) -> None:
    """As kOps makes one for Calico."""
    made = ec2.create_security_group(GroupName="ip-in-ip", Description="x", VpcId=network.vpc)["GroupId"]
    permission = {"IpProtocol": "4", "UserIdGroupPairs": [{"GroupId": made}]}
    ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[permission])
    (found,) = ec2.describe_security_groups(GroupIds=[made])["SecurityGroups"][0]["IpPermissions"]
    assert (found["IpProtocol"], found["UserIdGroupPairs"][0]["GroupId"]) == ("4", made)
    ec2.delete_security_group(GroupId=made)


def test_a_deleted_subnet_leaves_its_route_table(ec2: Any) -> None:
    network = Network(ec2, "10.7.0.0/16")
    table = ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=network.subnets[0])
    ec2.delete_subnet(SubnetId=network.subnets[0])
    ec2.delete_route_table(RouteTableId=table)


def test_a_resource_has_its_own_tags_and_no_others(ec2: Any) -> None:
    one, other = (ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"] for _ in range(2))
    ec2.create_tags(Resources=[one, other], Tags=[{"Key": "team", "Value": "shop"}, {"Key": "tier", "Value": "front"}])
    ec2.create_tags(Resources=[other], Tags=[{"Key": "tier", "Value": "back"}])
    ec2.delete_tags(Resources=[one], Tags=[{"Key": "team"}])

    def found(*filters: tuple[str, str]) -> dict[str, dict[str, str]]:
        asked = [{"Name": name, "Values": [value]} for name, value in (("cidr", "10.77.0.0/16"), *filters)]
        vpcs = ec2.describe_vpcs(Filters=asked)["Vpcs"]
        return {each["VpcId"]: {tag["Key"]: tag["Value"] for tag in each.get("Tags", ())} for each in vpcs}

    told = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [other]}])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in told} == {"team": "shop", "tier": "back"}
    assert found() == {one: {"tier": "front"}, other: {"team": "shop", "tier": "back"}}
    assert list(found(("tag:tier", "back"))) == list(found(("tag-key", "team"))) == [other]
    for each in (one, other):
        ec2.delete_vpc(VpcId=each)


def test_missing_dhcp_options_have_the_code_that_kops_looks_for(ec2: Any) -> None:
    with pytest.raises(ClientError) as refused:
        ec2.describe_dhcp_options(DhcpOptionsIds=["dopt-0123"])
    assert code(refused) == "InvalidDhcpOptionsID.NotFound"


def test_private_zones_are_found_by_their_vpc(account: Sandbox, network: Network) -> None:
    route53 = clients(account)("route53")
    where = {"VPCId": network.vpc, "VPCRegion": "us-east-1"}
    made = route53.create_hosted_zone(
        Name="k8s.example.com", CallerReference="1", VPC=where, HostedZoneConfig={"PrivateZone": True}
    )
    identity = made["HostedZone"]["Id"]
    found = route53.list_hosted_zones_by_vpc(**where)["HostedZoneSummaries"]
    assert [each["HostedZoneId"] for each in found] == [identity.removeprefix("/hostedzone/")]
    assert route53.get_hosted_zone(Id=identity)["VPCs"] == [where]


def test_the_image_of_the_stable_channel_is_there(ec2: Any) -> None:
    name = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260218"
    found = ec2.describe_images(Owners=["099720109477"], Filters=[{"Name": "name", "Values": [name]}])["Images"]
    assert [(each["RootDeviceName"], each["Architecture"]) for each in found] == [("/dev/sda1", "x86_64")]


def test_node_assets_have_their_published_hash(account: Sandbox) -> None:
    url = f"{account.environment['KOPS_BASE_URL']}/linux/amd64/nodeup"
    with urllib.request.urlopen(url) as asset, urllib.request.urlopen(f"{url}.sha256") as published:  # noqa: S310
        assert published.read().decode().strip() == hashlib.sha256(asset.read()).hexdigest()


def test_a_broken_request_is_answered(account: Sandbox) -> None:
    request = urllib.request.Request(account.endpoint, data=b"\xff\xfe", method="POST")  # noqa: S310
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)  # noqa: S310
    assert refused.value.code >= 400


def test_user_data_of_a_first_and_a_later_version_read_back_alike(group: Group) -> None:
    group.new_version("1.36.1")
    found = group.ec2.describe_launch_template_versions(LaunchTemplateId=group.template)["LaunchTemplateVersions"]
    told = {each["VersionNumber"]: base64.b64decode(each["LaunchTemplateData"]["UserData"]) for each in found}
    assert b"1.35.5" in told[1]
    assert b"1.36.1" in told[2]


def test_a_key_pair_is_deleted_by_its_id(account: Sandbox) -> None:
    ec2 = clients(account)("ec2")
    made = [ec2.create_key_pair(KeyName=name)["KeyPairId"] for name in ("going", "staying")]
    ec2.delete_key_pair(KeyPairId=made[0])
    assert "going" not in {each["KeyName"] for each in ec2.describe_key_pairs()["KeyPairs"]}
    assert "staying" in {each["KeyName"] for each in ec2.describe_key_pairs()["KeyPairs"]}
