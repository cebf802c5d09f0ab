"""One cluster as it should be and as AWS has it; what the tasks are made of."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from standin.aws import Aws, AwsFail, gone, tag_list, tag_map
from standin.say import Fail, Field, tags
from standin.store import Document, Store

Actual = Mapping[str, str]


@dataclass
class Task:
    """A resource kOps cares for.

    fields: shown when it is made. find: what is there of `wanted`, None when it is absent. make: makes or completes it.
    quiet: never shown in a preview (kOps has ten tasks of that kind).
    """

    kind: str
    name: str
    fields: Sequence[Field]
    find: Callable[[], Actual | None]
    make: Callable[[], None]
    wanted: Actual = field(default_factory=dict)
    change: Callable[[], None] | None = None

    def changes(self, actual: Actual) -> list[tuple[str, str, str]]:
        """Field, what is, what is wanted."""
        return [(key, actual[key], want) for key, want in self.wanted.items() if key in actual and actual[key] != want]


class World:
    """The cluster's and groups' documents, AWS and the state store."""

    def __init__(self, cluster: Document, groups: Sequence[Document], aws: Aws, store: Store) -> None:
        self.cluster, self.groups, self.aws, self.store = cluster, list(groups), aws, store
        self.chosen = self.groups  # those that `--instance-group` names
        self.name: str = cluster["metadata"]["name"]
        self.spec: dict[str, Any] = cluster["spec"]

    # what should be

    @property
    def dns(self) -> str:
        """none, public or private."""
        return str(self.spec.get("topology", {}).get("dns", {}).get("type", "Public")).lower()

    @property
    def balanced(self) -> bool:
        """Is there a network load balancer before the API server?"""
        return "loadBalancer" in self.spec.get("api", {})

    @property
    def base(self) -> str:
        return f"{self.store.url}/{self.name}"

    def subnets(self, *types: str) -> list[dict[str, Any]]:
        return [one for one in self.spec["subnets"] if not types or one.get("type", "Public") in types]

    def subnet(self, name: str) -> dict[str, Any]:
        for one in self.spec["subnets"]:
            if one["name"] == name:
                return one
        raise Fail(f'spec.subnets: Invalid value: "{name}": subnet not found')

    def tags(self, name: str, **more: str) -> dict[str, str]:
        own = {"Name": name, "KubernetesCluster": self.name, f"kubernetes.io/cluster/{self.name}": "owned"}
        return own | more

    def shown_tags(self, name: str, **more: str) -> Field:
        return ("Tags", tags(self.tags(name, **more)))

    def masters(self) -> list[Document]:
        return [one for one in self.groups if role(one) == "ControlPlane"]

    def bastions(self) -> list[Document]:
        """Of the chosen groups: where these hold none, kOps takes the cluster for one without (seen, source)."""
        return [one for one in self.chosen if role(one) == "Bastion"]

    def group_named(self, name: str) -> Document | None:
        return next((one for one in self.groups if one["metadata"]["name"] == name), None)

    # what is

    def tagged(self, operation: str, key: str) -> dict[str, Any]:
        """EC2 resources of this cluster, by their Name tag."""
        filters = [{"Name": "tag:KubernetesCluster", "Values": [self.name]}]
        every = self.aws.look(operation, lambda: self.aws.pages("ec2", operation, key, Filters=filters))
        return {tag_map(one.get("Tags")).get("Name", ""): one for one in every}

    def vpc_id(self) -> str | None:
        if shared := self.spec.get("networkID"):
            return str(shared)
        found = self.tagged("describe_vpcs", "Vpcs").get(self.name)
        return found["VpcId"] if found else None

    def subnet_id(self, name: str) -> str | None:
        if shared := self.subnet(name).get("id"):
            return str(shared)
        found = self.tagged("describe_subnets", "Subnets").get(f"{name}.{self.name}")
        return found["SubnetId"] if found else None

    def security_group(self, name: str) -> Any:
        return self.tagged("describe_security_groups", "SecurityGroups").get(name)

    def auto_scaling_groups(self) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            every = self.aws.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups")
            ours = [one for one in every if tag_map(one["Tags"]).get("KubernetesCluster") == self.name]
            return {one["AutoScalingGroupName"]: one for one in ours}

        return dict(self.aws.look("asgs", ask))

    def launch_templates(self) -> dict[str, Any]:
        return {
            one["LaunchTemplateName"]: one
            for one in self.tagged("describe_launch_templates", "LaunchTemplates").values()
        }

    def launch_template(self, name: str) -> Any:
        """The data of the newest version."""

        def ask() -> Any:
            if name not in self.launch_templates():
                return None
            operation, key = "describe_launch_template_versions", "LaunchTemplateVersions"
            known = {"LaunchTemplateName": name, "Versions": ["$Latest"]}
            return self.aws.pages("ec2", operation, key, **known)[0]["LaunchTemplateData"]

        return self.aws.look(f"lt {name}", ask)

    def balancers(self) -> dict[str, Any]:
        return self._by_name("describe_load_balancers", "LoadBalancers", "LoadBalancerName")

    def target_groups(self) -> dict[str, Any]:
        return self._by_name("describe_target_groups", "TargetGroups", "TargetGroupName")

    def _by_name(self, operation: str, key: str, name: str) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            return {one[name]: one for one in self.aws.pages("elbv2", operation, key)}

        return dict(self.aws.look(operation, ask))

    def balancer_name(self, prefix: str = "api") -> str:
        return name32(self.name, prefix)

    def tag_specs(self, kind: str, name: str, **more: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": tag_list(self.tags(name, **more))}]

    def asked(self, service: str, operation: str, **parameters: Any) -> Any:
        """The answer, None when AWS has no such thing; remembered."""

        def ask() -> Any:
            try:
                return self.aws.call(service, operation, **parameters)
            except AwsFail as error:
                if gone(error):
                    return None
                raise

        return self.aws.look(f"{service} {operation} {sorted(parameters.items())}", ask)


def role(group: Document) -> str:
    """ControlPlane, Node or Bastion; stored as Master, Node, Bastion."""
    return {"Master": "ControlPlane"}.get(group["spec"]["role"], group["spec"]["role"])


def cloud_name(world: World, group: Document) -> str:
    """Name of the group's Auto Scaling group and launch template."""
    kind = "masters." if role(group) == "ControlPlane" else ""
    return f"{group['metadata']['name']}.{kind}{world.name}"


def decoded(data: Any) -> str:
    return base64.b64decode(data.get("UserData", "")).decode() if data else ""


def name32(cluster: str, prefix: str) -> str:
    """At most 32 characters with a hash, as kOps cuts names (recorded: api-k8s-example-com-1ddrig)."""
    text = f"{prefix}-{cluster.replace('.', '-')}"
    short = base64.b32hexencode(_fnv1(text.encode()).to_bytes(4, "big")).decode().lower()[:6]
    return f"{text[: 32 - 7]}-{short}"


def _fnv1(data: bytes) -> int:
    """FNV-1a, 32 bits."""
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value
