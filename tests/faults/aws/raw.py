"""Everything that an account of the sandbox holds, by boto3 alone, without asking whose it is."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import boto3

from boatyard.sandbox.aws import Sandbox

_EC2 = (
    ("vpc", "describe_vpcs", "Vpcs", "VpcId"),
    ("subnet", "describe_subnets", "Subnets", "SubnetId"),
    ("security-group", "describe_security_groups", "SecurityGroups", "GroupId"),
    ("route-table", "describe_route_tables", "RouteTables", "RouteTableId"),
    ("internet-gateway", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    ("dhcp-options", "describe_dhcp_options", "DhcpOptions", "DhcpOptionsId"),
    ("nat-gateway", "describe_nat_gateways", "NatGateways", "NatGatewayId"),
    ("address", "describe_addresses", "Addresses", "AllocationId"),
    ("volume", "describe_volumes", "Volumes", "VolumeId"),
    ("network-interface", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
    ("launch-template", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    ("key-pair", "describe_key_pairs", "KeyPairs", "KeyPairId"),
)
_GONE = ("deleted", "terminated", "shutting-down")
_SINGLE = {"vpc", "internet-gateway", "dhcp-options", "launch-template", "group", "subnet", "nat-gateway", "address"}
"""Kinds of which a cluster has at most one of a name; of volumes, those of etcd."""


def everything(sandbox: Sandbox) -> dict[str, str]:
    """Identity → `kind name`."""
    given = sandbox.environment
    session = boto3.Session(given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"], region_name=given["AWS_REGION"])

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=sandbox.endpoint)

    return dict([*_compute(client("ec2")), *_groups(client("autoscaling"), client("elbv2")), *_others(client)])


def doubled(found: Mapping[str, str], cluster: str) -> list[str]:
    """Things of this cluster that there are more of than one by the same kind and name."""
    single = [what for what in found.values() if what.split()[0] in _SINGLE or "etcd" in what]
    counted = Counter(what for what in single if cluster in what)
    return [what for what, count in counted.items() if count > 1]


def _compute(ec2: Any) -> Iterator[tuple[str, str]]:
    for kind, operation, key, identity in _EC2:
        for each in getattr(ec2, operation)()[key]:
            if each.get("State") not in _GONE:
                name = each.get("LaunchTemplateName") or each.get("KeyName") or _name(each.get("Tags"))
                yield each[identity], f"{kind} {name}"
    for reservation in ec2.describe_instances()["Reservations"]:
        for each in reservation["Instances"]:
            if each["State"]["Name"] not in _GONE:
                yield each["InstanceId"], f"instance {_name(each.get('Tags'))}"


def _groups(autoscaling: Any, elbv2: Any) -> Iterator[tuple[str, str]]:
    for each in autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
        yield each["AutoScalingGroupARN"], f"group {each['AutoScalingGroupName']}"
    for each in elbv2.describe_load_balancers()["LoadBalancers"]:
        yield each["LoadBalancerArn"], f"nlb {each['LoadBalancerName']}"
    for each in elbv2.describe_target_groups()["TargetGroups"]:
        yield each["TargetGroupArn"], f"target-group {each['TargetGroupName']}"


def _others(client: Any) -> Iterator[tuple[str, str]]:
    iam, events, sqs, route53, s3 = (client(name) for name in ("iam", "events", "sqs", "route53", "s3"))
    for each in iam.list_roles()["Roles"]:
        yield each["Arn"], f"role {each['RoleName']}"
    for each in iam.list_instance_profiles()["InstanceProfiles"]:
        yield each["Arn"], f"profile {each['InstanceProfileName']}"
    for each in iam.list_policies(Scope="Local")["Policies"]:
        yield each["Arn"], f"policy {each['PolicyName']}"
    for each in events.list_rules()["Rules"]:
        yield each["Arn"], f"rule {each['Name']}"
    for each in sqs.list_queues().get("QueueUrls") or []:
        yield each, f"queue {each}"
    for zone in route53.list_hosted_zones()["HostedZones"]:
        yield zone["Id"], f"zone {zone['Name']}"
        for each in route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]:
            yield f"{zone['Id']} {each['Name']} {each['Type']}", f"record {each['Name']}"
    for bucket in s3.list_buckets()["Buckets"]:
        yield f"s3://{bucket['Name']}", f"bucket {bucket['Name']}"
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"]):
            yield from ((f"s3://{bucket['Name']}/{each['Key']}", f"object {each['Key']}") for each in _of(page))


def _of(page: Mapping[str, Any]) -> Iterable[Any]:
    return page.get("Contents") or []


def _name(tags: Iterable[Mapping[str, str]] | None) -> str:
    return next((tag["Value"] for tag in tags or () if tag["Key"] == "Name"), "")
