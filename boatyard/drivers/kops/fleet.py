"""A cluster's machines: its Auto Scaling groups, found by kOps' tags, their instances, and those that were detached."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from boatyard.aws.account import Account
from boatyard.aws.errors import AwsNotFound, AwsRefused, told
from boatyard.drivers.kops.templates import Newest, Templates

CLUSTER_TAG = "KubernetesCluster"
GROUP_TAG = "kops.k8s.io/instancegroup"
DETACHED_TAG = "kops.k8s.io/detached-from-asg"
"""kOps' own: an instance taken out of its group for a rolling update, which still has to be drained and ended."""
ETCD_TAG = "k8s.io/etcd/"
"""How the tag of etcd's volumes begins: `k8s.io/etcd/main` with the value `a/a,b,c`."""
HIBERNATED_TAG = "boatyard.dev/hibernated"

_NO_MEMBER, _NOT_MANAGED = "is not part of Auto Scaling group", "No managed instance found"
"""In AWS' answers to detaching an instance, and to ending one, that no group has (any more)."""
_ENDING = ("Terminating", "Terminating:Wait", "Terminating:Proceed", "Terminated", "Detaching", "Detached")
_LIVE = ["pending", "running", "stopping", "stopped"]


@dataclass(frozen=True)
class Machine:
    """An instance. `template`: id and version of the launch template it came from; `outdated`: not the group's newest.

    detached: out of its group, not yet ended. in_service: AWS counts it as up.
    """

    id: str
    group: str
    type: str = ""
    template: str = ""
    outdated: bool = False
    in_service: bool = True
    detached: bool = False


@dataclass(frozen=True)
class ScalingGroup:
    """An Auto Scaling group. `group`: kOps' name of it. `remembered`: sizes from before it was put to sleep."""

    name: str
    group: str
    minimum: int
    maximum: int
    desired: int
    machines: tuple[Machine, ...] = ()
    remembered: tuple[int, int, int] | None = None

    @property
    def members(self) -> tuple[Machine, ...]:
        """Those that AWS still counts as its own."""
        return tuple(machine for machine in self.machines if not machine.detached)

    @property
    def detached(self) -> tuple[Machine, ...]:
        return tuple(machine for machine in self.machines if machine.detached)


class Fleet:
    """The machines of one cluster, and the launch templates they come from. `fence` is called before each change."""

    def __init__(
        self, account: Account, cluster: str, templates: Templates, *, fence: Callable[[], None] = lambda: None
    ) -> None:
        self._account, self._cluster, self._fence = account, cluster, fence
        self.templates = templates

    def read(self) -> dict[str, ScalingGroup]:
        """By instance group; instances that are on their way out are not told."""
        filters = [{"Name": f"tag:{CLUSTER_TAG}", "Values": [self._cluster]}]
        found = list(
            self._account.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups[]", Filters=filters)
        )
        if not found:
            return {}
        newest = self.templates.newest(_template(each) for each in found)
        detached = self._detached()
        groups = (_group(each, newest, detached.get(str(each["AutoScalingGroupName"]), [])) for each in found)
        return {each.group: each for each in groups}

    def launched(self, ids: Iterable[str]) -> dict[str, datetime]:
        """Instance → when it was started; those that AWS no longer knows are left out."""
        filters = [{"Name": "instance-id", "Values": sorted(ids)}]
        found = self._account.pages("ec2", "describe_instances", "Reservations[].Instances[]", Filters=filters)
        return {str(each["InstanceId"]): each["LaunchTime"] for each in found}

    def resize(self, group: ScalingGroup, minimum: int, maximum: int, desired: int) -> None:
        """Bounds and size in one request; a no-op when they are so."""
        if (group.minimum, group.maximum, group.desired) == (minimum, maximum, desired):
            return
        self._fence()
        with told(f"resizing {group.name} to {desired}"):
            self._autoscaling.update_auto_scaling_group(
                AutoScalingGroupName=group.name, MinSize=minimum, MaxSize=maximum, DesiredCapacity=desired
            )

    def set_desired(self, group: ScalingGroup, count: int) -> None:
        """How many it should have, within its bounds; a no-op when it is so."""
        if group.desired == count:
            return
        self._fence()
        with told(f"setting {group.name} to {count}"):
            self._autoscaling.set_desired_capacity(
                AutoScalingGroupName=group.name, DesiredCapacity=count, HonorCooldown=False
            )

    def detach(self, group: ScalingGroup, machines: Iterable[Machine]) -> None:
        """Out of the group, which starts others in their place; they live on until they are ended.

        Tagged first, as kOps does it: cut off in between, nobody loses sight of them.
        """
        ids = [machine.id for machine in machines]
        if not ids:
            return
        self._fence()
        with told(f"tagging {', '.join(ids)}"):
            self._account.client("ec2").create_tags(
                Resources=ids,
                Tags=[
                    {"Key": DETACHED_TAG, "Value": group.name},
                    {"Key": CLUSTER_TAG, "Value": self._cluster},
                ],
            )
        self._detach(group.name, ids)

    def _detach(self, group: str, ids: list[str]) -> None:
        """AWS refuses all of them where one is no member any more: its answer was lost, or told of the group late."""
        self._fence()
        try:
            with told(f"detaching {', '.join(ids)} from {group}"):
                self._autoscaling.detach_instances(
                    AutoScalingGroupName=group, InstanceIds=ids, ShouldDecrementDesiredCapacity=False
                )
        except AwsRefused as error:
            if _NO_MEMBER not in error.message:
                raise
            for each in ids if len(ids) > 1 else ():
                self._detach(group, [each])

    def end(self, machine: Machine, *, fewer: bool = False) -> None:
        """End an instance; its group starts another one unless it should have one `fewer`. A no-op when it is gone."""
        try:
            with told(f"ending {machine.id}"):
                if machine.detached or not self._end_member(machine.id, fewer):
                    self._fence()
                    self._account.client("ec2").terminate_instances(InstanceIds=[machine.id])
        except AwsNotFound:
            return

    def _end_member(self, identity: str, fewer: bool) -> bool:
        """False where no group has it any more: it was ended, or taken out, of which AWS told late."""
        self._fence()
        try:
            with told(f"ending {identity}"):
                self._autoscaling.terminate_instance_in_auto_scaling_group(
                    InstanceId=identity, ShouldDecrementDesiredCapacity=fewer
                )
        except AwsRefused as error:
            if _NOT_MANAGED not in error.message:
                raise
            return False
        return True

    def remember(self, group: ScalingGroup) -> None:
        """Note its sizes on the group itself; what was noted before stands."""
        if group.remembered is not None:
            return
        value = f"{group.minimum}/{group.maximum}/{group.desired}"
        self._fence()
        with told(f"tagging {group.name}"):
            self._autoscaling.create_or_update_tags(Tags=[_tag(group.name) | {"Value": value}])

    def forget(self, group: ScalingGroup) -> None:
        """Take the note off again."""
        if group.remembered is None:
            return
        self._fence()
        with told(f"taking a tag off {group.name}"):
            self._autoscaling.delete_tags(Tags=[_tag(group.name)])

    def etcd_volumes(self) -> list[Mapping[str, Any]]:
        """Volumes that hold etcd's data, as EC2 describes them."""
        filters = [{"Name": f"tag:{CLUSTER_TAG}", "Values": [self._cluster]}]
        found = self._account.pages("ec2", "describe_volumes", "Volumes[]", Filters=filters)
        return [each for each in found if any(tag["Key"].startswith(ETCD_TAG) for tag in each.get("Tags") or [])]

    @property
    def _autoscaling(self) -> Any:
        return self._account.client("autoscaling")

    def _detached(self) -> dict[str, list[Machine]]:
        """Auto Scaling group → instances that were taken out of it and still live."""
        filters = [
            {"Name": "tag-key", "Values": [DETACHED_TAG]},
            {"Name": f"tag:{CLUSTER_TAG}", "Values": [self._cluster]},
            {"Name": "instance-state-name", "Values": _LIVE},
        ]
        found: dict[str, list[Machine]] = {}
        for each in self._account.pages("ec2", "describe_instances", "Reservations[].Instances[]", Filters=filters):
            tags = {tag["Key"]: tag["Value"] for tag in each.get("Tags") or []}
            machine = Machine(
                str(each["InstanceId"]),
                tags.get(GROUP_TAG, ""),
                type=str(each.get("InstanceType") or ""),
                outdated=True,
                detached=True,
            )
            found.setdefault(tags[DETACHED_TAG], []).append(machine)
        return found


def _group(each: Mapping[str, Any], newest: Newest, detached: Iterable[Machine]) -> ScalingGroup:
    tags = {tag["Key"]: tag.get("Value") or "" for tag in each.get("Tags") or []}
    name = str(each["AutoScalingGroupName"])
    group = tags.get(GROUP_TAG) or name.partition(".")[0]
    current = _named(_template(each), newest)
    members = [
        _machine(one, group, current, newest)
        for one in each.get("Instances") or []
        if one.get("LifecycleState") not in _ENDING
    ]
    ids = {machine.id for machine in members}
    out = [Machine(one.id, group, type=one.type, outdated=True, detached=True) for one in detached if one.id not in ids]
    return ScalingGroup(
        name,
        group,
        int(each["MinSize"]),
        int(each["MaxSize"]),
        int(each["DesiredCapacity"]),
        (*members, *out),
        _sizes(tags.get(HIBERNATED_TAG)),
    )


def _machine(one: Mapping[str, Any], group: str, current: str, newest: Newest) -> Machine:
    template = _named(one.get("LaunchTemplate") or {}, newest)
    return Machine(
        str(one["InstanceId"]),
        group,
        type=str(one.get("InstanceType") or ""),
        template=template,
        outdated=template != current,
        in_service=one.get("LifecycleState") == "InService",
    )


def _template(group: Mapping[str, Any]) -> Mapping[str, Any]:
    mixed = (group.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}
    found: Mapping[str, Any] = group.get("LaunchTemplate") or mixed.get("LaunchTemplateSpecification") or {}
    return found


def _named(template: Mapping[str, Any], newest: Newest) -> str:
    """`lt-1:3`; `$Default` and `$Latest` as the numbers they stand for today."""
    version = str(template.get("Version") or "$Default")
    given = str(template.get("LaunchTemplateId") or template.get("LaunchTemplateName") or "")
    identity, default, latest = newest.get(given, (given, version, version))
    return f"{identity}:{ {'$Default': default, '$Latest': latest}.get(version, version) }".replace(" ", "")


def _sizes(text: str | None) -> tuple[int, int, int] | None:
    parts = (text or "").split("/")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        return None
    return int(parts[0]), int(parts[1]), int(parts[2])


def _tag(group: str) -> dict[str, Any]:
    return {
        "ResourceId": group,
        "ResourceType": "auto-scaling-group",
        "Key": HIBERNATED_TAG,
        "PropagateAtLaunch": False,
    }
