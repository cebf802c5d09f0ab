"""What EC2 lists: networks, machines, disks."""

from collections.abc import Iterator, Mapping
from typing import Any

from boatyard.aws import prices
from boatyard.aws.scan import Look, Seen, View, moment, tags_of

_PAGE = {"PageSize": 500}
_SMALL_PAGE = {"PageSize": 100}


def _seen(view: View, kind: str, identity: str, item: Mapping[str, Any], **more: Any) -> Seen:
    tags = tags_of(item.get("Tags") or item.get("TagSet"))
    more.setdefault("name", tags.get("Name", ""))
    return Seen(kind, identity, region=view.region, tags=tags, **more)


def vpcs(view: View) -> Iterator[Seen]:
    for item in view.pages("ec2", "describe_vpcs", "Vpcs[]", PaginationConfig=_PAGE):
        options = item.get("DhcpOptionsId") or "default"
        uses = () if options == "default" else (options,)
        yield _seen(view, "vpc", item["VpcId"], item, uses=uses, state=item.get("State", ""))


def dhcp_options(view: View) -> Iterator[Seen]:
    for item in view.pages("ec2", "describe_dhcp_options", "DhcpOptions[]", PaginationConfig=_PAGE):
        yield _seen(view, "dhcp-options", item["DhcpOptionsId"], item)


def subnets(view: View) -> Iterator[Seen]:
    for item in view.pages("ec2", "describe_subnets", "Subnets[]", PaginationConfig=_PAGE):
        yield _seen(view, "subnet", item["SubnetId"], item, vpc=item["VpcId"], state=item.get("State", ""))


def route_tables(view: View) -> Iterator[Seen]:
    """Without the main ones, which come and go with their VPC."""
    for item in view.pages("ec2", "describe_route_tables", "RouteTables[]", PaginationConfig=_SMALL_PAGE):
        if not any(each.get("Main") for each in item.get("Associations") or ()):
            yield _seen(view, "route-table", item["RouteTableId"], item, vpc=item.get("VpcId"))


def network_acls(view: View) -> Iterator[Seen]:
    """Without the default ones, which come and go with their VPC."""
    for item in view.pages("ec2", "describe_network_acls", "NetworkAcls[]", PaginationConfig=_PAGE):
        if not item.get("IsDefault"):
            yield _seen(view, "network-acl", item["NetworkAclId"], item, vpc=item.get("VpcId"))


def security_groups(view: View) -> Iterator[Seen]:
    """Without the default ones, which come and go with their VPC."""
    for item in view.pages("ec2", "describe_security_groups", "SecurityGroups[]", PaginationConfig=_PAGE):
        if item["GroupName"] != "default":
            yield _seen(
                view, "security-group", item["GroupId"], item, name=item["GroupName"], vpc=item.get("VpcId") or None
            )


def internet_gateways(view: View) -> Iterator[Seen]:
    for item in view.pages("ec2", "describe_internet_gateways", "InternetGateways[]", PaginationConfig=_PAGE):
        yield _seen(view, "internet-gateway", item["InternetGatewayId"], item, vpc=_attached(item))


def egress_only_gateways(view: View) -> Iterator[Seen]:
    for item in view.pages("ec2", "describe_egress_only_internet_gateways", "EgressOnlyInternetGateways[]"):
        yield _seen(
            view, "egress-only-internet-gateway", item["EgressOnlyInternetGatewayId"], item, vpc=_attached(item)
        )


def _attached(item: Mapping[str, Any]) -> str | None:
    return next((each["VpcId"] for each in item.get("Attachments") or () if each.get("VpcId")), None)


def nat_gateways(view: View) -> Iterator[Seen]:
    for item in view.pages("ec2", "describe_nat_gateways", "NatGateways[]", PaginationConfig=_PAGE):
        if item.get("State") == "deleted":
            continue
        yield _seen(
            view,
            "nat-gateway",
            item["NatGatewayId"],
            item,
            vpc=item.get("VpcId"),
            within=_some(item.get("SubnetId")),
            state=item.get("State", ""),
            created=moment(item.get("CreateTime")),
            monthly_cost=prices.NAT_GATEWAY,
        )


def endpoints(view: View) -> Iterator[Seen]:
    for item in view.pages("ec2", "describe_vpc_endpoints", "VpcEndpoints[]", PaginationConfig=_PAGE):
        if str(item.get("State", "")).lower() == "deleted":
            continue
        paid = item.get("VpcEndpointType") == "Interface"
        yield _seen(
            view,
            "vpc-endpoint",
            item["VpcEndpointId"],
            item,
            vpc=item.get("VpcId"),
            state=item.get("State", ""),
            created=moment(item.get("CreationTimestamp")),
            monthly_cost=prices.INTERFACE_ENDPOINT * len(item.get("SubnetIds") or ()) if paid else 0.0,
        )


def network_interfaces(view: View) -> Iterator[Seen]:
    for item in view.pages("ec2", "describe_network_interfaces", "NetworkInterfaces[]", PaginationConfig=_PAGE):
        machine = (item.get("Attachment") or {}).get("InstanceId")
        groups = tuple(each["GroupId"] for each in item.get("Groups") or ())
        yield _seen(
            view,
            "network-interface",
            item["NetworkInterfaceId"],
            item,
            vpc=item.get("VpcId"),
            within=(machine,) if machine else groups,
            state=item.get("Status", ""),
        )


def addresses(view: View) -> Iterator[Seen]:
    for item in view.pages("ec2", "describe_addresses", "Addresses[]"):
        identity = item.get("AllocationId") or item["PublicIp"]
        tags = tags_of(item.get("Tags"))
        yield _seen(
            view,
            "elastic-ip",
            identity,
            item,
            name=tags.get("Name") or item.get("PublicIp", ""),
            within=_some(item.get("InstanceId") or item.get("NetworkInterfaceId")),
            state="in use" if item.get("AssociationId") else "idle",
            monthly_cost=prices.PUBLIC_ADDRESS,
        )


def instances(view: View) -> Iterator[Seen]:
    key = "Reservations[].Instances[]"
    for item in view.pages("ec2", "describe_instances", key, PaginationConfig=_PAGE):
        state = item["State"]["Name"]
        if state == "terminated":
            continue
        cost = prices.instance(item["InstanceType"]) if item.get("InstanceLifecycle") != "spot" else None
        yield _seen(
            view,
            "instance",
            item["InstanceId"],
            item,
            vpc=item.get("VpcId"),
            state=state,
            created=moment(item.get("LaunchTime")),
            monthly_cost=cost if state in ("running", "pending") else 0.0,
        )


def volumes(view: View) -> Iterator[Seen]:
    for item in view.pages("ec2", "describe_volumes", "Volumes[]", PaginationConfig=_PAGE):
        machines = tuple(each["InstanceId"] for each in item.get("Attachments") or () if each.get("InstanceId"))
        yield _seen(
            view,
            "volume",
            item["VolumeId"],
            item,
            within=machines,
            state=item.get("State", ""),
            created=moment(item.get("CreateTime")),
            monthly_cost=prices.volume(
                item.get("VolumeType", ""),
                item["Size"],
                iops=item.get("Iops") or 0,
                throughput=item.get("Throughput") or 0,
            ),
        )


def snapshots(view: View) -> Iterator[Seen]:
    """Whose they are, only tags say: one that somebody took by hand, of whatever volume, is theirs."""
    # AWS needs only `self`; emulators that do not know it would list every public snapshot, region by region.
    ours = [{"Name": "owner-id", "Values": [view.account.id]}]
    parameters = {"OwnerIds": ["self"], "Filters": ours, "PaginationConfig": _PAGE}
    for item in view.pages("ec2", "describe_snapshots", "Snapshots[]", **parameters):
        yield _seen(
            view,
            "snapshot",
            item["SnapshotId"],
            item,
            state=item.get("State", ""),
            created=moment(item.get("StartTime")),
            monthly_cost=prices.snapshot(item.get("FullSnapshotSizeInBytes")),
        )


def launch_templates(view: View) -> Iterator[Seen]:
    pages = view.pages("ec2", "describe_launch_templates", "LaunchTemplates[]", PaginationConfig={"PageSize": 200})
    for item in pages:
        yield _seen(
            view,
            "launch-template",
            item["LaunchTemplateId"],
            item,
            name=item["LaunchTemplateName"],
            created=moment(item.get("CreateTime")),
        )


def key_pairs(view: View) -> Iterator[Seen]:
    for item in view.pages("ec2", "describe_key_pairs", "KeyPairs[]"):
        yield _seen(
            view,
            "keypair",
            item.get("KeyPairId") or item["KeyName"],
            item,
            name=item["KeyName"],
            created=moment(item.get("CreateTime")),
        )


def _some(identity: str | None) -> tuple[str, ...]:
    return (identity,) if identity else ()


LOOKS: tuple[Look, ...] = (
    instances,
    volumes,
    snapshots,
    network_interfaces,
    security_groups,
    subnets,
    vpcs,
    dhcp_options,
    route_tables,
    network_acls,
    internet_gateways,
    egress_only_gateways,
    nat_gateways,
    endpoints,
    addresses,
    launch_templates,
    key_pairs,
)
