"""A kOps cluster on an emulated account is found wholly, and nothing else is."""

from collections.abc import Callable
from fnmatch import fnmatch

import boto3
import pytest
from moto.ec2.models import ec2_backends

from boatyard.aws import policy
from boatyard.aws.account import Account
from boatyard.aws.inventory import Found, account_resources, cluster_resources, enabled_regions
from boatyard.aws.orphans import clusters_in
from tests.unit.aws.planted import Planted, pairs, record, tags, warm

pytestmark = pytest.mark.account

REGION = "eu-central-1"
NAME = "k8s.example.com"
NEIGHBOURS = ("prod.k8s.example.com", "my-k8s.example.com", "k8s.example.com.au")
"""A name below ours, one that ends like ours, one that begins like ours."""

Keys = set[tuple[str, str]]


@pytest.fixture(autouse=True)
def _warm(aws: None) -> None:
    warm(REGION)


def scan(account: Account, cluster: str = NAME) -> list[Found]:
    return cluster_resources(
        account,
        cluster,
        state_store="s3://kops-store",
        dns_zone=None,
        discovery_store="s3://kops-store-discovery",
    )


def keys(found: list[Found]) -> Keys:
    return {(each.kind, each.identity) for each in found}


def only(found: list[Found], kind: str) -> list[Found]:
    return [each for each in found if each.kind == kind]


def test_an_empty_account_has_nothing(account: Account) -> None:
    assert scan(account) == []
    assert account_resources(account, regions=[REGION]) == {}


def test_every_kind_is_found_once_with_its_price(account: Account) -> None:
    planted = Planted(NAME, REGION)
    found = scan(account)
    assert keys(found) == planted.made
    assert len(found) == len(planted.made)
    assert {each.cluster for each in found} == {NAME}
    assert {each.region for each in found} == {REGION, "global"}
    [nat] = only(found, "nat-gateway")
    assert nat.monthly_cost == pytest.approx(32.85)
    [machine] = only(found, "instance")
    assert machine.monthly_cost == pytest.approx(0.0416 * 730)
    assert machine.created is not None
    assert machine.state == "running"
    [vpc] = only(found, "vpc")
    assert (vpc.name, vpc.monthly_cost) == (NAME, 0.0)
    [snapshot] = only(found, "snapshot")
    assert snapshot.monthly_cost is None


def test_neighbours_with_like_names_are_never_mixed_up(account: Account) -> None:
    worlds = [Planted(name, REGION, cidr=f"10.{at}.0.0/16") for at, name in enumerate((NAME, *NEIGHBOURS))]
    zone = boto3.client("route53", REGION).create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]
    identity = zone["Id"].removeprefix("/hostedzone/")
    for world in worlds[:3]:
        for name in (f"api.{world.cluster}", f"bastion.{world.cluster}", f"etcd-events-b.internal.{world.cluster}"):
            record(identity, name, "192.0.2.1")
            world.add("route53-record", f"{identity}/A/{name}")
    record(identity, f"www.{NAME}", "192.0.2.1")
    for world in worlds:
        assert keys(scan(account, world.cluster)) == world.made
    whole = account_resources(account, regions=[REGION])
    buckets = {"state-store", "oidc-discovery"}
    assert set(whole) == {world.cluster for world in worlds}
    for world in worlds:
        assert keys(whole[world.cluster]) == {key for key in world.made if key[0] not in buckets}


def test_without_tags_the_vpc_names_and_attachment_tell(account: Account) -> None:
    planted = Planted(NAME, REGION)
    ec2 = planted.ec2
    lost = {identity for kind, identity in planted.made if identity.split("-")[0] in KEPT_WITHOUT_TAGS}
    for identity in lost - {planted.vpc}:
        ec2.delete_tags(Resources=[identity])
    balancers = boto3.client("elbv2", REGION)
    arns = [identity for kind, identity in planted.made if kind in ("load-balancer", "target-group")]
    balancers.remove_tags(ResourceArns=arns, TagKeys=list(tags(NAME, "x")))
    iam = boto3.client("iam", REGION)
    for role in ("masters", "nodes"):
        iam.untag_role(RoleName=f"{role}.{NAME}", TagKeys=list(tags(NAME, "x")))
    free = {each["VolumeId"] for each in ec2.describe_volumes()["Volumes"] if not each["Attachments"]}
    taken = {key for key in planted.made if key[1] in free or key[0] == "snapshot"}
    found = keys(scan(account))
    assert found >= planted.made - taken
    assert found - planted.made == set()


KEPT_WITHOUT_TAGS = {"subnet", "rtb", "igw", "eigw", "sg", "nat", "eipalloc", "eni", "i", "dopt", "lt", "vol", "key"}


def test_things_that_controllers_left_in_the_vpc_are_found(account: Account) -> None:
    planted = Planted(NAME, REGION)
    ec2 = planted.ec2
    group = ec2.create_security_group(GroupName="k8s-elb-a1b2", Description="x", VpcId=planted.vpc)["GroupId"]
    card = ec2.create_network_interface(SubnetId=planted.subnet)["NetworkInterface"]["NetworkInterfaceId"]
    acl = ec2.create_network_acl(VpcId=planted.vpc)["NetworkAcl"]["NetworkAclId"]
    door = ec2.create_vpc_endpoint(VpcId=planted.vpc, ServiceName=f"com.amazonaws.{REGION}.s3")["VpcEndpoint"]
    left = {
        ("security-group", group),
        ("network-interface", card),
        ("network-acl", acl),
        ("vpc-endpoint", door["VpcEndpointId"]),
    }
    assert keys(scan(account)) == planted.made | left


def test_snapshots_that_others_made_public_are_nobodys(account: Account) -> None:
    planted = Planted(NAME, REGION)
    labels = [{"ResourceType": "snapshot", "Tags": pairs(tags(NAME))}]
    volume = planted.ec2.create_volume(Size=1, AvailabilityZone=f"{REGION}a")["VolumeId"]
    public = planted.ec2.create_snapshot(VolumeId=volume, TagSpecifications=labels)["SnapshotId"]
    ec2_backends[account.id][REGION].snapshots[public].owner_id = "999999999999"
    assert keys(scan(account)) == planted.made


def test_in_a_shared_vpc_only_what_is_the_clusters_counts(account: Account) -> None:
    ec2 = boto3.client("ec2", REGION)
    shared = pairs({f"kubernetes.io/cluster/{NAME}": "shared"})
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    ec2.create_tags(Resources=[vpc, subnet], Tags=shared)
    theirs = ec2.create_security_group(GroupName="web", Description="x", VpcId=vpc)["GroupId"]
    ours = ec2.create_security_group(GroupName=f"nodes.{NAME}", Description="x", VpcId=vpc)["GroupId"]
    ec2.create_network_interface(SubnetId=subnet, Groups=[theirs])
    ec2.create_network_interface(SubnetId=subnet, Groups=[theirs, ours])
    card = ec2.create_network_interface(SubnetId=subnet, Groups=[ours])["NetworkInterface"]["NetworkInterfaceId"]
    ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=subnet, SecurityGroupIds=[theirs])
    assert keys(scan(account)) == {("security-group", ours), ("network-interface", card)}


def test_what_another_cluster_owns_inside_the_vpc_stays_its_own(account: Account) -> None:
    planted = Planted(NAME, REGION)
    guest = planted.ec2.create_security_group(GroupName="guest", Description="x", VpcId=planted.vpc)["GroupId"]
    planted.ec2.create_tags(Resources=[guest], Tags=pairs({"kubernetes.io/cluster/other.example.com": "owned"}))
    assert keys(scan(account)) == planted.made
    assert keys(scan(account, "other.example.com")) == {("security-group", guest)}


def test_what_is_gone_is_none(account: Account) -> None:
    planted = Planted(NAME, REGION)
    gone: Keys = set()
    machines = [identity for kind, identity in planted.made if kind == "instance"]
    boto3.client("autoscaling", REGION).delete_auto_scaling_group(
        AutoScalingGroupName=f"nodes-{REGION}a.{NAME}", ForceDelete=True
    )
    planted.ec2.terminate_instances(InstanceIds=machines)
    [nat] = [identity for kind, identity in planted.made if kind == "nat-gateway"]
    planted.ec2.delete_nat_gateway(NatGatewayId=nat)
    gone |= {("instance", each) for each in machines} | {("nat-gateway", nat)}
    found = scan(account)
    assert keys(found) & gone == set()
    assert {each.state for each in found} & {"terminated", "deleted"} == set()


def test_records_of_external_dns_are_its_clusters(account: Account) -> None:
    route = boto3.client("route53", REGION)
    zone = route.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]
    identity = zone.removeprefix("/hostedzone/")
    for name in ("shop", "other"):
        record(identity, f"{name}.example.com", "192.0.2.1")
    text = f'"heritage=external-dns,external-dns/owner=kops-{NAME},external-dns/resource=ingress/default/shop"'
    record(identity, "a-shop.example.com", text, "TXT")
    wanted = {("route53-record", f"{identity}/A/shop.example.com")}
    wanted.add(("route53-record", f"{identity}/TXT/a-shop.example.com"))
    assert keys(scan(account)) == wanted
    assert keys(account_resources(account, regions=[REGION])[NAME]) == wanted


def test_a_name_too_long_for_aws_is_known_by_its_hash(account: Account) -> None:
    name = "a-cluster-with-a-rather-long-name-indeed-so-long.k8s.example.com"
    planted = Planted(name, REGION)
    assert keys(scan(account, name)) == planted.made


def test_the_tags_name_an_owner(account: Account) -> None:
    ec2 = boto3.client("ec2", REGION)
    made = ec2.create_volume(Size=100, AvailabilityZone=f"{REGION}a", VolumeType="gp2")["VolumeId"]
    ec2.create_tags(Resources=[made], Tags=pairs({**tags(NAME, "data"), "Owner": "team-shop@example.com"}))
    [found] = scan(account)
    assert (found.owner, found.name, found.monthly_cost) == ("team-shop@example.com", "data", 10.0)


def test_thousands_are_listed_page_by_page(account: Account, calls: Callable[[], list[tuple[str, str]]]) -> None:
    ec2, iam = boto3.client("ec2", REGION), boto3.client("iam", REGION)
    labels = [{"ResourceType": "volume", "Tags": pairs(tags(NAME))}]
    for _ in range(1100):
        ec2.create_volume(Size=1, AvailabilityZone=f"{REGION}a", TagSpecifications=labels)
    for at in range(45):
        iam.create_role(RoleName=f"sa-{at}.shop.sa.{NAME}", AssumeRolePolicyDocument="{}", Tags=pairs(tags(NAME)))
    scaling = boto3.client("autoscaling", REGION)
    template = {"LaunchTemplateName": f"nodes.{NAME}"}
    ec2.create_launch_template(**template, LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"})
    for at in range(101):
        group = {"AutoScalingGroupName": f"pool-{at}.{NAME}", "MinSize": 0, "MaxSize": 0, "LaunchTemplate": template}
        scaling.create_auto_scaling_group(**group, AvailabilityZones=[f"{REGION}a"])
    s3 = boto3.client("s3", "us-east-1")
    s3.create_bucket(Bucket="kops-store")
    for at in range(1001):
        s3.put_object(Bucket="kops-store", Key=f"{NAME}/backups/{at}", Body=b"")
    found = scan(account)
    assert len(only(found, "volume")) == 1100
    assert len(only(found, "iam-role")) == 45
    assert [each.state for each in only(found, "state-store")] == ["1001 objects"]
    assert len(only(found, "autoscaling-group")) == 101
    assert len(only(found, "launch-template")) == 1
    assert calls().count(("autoscaling", "DescribeAutoScalingGroups")) == 2
    assert calls().count(("s3", "ListObjectsV2")) == 2 + 1


def test_one_service_that_may_not_be_listed_ends_the_scan(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.client import BaseClient
    from botocore.exceptions import ClientError

    from boatyard.aws.errors import AwsDenied

    ask = BaseClient._make_api_call

    def deny(self: BaseClient, operation: str, parameters: dict[str, object]) -> object:
        if operation == "ListQueues":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation)
        return ask(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", deny)
    with pytest.raises(AwsDenied, match="queues"):
        scan(account)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[tuple[str, str]]]:
    """Every request to AWS: (IAM's word for the service, operation)."""
    from botocore.client import BaseClient

    made: list[tuple[str, str]] = []
    ask = BaseClient._make_api_call

    def count(self: BaseClient, operation: str, parameters: dict[str, object]) -> object:
        made.append((self.meta.service_model.signing_name, operation))
        return ask(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", count)
    return lambda: made


def test_the_readers_policy_allows_every_request_of_a_scan(
    account: Account, calls: Callable[[], list[tuple[str, str]]]
) -> None:
    Planted(NAME, REGION)
    calls().clear()
    scan(account)
    account_resources(account, regions=[REGION])
    enabled_regions(account)
    clusters_in(account, "s3://kops-store")
    document = policy.reader(state_store="kops-store", discovery_store="kops-store-discovery")
    allowed = [action for statement in document["Statement"] for action in statement["Action"]]
    asked = {f"{service}:{S3_ACTIONS.get(operation, operation)}" for service, operation in calls()}
    assert len(asked) > 30
    refused = {each for each in asked if not any(fnmatch(each, pattern) for pattern in allowed)}
    assert refused == {"sts:GetCallerIdentity"}, "which needs no permission"


S3_ACTIONS = {"ListObjectsV2": "ListBucket"}
"""S3's operations that go by another name in policies."""
