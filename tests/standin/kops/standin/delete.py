"""`kops delete cluster`: what is listed and deleted, round by round (recorded).

NAT, DNS, roles of service accounts, and what a cluster ordered for its Services: from documentation.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from standin import api, issuer, kubeconfig
from standin.aws import AwsFail, tag_map
from standin.say import Fail, log, out, table
from standin.store import Store
from standin.update import world_of
from standin.world import World

_BUSY = ("DependencyViolation", "ResourceInUse", "VolumeInUse", "DeleteConflict", "InUse")
_GONE = ("NoSuchEntity", "NonExistentQueue", "ResourceNotFound", "NotFound")
_ORDER = [
    "keypair",
    "autoscaling-group",
    "instance",
    "load-balancer",
    "target-group",
    "autoscaling-config",
    "sqs",
    "eventbridge-rule",
    "route53-record",
    "iam-instance-profile",
    "iam-role",
    "oidc-provider",
    "nat-gateway",
    "elastic-ip",
    "volume",
    "internet-gateway",
    "subnet",
    "security-group",
    "route-table",
    "vpc",
    "dhcp-options",
]


@dataclass(frozen=True)
class Thing:
    kind: str
    name: str
    id: str
    delete: Callable[[], Any]

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.id}"


def run(store: Store, name: str, *, yes: bool, wait: float, interval: float) -> None:
    world = world_of(store, name)
    log("delete_cluster.go:143", "Looking for cloud resources to delete")
    found = sorted(things(world), key=lambda one: (one.kind, one.name, one.id))
    if not found:
        out("No cloud resources to delete")
        if not yes:
            out("\nMust specify --yes to unregister the cluster")
            return
    else:
        table(("TYPE", "NAME", "ID"), [(one.kind, one.name, one.id) for one in found])
        if not yes:
            out("\nMust specify --yes to delete cluster")
            return
        out()
        _rounds(found, wait, interval)
    issuer.remove(world)
    store.remove(name)
    kubeconfig.remove(name)
    out(f'\nDeleted cluster: "{name}"')


def _rounds(found: list[Thing], wait: float, interval: float) -> None:
    left, end = sorted(found, key=lambda one: _ORDER.index(one.kind)), time.monotonic() + wait
    instances = [one for one in left if one.kind == "instance"]
    if instances:
        log("aws.go:341", f"Terminating {len(instances)} EC2 instances")
    while True:
        left = [one for one in left if not _deleted(one)]
        if not left:
            return
        out("Not all resources deleted; waiting before reattempting deletion")
        for one in left:
            out(f"\t{one.key}")
        if time.monotonic() + interval > end:
            raise Fail("wait time exceeded during resources deletion")
        time.sleep(interval)


def _deleted(one: Thing) -> bool:
    try:
        one.delete()
    except AwsFail as error:
        if any(word in error.code for word in _BUSY):
            out(f"{one.key}\tstill has dependencies, will retry")
            return False
        if error.code == "InvalidDhcpOptionID.NotFound" or not any(word in error.code for word in _GONE):
            out(f"{one.key}\terror deleting resources, will retry: error deleting {one.kind} {one.id!r}: {error}")
            log("errors.go:32", f'unexpected aws error code: "{error.code}"')
            return False
    out(f"{one.key}\tok")
    return True


def things(world: World) -> Iterator[Thing]:
    yield from _compute(world)
    yield from _network(world)
    yield from _identities(world)
    yield from _balancers(world)
    if world.dns != "none":
        yield from _records(world)


def _do(world: World, service: str, operation: str, **parameters: Any) -> Callable[[], Any]:
    return lambda: world.aws.call(service, operation, **parameters)


def _part(world: World, service: str, operation: str, **parameters: Any) -> None:
    """Take a part off. Gone already (a request sent again after its answer was lost) is as good."""
    try:
        world.aws.call(service, operation, **parameters)
    except AwsFail as error:
        if not any(word in error.code for word in _GONE):
            raise


def _compute(world: World) -> Iterator[Thing]:
    for name, one in world.launch_templates().items():
        known = one["LaunchTemplateId"]
        yield Thing(
            "autoscaling-config", name, known, _do(world, "ec2", "delete_launch_template", LaunchTemplateId=known)
        )
    for name in world.auto_scaling_groups():
        asked = {"AutoScalingGroupName": name, "ForceDelete": True}
        yield Thing("autoscaling-group", name, name, _do(world, "autoscaling", "delete_auto_scaling_group", **asked))
    filters = [{"Name": "tag:KubernetesCluster", "Values": [world.name]}]
    for reservation in world.aws.pages("ec2", "describe_instances", "Reservations", Filters=filters):
        for one in reservation["Instances"]:
            if one["State"]["Name"] not in ("terminated", "shutting-down"):
                known = one["InstanceId"]
                end = _do(world, "ec2", "terminate_instances", InstanceIds=[known])
                yield Thing("instance", tag_map(one.get("Tags")).get("Name", ""), known, end)
    for one in _tagged(world, "describe_volumes", "Volumes", "VolumeId"):
        tags, known = tag_map(one.get("Tags")), one["VolumeId"]
        if any(key.startswith("k8s.io/etcd/") for key in tags) or one["State"] == "available":
            yield Thing("volume", tags.get("Name", ""), known, _do(world, "ec2", "delete_volume", VolumeId=known))
    for one in world.aws.pages("ec2", "describe_key_pairs", "KeyPairs"):
        if one["KeyName"].startswith(f"kubernetes.{world.name}-"):
            known = one["KeyPairId"]
            yield Thing("keypair", one["KeyName"], known, _do(world, "ec2", "delete_key_pair", KeyPairId=known))


_NETWORK = (
    ("security-group", "describe_security_groups", "SecurityGroups", "GroupId", "delete_security_group"),
    ("subnet", "describe_subnets", "Subnets", "SubnetId", "delete_subnet"),
    ("dhcp-options", "describe_dhcp_options", "DhcpOptions", "DhcpOptionsId", "delete_dhcp_options"),
)


def _tagged(world: World, look: str, key: str, identity: str) -> list[Any]:
    """By kOps' own tag, and by the one that controllers inside give to what they order."""
    both = ("tag:KubernetesCluster", world.name), ("tag-key", f"kubernetes.io/cluster/{world.name}")
    found = [world.aws.pages("ec2", look, key, Filters=[{"Name": name, "Values": [value]}]) for name, value in both]
    return list({one[identity]: one for several in found for one in several}.values())


def _own(world: World, look: str, key: str, identity: str) -> list[Any]:
    """Every one with the tag: a creation whose answer was lost and that was sent again made two of one name."""
    shared = f"kubernetes.io/cluster/{world.name}"
    return [one for one in _tagged(world, look, key, identity) if tag_map(one.get("Tags")).get(shared) != "shared"]


def _name(one: Any) -> str:
    return tag_map(one.get("Tags")).get("Name", "")


def _network(world: World) -> Iterator[Thing]:
    for kind, look, key, known, delete in _NETWORK:
        for one in _tagged(world, look, key, known):
            if tag_map(one.get("Tags")).get(f"kubernetes.io/cluster/{world.name}") == "shared":
                continue
            end = _do(world, "ec2", delete, **{known: one[known]})
            end = _emptied(world, one) if kind == "security-group" else end
            yield Thing(kind, tag_map(one.get("Tags")).get("Name", ""), one[known], end)
    tables = _own(world, "describe_route_tables", "RouteTables", "RouteTableId")
    for one in tables:
        yield Thing("route-table", _name(one), one["RouteTableId"], _unrouted(world, one))
    routed = {known for one in tables if (known := _through(one))}
    yield from _gateways(world, sorted(routed))
    yield from _beside(world, routed)
    for one in _own(world, "describe_internet_gateways", "InternetGateways", "InternetGatewayId"):
        yield Thing("internet-gateway", _name(one), one["InternetGatewayId"], _detached(world, one))
    for one in _own(world, "describe_vpcs", "Vpcs", "VpcId"):
        yield Thing("vpc", _name(one), one["VpcId"], _do(world, "ec2", "delete_vpc", VpcId=one["VpcId"]))


def _through(routes: Any) -> str | None:
    return next((one["NatGatewayId"] for one in routes["Routes"] if one.get("NatGatewayId")), None)


def _gateways(world: World, ids: list[str]) -> Iterator[Thing]:
    """Those that routes lead through, whatever became of them, with the addresses that they have or had (source)."""
    for known in ids:
        try:
            asked = {"NatGatewayIds": [known]}
            found = world.aws.pages("ec2", "describe_nat_gateways", "NatGateways", **asked)
        except AwsFail as error:
            if error.code == "NatGatewayNotFound":
                continue
            raise Fail(f"error from DescribeNatGateways: {error}") from None
        for one in found:
            yield Thing("nat-gateway", known, known, _do(world, "ec2", "delete_nat_gateway", NatGatewayId=known))
            for its in one["NatGatewayAddresses"]:
                yield from _addresses(world, its["AllocationId"])


def _beside(world: World, routed: set[str]) -> Iterator[Thing]:
    """Those that only a tag of their subnet names, without their addresses (source)."""
    subnets = _own(world, "describe_subnets", "Subnets", "SubnetId")
    named = {tag_map(one.get("Tags")).get("AssociatedNatgateway") for one in subnets} - routed
    for one in world.aws.pages("ec2", "describe_nat_gateways", "NatGateways"):
        if (known := one["NatGatewayId"]) in named:
            yield Thing("nat-gateway", known, known, _do(world, "ec2", "delete_nat_gateway", NatGatewayId=known))


def _addresses(world: World, known: str) -> Iterator[Thing]:
    try:
        found = world.aws.pages("ec2", "describe_addresses", "Addresses", AllocationIds=[known])
    except AwsFail as error:
        raise Fail(f"error from DescribeAddresses: {error}") from None
    for one in found:
        release = _do(world, "ec2", "release_address", AllocationId=known)
        yield Thing("elastic-ip", one["PublicIp"], known, release)


def _emptied(world: World, group: Any) -> Callable[[], None]:
    """The rules first, since groups name each other in them."""

    def delete() -> None:
        if group["IpPermissions"]:
            asked = {"GroupId": group["GroupId"], "IpPermissions": group["IpPermissions"]}
            try:
                world.aws.call("ec2", "revoke_security_group_ingress", **asked)
            except AwsFail as error:
                if "NotFound" not in error.code:
                    raise
            group["IpPermissions"] = []
        world.aws.call("ec2", "delete_security_group", GroupId=group["GroupId"])

    return delete


def _unrouted(world: World, routes: Any) -> Callable[[], None]:
    def delete() -> None:
        for link in list(routes["Associations"]):
            if not link.get("Main"):
                known = link["RouteTableAssociationId"]
                try:
                    world.aws.call("ec2", "disassociate_route_table", AssociationId=known)
                except AwsFail as error:
                    if "NotFound" not in error.code:
                        raise
                routes["Associations"].remove(link)
        world.aws.call("ec2", "delete_route_table", RouteTableId=routes["RouteTableId"])

    return delete


def _detached(world: World, gateway: Any) -> Callable[[], None]:
    known = gateway["InternetGatewayId"]

    def delete() -> None:
        for link in list(gateway["Attachments"]):
            world.aws.call("ec2", "detach_internet_gateway", InternetGatewayId=known, VpcId=link["VpcId"])
            gateway["Attachments"].remove(link)
        world.aws.call("ec2", "delete_internet_gateway", InternetGatewayId=known)

    return delete


def _identities(world: World) -> Iterator[Thing]:
    for short in ("masters", "nodes", "bastions"):
        name = f"{short}.{world.name}"
        if (profile := world.asked("iam", "get_instance_profile", InstanceProfileName=name)) is not None:
            yield Thing("iam-instance-profile", name, name, _profile(world, profile["InstanceProfile"]))
        if world.asked("iam", "get_role", RoleName=name) is not None:
            yield Thing("iam-role", name, name, _role(world, name))
    for name in issuer.role_names(world):
        if world.asked("iam", "get_role", RoleName=name) is not None:
            yield Thing("iam-role", name, name, _role(world, name))
    for arn in issuer.providers(world):
        delete = _do(world, "iam", "delete_open_id_connect_provider", OpenIDConnectProviderArn=arn)
        yield Thing("oidc-provider", world.name, arn, delete)
    queue = world.asked("sqs", "get_queue_url", QueueName=f"{world.name.replace('.', '-')}-nth")
    if queue:
        url = queue["QueueUrl"]
        yield Thing("sqs", url, url, _do(world, "sqs", "delete_queue", QueueUrl=url))
    for one in world.aws.pages("events", "list_rules", "Rules", NamePrefix=f"{world.name}-"):
        yield Thing("eventbridge-rule", one["Name"], one["Name"], _event(world, one["Name"]))


def _profile(world: World, profile: Any) -> Callable[[], None]:
    name = profile["InstanceProfileName"]

    def delete() -> None:
        for role in list(profile["Roles"]):
            asked = {"InstanceProfileName": name, "RoleName": role["RoleName"]}
            _part(world, "iam", "remove_role_from_instance_profile", **asked)
            profile["Roles"].remove(role)
        world.aws.call("iam", "delete_instance_profile", InstanceProfileName=name)

    return delete


def _role(world: World, name: str) -> Callable[[], None]:
    def delete() -> None:
        for policy in world.aws.call("iam", "list_role_policies", RoleName=name)["PolicyNames"]:
            _part(world, "iam", "delete_role_policy", RoleName=name, PolicyName=policy)
        for one in world.aws.call("iam", "list_attached_role_policies", RoleName=name)["AttachedPolicies"]:
            _part(world, "iam", "detach_role_policy", RoleName=name, PolicyArn=one["PolicyArn"])
        world.aws.call("iam", "delete_role", RoleName=name)

    return delete


def _event(world: World, name: str) -> Callable[[], None]:
    def delete() -> None:
        targets = [one["Id"] for one in world.aws.call("events", "list_targets_by_rule", Rule=name)["Targets"]]
        if targets:
            world.aws.call("events", "remove_targets", Rule=name, Ids=targets)
        world.aws.call("events", "delete_rule", Name=name)

    return delete


def _balancers(world: World) -> Iterator[Thing]:
    known = {one["LoadBalancerArn"]: name for name, one in world.balancers().items()}
    groups = {one["TargetGroupArn"]: name for name, one in world.target_groups().items()}
    for arn in _owned(world, [*known, *groups]):
        if arn in known:
            delete = _do(world, "elbv2", "delete_load_balancer", LoadBalancerArn=arn)
            yield Thing("load-balancer", known[arn], arn, delete)
        else:
            yield Thing(
                "target-group", groups[arn], arn, _do(world, "elbv2", "delete_target_group", TargetGroupArn=arn)
            )

    classic = [one["LoadBalancerName"] for one in world.aws.pages("elb", _LISTED, "LoadBalancerDescriptions")]
    for name in _owned(world, classic, "elb", "LoadBalancerNames", "LoadBalancerName"):
        yield Thing("load-balancer", name, name, _do(world, "elb", "delete_load_balancer", LoadBalancerName=name))


_LISTED = "describe_load_balancers"


def _owned(
    world: World, ids: list[str], service: str = "elbv2", asked: str = "ResourceArns", identity: str = "ResourceArn"
) -> list[str]:
    """Those tagged as this cluster's; AWS tells of twenty at once."""
    found = []
    for at in range(0, len(ids), 20):
        told = world.aws.call(service, "describe_tags", **{asked: ids[at : at + 20]})["TagDescriptions"]
        key = f"kubernetes.io/cluster/{world.name}"
        found += [one[identity] for one in told if tag_map(one["Tags"]).get(key) == "owned"]
    return found


def _records(world: World) -> Iterator[Thing]:
    zone = api.zone_id(world)
    kept = world.aws.pages("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone)
    for one in kept:
        name = one["Name"].rstrip(".")
        if name in api.records(world) and one["Type"] in ("A", "AAAA"):
            batch = {"Changes": [{"Action": "DELETE", "ResourceRecordSet": one}]}
            asked = {"HostedZoneId": zone, "ChangeBatch": batch}
            identity = f"{zone.rpartition('/')[2]}/{name}"
            yield Thing("route53-record", name, identity, _do(world, "route53", "change_resource_record_sets", **asked))
