"""The way to the API server: network load balancer, target groups, listeners (recorded); DNS (documentation).

Bastions have a load balancer of their own, made alike (documentation and source).
"""

import json
from collections.abc import Iterator
from typing import Any

from standin.aws import tag_list
from standin.say import Fail, flag
from standin.world import Task, World

PLACEHOLDER = "203.0.113.123"
"""What kOps writes into DNS before the control plane has its own addresses (documentation)."""


def ports(world: World) -> dict[int, tuple[str, str]]:
    """Port → name of the target group, what answers there."""
    found = {443: (world.balancer_name("tcp"), "kube-apiserver")}
    if world.dns == "none":
        found[3988] = (world.balancer_name("kops-controller"), "kops-controller")
    return found


def bastion_targets(world: World) -> str:
    """Name of the bastions' target group."""
    return world.balancer_name("bastion")


def tasks(world: World) -> Iterator[Task]:
    if world.balanced:
        for port, (name, _) in ports(world).items():
            yield _target_group(world, name, port)
        yield _balancer(world)
        for port, (name, _) in ports(world).items():
            yield _listener(world, port, name)
    if world.bastions():
        yield _target_group(world, bastion_targets(world), 22)
        yield _balancer(world, "bastion")
        yield _listener(world, 22, bastion_targets(world), "bastion")
    if world.dns != "none":
        yield from _dns(world)


def _call(world: World, operation: str, **parameters: Any) -> Any:
    return world.aws.call("elbv2", operation, **parameters)


def _target_group(world: World, name: str, port: int) -> Task:
    check = "HTTPS" if port == 3988 else "TCP"
    attributes = {
        "deregistration_delay.connection_termination.enabled": "true",
        "deregistration_delay.timeout_seconds": "30",
    }

    def make() -> None:
        asked = {"Name": name, "Protocol": "TCP", "Port": port, "VpcId": world.vpc_id(), "TargetType": "instance"}
        asked |= {"HealthCheckProtocol": check, "HealthCheckIntervalSeconds": 10, "HealthyThresholdCount": 2}
        asked |= {"UnhealthyThresholdCount": 2, "Tags": tag_list(world.tags(name))}
        if check == "HTTPS":
            asked["HealthCheckPath"] = "/healthz"
        made = _call(world, "create_target_group", **asked)["TargetGroups"][0]["TargetGroupArn"]
        _call(world, "modify_target_group_attributes", TargetGroupArn=made, Attributes=tag_list(attributes))

    shown = ", ".join(f"{key}: {value}" for key, value in attributes.items())
    fields = [("VPC", f"name:{world.name}"), world.shown_tags(name), ("Port", str(port)), ("Protocol", "TCP")]
    fields += [("Shared", "false"), ("Attributes", f"{{{shown}}}"), ("Interval", "10"), ("HealthyThreshold", "2")]
    fields += [("UnhealthyThreshold", "2"), ("HealthCheckProtocol", check)]
    fields += [("HealthCheckPath", "/healthz")] if check == "HTTPS" else []
    return Task("TargetGroup", name, fields, lambda: {} if name in world.target_groups() else None, make)


def balancer_subnets(world: World, internal: bool) -> list[dict[str, Any]]:
    if internal:
        return world.subnets("Private") or world.subnets("Public")
    return world.subnets("Utility") or world.subnets("Public")


def _balancer(world: World, what: str = "api") -> Task:
    name, short, group = f"{what}.{world.name}", world.balancer_name(what), f"{what}-elb.{world.name}"
    internal = what == "api" and world.spec["api"]["loadBalancer"].get("type") == "Internal"
    scheme = "internal" if internal else "internet-facing"
    subnets = balancer_subnets(world, internal)
    known = [service for _, service in ports(world).values()] if what == "api" else []

    def make() -> None:
        chosen = [world.subnet_id(subnet["name"]) for subnet in subnets]
        groups = [world.security_group(group)["GroupId"]]
        asked = {"Name": short, "Subnets": chosen, "SecurityGroups": groups, "Scheme": scheme, "Type": "network"}
        _call(world, "create_load_balancer", **asked, IpAddressType="ipv4", Tags=tag_list(world.tags(name)))

    fields = [("LoadBalancerBaseName", short), ("CLBName", name)]
    fields.append(("SubnetMappings", json.dumps([_mapping(world, one) for one in subnets], separators=(",", ":"))))
    fields += [("SecurityGroups", f"[name:{group}]"), ("Scheme", scheme)]
    fields += [("CrossZoneLoadBalancing", "true"), ("IpAddressType", "ipv4"), world.shown_tags(name)]
    fields += [("Type", "network"), ("VPC", f"name:{world.name}")]
    fields.append(("AccessLog", '{"Enabled":false,"S3BucketName":null,"S3BucketPrefix":null}'))
    fields.append(("WellKnownServices", f"[{', '.join(known)}]"))
    return Task("NetworkLoadBalancer", name, fields, lambda: {} if short in world.balancers() else None, make)


def _mapping(world: World, subnet: dict[str, Any]) -> dict[str, Any]:
    return {"Subnet": {"Name": f"{subnet['name']}.{world.name}"}, "PrivateIPv4Address": None, "AllocationID": None}


def _listener(world: World, port: int, target: str, what: str = "api") -> Task:
    name, owner = f"{what}.{world.name}-{port}", f"{what}.{world.name}"
    short = world.balancer_name(what)

    def find() -> Any:
        if (balancer := world.balancers().get(short)) is None:
            return None
        known = {"LoadBalancerArn": balancer["LoadBalancerArn"]}
        there = world.aws.look(
            f"listeners {short}", lambda: world.aws.pages("elbv2", "describe_listeners", "Listeners", **known)
        )
        return {} if any(one["Port"] == port for one in there) else None

    def make() -> None:
        arn = world.balancers()[short]["LoadBalancerArn"]
        action = {"Type": "forward", "TargetGroupArn": world.target_groups()[target]["TargetGroupArn"]}
        _call(world, "create_listener", LoadBalancerArn=arn, Protocol="TCP", Port=port, DefaultActions=[action])

    fields = [("NetworkLoadBalancer", f"name:{owner} id:{owner}"), ("Port", str(port))]
    fields += [("TargetGroup", f"name:{target} id:{target}"), ("SSLCertificateID", ""), ("SSLPolicy", "")]
    return Task("NetworkLoadBalancerListener", name, fields, find, make)


def zone_id(world: World) -> str:
    """The hosted zone: `dnsZone`, by id or name, else the nearest one above the cluster's name."""
    wanted, private = world.spec.get("dnsZone", ""), world.dns == "private"
    zones = world.aws.look("zones", lambda: world.aws.pages("route53", "list_hosted_zones", "HostedZones"))
    fits = [zone for zone in zones if zone["Config"]["PrivateZone"] is private]
    exact = [zone for zone in fits if wanted in (zone["Id"].rpartition("/")[2], zone["Name"].rstrip("."))]
    near = [zone for zone in fits if f".{world.name}".endswith(f".{zone['Name'].rstrip('.')}")]
    chosen = exact if wanted else sorted(near, key=lambda zone: -len(zone["Name"]))
    if not chosen:
        raise Fail(f"No matching hosted zones found for {world.name!r}; please create one (e.g. {world.name!r}) first")
    return str(chosen[0]["Id"])


def records(world: World) -> dict[str, str]:
    """Name → the load balancer that it is an alias of, "" for none."""
    public = world.spec.get("masterPublicName") or f"api.{world.name}"
    found = {public: world.balancer_name() if world.balanced else ""}
    found |= {f"api.internal.{world.name}": "", f"kops-controller.internal.{world.name}": ""}
    bastion = world.spec.get("topology", {}).get("bastion", {}).get("bastionPublicName")
    return found | ({bastion: world.balancer_name("bastion")} if bastion and world.bastions() else {})


def _dns(world: World) -> Iterator[Task]:
    yield Task(
        "DNSZone", world.spec.get("dnsZone", world.name), [], lambda: {} if zone_id(world) else None, lambda: None
    )
    for name, alias in records(world).items():
        yield _record(world, name, alias)


def _record(world: World, name: str, alias: str) -> Task:
    def find() -> Any:
        zone = zone_id(world)
        kept = world.aws.look(
            "records",
            lambda: world.aws.pages("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone),
        )
        return {} if any(one["Name"].rstrip(".") == name and one["Type"] == "A" for one in kept) else None

    def make() -> None:
        record: dict[str, Any] = {"Name": name, "Type": "A"}
        if alias:
            found = world.balancers()[alias]
            target = {"DNSName": found["DNSName"], "EvaluateTargetHealth": False}
            record["AliasTarget"] = target | {"HostedZoneId": found["CanonicalHostedZoneId"]}
        else:
            record |= {"TTL": 60, "ResourceRecords": [{"Value": PLACEHOLDER}]}
        batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
        world.aws.call("route53", "change_resource_record_sets", HostedZoneId=zone_id(world), ChangeBatch=batch)

    fields = [("ResourceName", name), ("Zone", f"name:{world.spec.get('dnsZone', world.name)}")]
    return Task("DNSName", name, [*fields, ("ResourceType", "A"), ("Alias", flag(bool(alias)))], find, make)
