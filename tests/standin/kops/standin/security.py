"""Security groups, their rules, and IAM. Names, fields and rules as recorded; the bastion's from documentation."""

import json
from collections.abc import Iterator
from typing import Any

from standin.aws import AwsFail, tag_list
from standin.say import Field
from standin.world import Task, World

_MASTER_PORTS = (22, 443, 2380, 2381, 3988, 4001, 4002, 4789, 179, 8443)


def tasks(world: World) -> Iterator[Task]:
    groups = {"masters": _ports(*_MASTER_PORTS) + ", port=3:4, port=-1", "nodes": _ports(22)}
    if world.balanced:
        groups["api-elb"] = _ports(443)
    if world.bastions():
        groups |= {"bastion": _ports(22), "bastion-elb": _ports(22)}
    for short, ports in groups.items():
        yield _group(world, short, ports)
    for name, fields in rules(world):
        yield _rule(world, name, fields)
    for short in ["masters", "nodes", *(["bastions"] if world.bastions() else [])]:
        yield from _identity(world, short)


def _ports(*ports: int) -> str:
    return ", ".join(f"port={port}" for port in ports)


def _group(world: World, short: str, ports: str) -> Task:
    name = f"{short}.{world.name}"
    text = f"Security group for {short.removesuffix('-elb')} ELB" if "-elb" in short else f"Security group for {short}"

    def make() -> None:
        specs = world.tag_specs("security-group", name)
        asked = {"GroupName": name, "Description": text, "VpcId": world.vpc_id(), "TagSpecifications": specs}
        world.aws.call("ec2", "create_security_group", **asked)

    fields = [("Description", text), ("VPC", f"name:{world.name}"), ("RemoveExtraRules", f"[{ports}]")]
    fields.append(world.shown_tags(name))
    return Task("SecurityGroup", name, fields, lambda: {} if world.security_group(name) else None, make)


def rules(world: World) -> Iterator[tuple[str, list[Field]]]:
    """Name and fields of each rule, as kOps shows them."""
    name = world.name
    masters, nodes, elb = f"masters.{name}", f"nodes.{name}", f"api-elb.{name}"
    for cidr in world.spec.get("sshAccess", ()):
        for target in [f"bastion-elb.{name}"] if world.bastions() else [masters, nodes]:
            yield _open(world, cidr, target, 22)
    for cidr in world.spec.get("kubernetesApiAccess", ()):
        yield _open(world, cidr, elb if world.balanced else masters, 443)
    every = [masters, nodes, *([elb] if world.balanced else [])]
    every += [f"bastion.{name}", f"bastion-elb.{name}"] if world.bastions() else []
    for group in every:
        for key, cidr in (("CIDR", "0.0.0.0/0"), ("IPv6CIDR", "::/0")):
            title = f"from-{group}-egress-all-0to0-{cidr}"
            yield title, [("SecurityGroup", f"name:{group}"), (key, cidr), ("Egress", "true"), world.shown_tags(title)]
    for source, target in ((masters, masters), (masters, nodes), (nodes, nodes)):
        yield _between(world, source, target)
    for low, high in ((1, 2379), (2382, 4000), (4003, 65535)):
        yield _between(world, nodes, masters, "tcp", low, high)
    yield _between(world, nodes, masters, "udp", 1, 65535)
    if world.bastions():
        yield _between(world, f"bastion-elb.{name}", f"bastion.{name}", "tcp", 22, 22)
        for target in (masters, nodes):
            yield _between(world, f"bastion.{name}", target, "tcp", 22, 22)
    if world.balanced:
        yield from _balancer(world, masters, nodes, elb)


def _balancer(world: World, masters: str, nodes: str, elb: str) -> Iterator[tuple[str, list[Field]]]:
    yield "https-elb-to-master", _plain(masters, "tcp", 443, 443, elb)
    for cidr in world.spec.get("kubernetesApiAccess", ()):
        six = ":" in cidr
        where = [("SecurityGroup", f"name:{elb}"), ("IPv6CIDR" if six else "CIDR", cidr)]
        ports = [("Protocol", "icmpv6"), *_range(-1, -1)] if six else [("Protocol", "icmp"), *_range(3, 4)]
        yield f"{'icmpv6' if six else 'icmp'}-pmtu-api-elb-{cidr}", where + ports
    yield "icmp-pmtu-cp-to-elb", _plain(elb, "icmp", 3, 4, masters)
    yield "icmp-pmtu-elb-to-cp", _plain(masters, "icmp", 3, 4, elb)
    if world.dns == "none":
        yield "kops-controller-elb-to-cp", _plain(masters, "tcp", 3988, 3988, elb)
        yield "node-to-elb", [("SecurityGroup", f"name:{elb}"), ("SourceGroup", f"name:{nodes}")]


def _range(low: int, high: int) -> list[Field]:
    return [("FromPort", str(low)), ("ToPort", str(high))]


def _plain(target: str, protocol: str, low: int, high: int, source: str) -> list[Field]:
    where = [("SecurityGroup", f"name:{target}"), ("Protocol", protocol), *_range(low, high)]
    return [*where, ("SourceGroup", f"name:{source}")]


def _open(world: World, cidr: str, target: str, port: int) -> tuple[str, list[Field]]:
    title = f"from-{cidr}-ingress-tcp-{port}to{port}-{target}"
    where = [("SecurityGroup", f"name:{target}"), ("IPv6CIDR" if ":" in cidr else "CIDR", cidr), ("Protocol", "tcp")]
    return title, [*where, *_range(port, port), world.shown_tags(title)]


def _between(
    world: World, source: str, target: str, protocol: str = "all", low: int = 0, high: int = 0
) -> tuple[str, list[Field]]:
    title = f"from-{source}-ingress-{protocol}-{low}to{high}-{target}"
    ports = [] if protocol == "all" else [("Protocol", protocol), *_range(low, high)]
    fields = [("SecurityGroup", f"name:{target}"), *ports, ("SourceGroup", f"name:{source}")]
    return title, [*fields, world.shown_tags(title)]


def _rule(world: World, name: str, fields: list[Field]) -> Task:  # noqa: C901 - three closures over the same values
    values = dict(fields)
    egress, protocol = "Egress" in values, values.get("Protocol", "-1")
    low, high = int(values.get("FromPort", -1)), int(values.get("ToPort", -1))

    def source(named: str) -> str:
        return str(world.security_group(values[named].removeprefix("name:"))["GroupId"])

    def ported(permission: dict[str, Any]) -> bool:
        number = {"58": "icmpv6"}.get(permission["IpProtocol"], permission["IpProtocol"])
        fits = protocol == "-1" or (permission.get("FromPort"), permission.get("ToPort")) == (low, high)
        return bool(number == protocol and fits)

    def same(permission: dict[str, Any]) -> bool:
        if not ported(permission):
            return False
        if "CIDR" in values:
            return any(one["CidrIp"] == values["CIDR"] for one in permission.get("IpRanges", ()))
        if "IPv6CIDR" in values:
            return any(one["CidrIpv6"] == values["IPv6CIDR"] for one in permission.get("Ipv6Ranges", ()))
        return any(one["GroupId"] == source("SourceGroup") for one in permission.get("UserIdGroupPairs", ()))

    def find() -> Any:
        group = world.security_group(values["SecurityGroup"].removeprefix("name:"))
        if group is None or ("SourceGroup" in values and not world.security_group(values["SourceGroup"][5:])):
            return None
        return {} if any(map(same, group["IpPermissionsEgress" if egress else "IpPermissions"])) else None

    def make() -> None:
        asked: dict[str, Any] = {"IpProtocol": protocol}
        if protocol != "-1":
            asked |= {"FromPort": low, "ToPort": high}
        if "CIDR" in values:
            asked["IpRanges"] = [{"CidrIp": values["CIDR"]}]
        elif "IPv6CIDR" in values:
            asked["Ipv6Ranges"] = [{"CidrIpv6": values["IPv6CIDR"]}]
        else:
            asked["UserIdGroupPairs"] = [{"GroupId": source("SourceGroup")}]
        operation = f"authorize_security_group_{'egress' if egress else 'ingress'}"
        try:
            world.aws.call("ec2", operation, GroupId=source("SecurityGroup"), IpPermissions=[asked])
        except AwsFail as error:
            if "Duplicate" not in error.code:  # AWS makes a new group's rule for 0.0.0.0/0 by itself
                raise

    return Task("SecurityGroupRule", name, fields, find, make)


def _identity(world: World, short: str) -> Iterator[Task]:
    name = f"{short}.{world.name}"
    tags = world.tags(name)
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    statement = {"Effect": "Allow", "Action": ["ec2:Describe*", "autoscaling:Describe*"], "Resource": "*"}
    override = {"masters": "master", "nodes": "node", "bastions": "bastion"}[short] + "-policyoverride"

    def policy(one: dict[str, Any]) -> str:
        return json.dumps({"Version": "2012-10-17", "Statement": [one]})

    def call(operation: str, **parameters: Any) -> Any:
        return world.aws.call("iam", operation, **parameters)

    def asked(operation: str, **parameters: Any) -> Any:
        return world.asked("iam", operation, **parameters)

    def found(operation: str, **parameters: Any) -> Any:
        return None if asked(operation, **parameters) is None else {}

    def profile() -> Any:
        return asked("get_instance_profile", InstanceProfileName=name)

    shown = world.shown_tags(name)
    yield Task(
        "IAMRole",
        name,
        [shown, ("ExportWithID", short)],
        lambda: found("get_role", RoleName=name),
        lambda: call("create_role", RoleName=name, AssumeRolePolicyDocument=policy(trust), Tags=tag_list(tags)),
    )
    if short != "bastions":
        yield Task(
            "IAMRolePolicy",
            name,
            [("Role", f"name:{name}"), ("Managed", "false")],
            lambda: found("get_role_policy", RoleName=name, PolicyName=name),
            lambda: call("put_role_policy", RoleName=name, PolicyName=name, PolicyDocument=policy(statement)),
        )
    managed = [("Role", f"name:{name}"), ("Managed", "true")]
    yield Task("IAMRolePolicy", override, managed, lambda: found("get_role", RoleName=name), lambda: None)
    yield Task(
        "IAMInstanceProfile",
        name,
        [shown, ("Shared", "false")],
        lambda: {} if profile() else None,
        lambda: call("create_instance_profile", InstanceProfileName=name, Tags=tag_list(tags)),
    )
    yield Task(
        "IAMInstanceProfileRole",
        name,
        [("InstanceProfile", f"name:{name} id:{name}"), ("Role", f"name:{name}")],
        lambda: {} if profile() and profile()["InstanceProfile"]["Roles"] else None,
        lambda: call("add_role_to_instance_profile", InstanceProfileName=name, RoleName=name),
    )
