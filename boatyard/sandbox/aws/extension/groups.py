"""Auto Scaling groups: instances know what they were launched from, spread over zones, and leave nothing behind."""

import copy
import math
from collections import Counter
from typing import Any

from boatyard.sandbox.aws.extension.mend import compute, mend

LAUNCHED_VERSION = "aws:ec2launchtemplate:version"
"""The tag that AWS puts on an instance: the number of the launch template's version it came from."""

_TERMINATED = 48


def install() -> None:
    """Mend moto's Auto Scaling groups and launch templates."""
    from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState
    from moto.ec2.models.instances import InstanceBackend
    from moto.ec2.models.launch_templates import LaunchTemplate

    for name in ("describe_warm_pool", "put_warm_pool", "delete_warm_pool"):
        mend(AutoScalingBackend, name)(_of_a_group)
    mend(AutoScalingBackend, "terminate_instance")(_terminate_member)
    mend(AutoScalingBackend, "detach_instances")(_detach)
    mend(LaunchTemplate, "create_version")(_create_version)
    mend(FakeAutoScalingGroup, "replace_autoscaling_group_instances")(_replace)
    mend(FakeAutoScalingGroup, "set_desired_capacity")(_set_desired_capacity)
    mend(FakeAutoScalingGroup, "_set_launch_configuration")(_set_launch)
    mend(FakeAutoScalingGroup, "update")(_update)
    mend(InstanceBackend, "terminate_instances")(_terminate_instances)
    compute(FakeAutoScalingGroup, "launch_template")(_group_template)
    compute(InstanceState, "launch_template")(lambda state: getattr(state, "launched_from", None))


def _of_a_group(original: Any, backend: Any, group_name: str, **kwargs: Any) -> Any:
    """Of a warm pool; without such a group AWS answers with a validation error, which kOps takes for "none yet"."""
    from moto.autoscaling.exceptions import ValidationError

    if group_name not in backend.autoscaling_groups:
        raise ValidationError(f"AutoScalingGroup name not found - {group_name}")
    return original(backend, group_name=group_name, **kwargs)


def _terminate_member(original: Any, backend: Any, instance_id: str, should_decrement: bool) -> Any:
    """AWS refuses, in these words, where no group has the instance (any more); moto fails."""
    from moto.autoscaling.exceptions import ValidationError

    if not any(instance_id in _ids(group) for group in backend.autoscaling_groups.values()):
        raise ValidationError(f"Instance Id not found - No managed instance found for instance ID {instance_id}")
    return original(backend, instance_id, should_decrement)


def _detach(original: Any, backend: Any, group_name: str, instance_ids: list[str], should_decrement: bool) -> Any:
    """AWS detaches none where one is no member (any more), and says so in these words; moto passes it over."""
    from moto.autoscaling.exceptions import ValidationError

    members = _ids(backend.autoscaling_groups[group_name])
    if strange := [each for each in instance_ids if each not in members]:
        raise ValidationError(f"The instance {strange[0]} is not part of Auto Scaling group {group_name}.")
    return original(backend, group_name, instance_ids, should_decrement)


def _ids(group: Any) -> set[str]:
    return {state.instance.id for state in group.instance_states}


def _create_version(original: Any, template: Any, data: dict[str, Any], description: str) -> Any:
    """A later version's user data has the type that launching asks for, as the first one's."""
    from moto.ec2.utils import parse_user_data

    given = data.get("UserData")
    return original(template, data | {"UserData": parse_user_data(str(given)) if given else None}, description)


def _replace(original: Any, group: Any, count_needed: int, propagated_tags: dict[str, str]) -> None:
    """Launch instances; moto has its name for it from the replacing of terminated ones."""
    if group.ec2_launch_template is None:
        original(group, count_needed, propagated_tags)
    elif "Launch" not in group._suspended_processes:
        for _ in range(count_needed):
            group.instance_states.append(_launch(group, propagated_tags))


def _set_desired_capacity(original: Any, group: Any, new_capacity: int | None) -> None:
    """Who goes first is decided as AWS does, and the rest keep their order."""
    group.instance_states = _leaving_first(group)
    original(group, new_capacity)
    group.instance_states = sorted(group.instance_states, key=lambda state: state.instance.launch_time)


def _set_launch(original: Any, group: Any, config: str, template: Any, mixed_instances_policy: Any = None) -> None:
    """A policy read back names its template twice, by id and name, which moto itself refuses."""
    group.provided_launch_template_version = None
    policy = copy.deepcopy(mixed_instances_policy)
    if policy:
        specification = policy["LaunchTemplate"]["LaunchTemplateSpecification"]
        if specification.get("LaunchTemplateId"):
            specification.pop("LaunchTemplateName", None)
        group.mixed_instances_policy = policy
    original(group, config, template, mixed_instances_policy=policy)


def _update(original: Any, group: Any, **kwargs: Any) -> None:
    """What an update does not name stays: moto forgets the mixed instances policy."""
    if not (kwargs.get("launch_config_name") or kwargs.get("launch_template")):
        kwargs["mixed_instances_policy"] = kwargs.get("mixed_instances_policy") or group.mixed_instances_policy
        if not kwargs["mixed_instances_policy"] and group.ec2_launch_template is not None:
            version = group.provided_launch_template_version
            kept = {"LaunchTemplateId": group.ec2_launch_template.id}
            kwargs["launch_template"] = kept | ({"Version": version} if version else {})
    original(group, **kwargs)


def _terminate_instances(original: Any, backend: Any, instance_ids: list[str]) -> Any:
    """Whoever ends an instance, the target groups lose it. Ending it again is no error."""
    from moto.elbv2.models import elbv2_backends

    asked = backend.get_multi_instances_by_id(instance_ids)
    over = [instance for instance in asked if instance.state_code == _TERMINATED]
    rest = [instance.id for instance in asked if instance.state_code != _TERMINATED]
    ended = [(instance, copy.copy(instance._state)) for instance in over] + (
        original(backend, rest) if rest or not asked else []
    )
    elbv2_backends[backend.account_id][backend.region_name].notify_terminate_instances(instance_ids)
    return ended


def _group_template(group: Any) -> dict[str, Any] | None:
    template = group.ec2_launch_template
    if template is None or group.mixed_instances_policy:
        return None
    return _reference(template, group.provided_launch_template_version)


def _launch(group: Any, propagated_tags: dict[str, str]) -> Any:
    """One instance of the group, from the version of its launch template that counts now."""
    from moto.autoscaling.models import ASG_NAME_TAG, InstanceState
    from moto.ec2.utils import convert_tag_spec

    template = group.ec2_launch_template
    version = template.get_version(group.launch_template_version)
    data = version.data
    nic: dict[str, Any] = next(iter(data.get("NetworkInterfaces") or []), {})
    tags = convert_tag_spec(data.get("TagSpecifications") or [])
    options: dict[str, Any] = {
        "instance_type": _instance_type(group, version),
        "is_instance_type_default": False,
        "tags": {
            "instance": {**tags.get("instance", {}), **propagated_tags, ASG_NAME_TAG: group.name},
            "volume": tags.get("volume", {}),
        },
        "launch_template": {"LaunchTemplateId": template.id, "Version": str(version.number)},
        "security_group_ids": [*(data.get("SecurityGroupIds") or []), *(nic.get("Groups") or [])],
        "associate_public_ip": nic.get("AssociatePublicIpAddress"),
        "region_name": group.region,
        **_place(group),
    }
    if mappings := [_mapping(entry) for entry in data.get("BlockDeviceMappings") or [] if entry.get("Ebs")]:
        options["block_device_mappings"] = mappings
    if market := data.get("InstanceMarketOptions") or _spot(group):
        options["instance_market_options"] = market
    reservation = group.ec2_backend.run_instances(
        version.image_id, 1, version.user_data, version.security_groups, **options
    )
    instance = reservation.instances[0]
    instance.autoscaling_group = group
    state = InstanceState(instance, protected_from_scale_in=group.new_instances_protected_from_scale_in)
    setattr(state, "launched_from", _reference(template, str(version.number)))  # noqa: B010 - not moto's attribute
    return state


def _reference(template: Any, version: str | None) -> dict[str, Any]:
    named = {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name}
    return named | ({"Version": version} if version else {})


def _instance_type(group: Any, version: Any) -> str:
    """The first override of a mixed instances policy, else the template's own."""
    overrides = ((group.mixed_instances_policy or {}).get("LaunchTemplate") or {}).get("Overrides") or []
    return str((overrides[0].get("InstanceType") if overrides else "") or version.instance_type)


def _spot(group: Any) -> dict[str, str] | None:
    """Is the next instance of a mixed instances policy a spot one? As many on-demand ones come first as it asks for."""
    if not group.mixed_instances_policy:
        return None
    share = group.mixed_instances_policy.get("InstancesDistribution") or {}
    base = int(share.get("OnDemandBaseCapacity") or 0)
    percent = share.get("OnDemandPercentageAboveBaseCapacity")
    active = group.active_instances()
    above = max(0, len(active) + 1 - base)
    wanted = base + math.ceil(above * (100 if percent is None else int(percent)) / 100)
    on_demand = sum(state.instance.lifecycle != "spot" for state in active)
    return None if on_demand < wanted else {"MarketType": "spot"}


def _place(group: Any) -> dict[str, Any]:
    """The subnet, or the zone, that has the fewest of the group's instances; the first of equals."""
    if group.vpc_zone_identifier:
        taken = Counter(state.instance.subnet_id for state in group.active_instances())
        return {"subnet_id": min(group.vpc_zone_identifier.split(","), key=lambda subnet: taken[subnet])}
    taken = Counter(state.availability_zone for state in group.active_instances())
    return {"placement": min(group.availability_zones, key=lambda zone: taken[zone])}


def _mapping(entry: dict[str, Any]) -> dict[str, Any]:
    """A volume that a group's instance is launched with ends with it, unless it was asked to stay."""
    return entry | {"Ebs": {"DeleteOnTermination": True} | entry["Ebs"]}


def _leaving_first(group: Any) -> list[Any]:
    """AWS' default termination policy: the fullest zone, then the oldest launch template, then the oldest instance."""
    zones = Counter(state.availability_zone for state in group.active_instances())
    order: list[Any] = []
    left = sorted(group.instance_states, key=lambda state: (_launched_version(state), state.instance.launch_time))
    while left:
        fullest = max(left, key=lambda state: zones[state.availability_zone])  # the first of equals
        left.remove(fullest)
        zones[fullest.availability_zone] -= 1
        order.append(fullest)
    return order


def _launched_version(state: Any) -> int:
    return int((getattr(state, "launched_from", None) or {}).get("Version") or 0)
