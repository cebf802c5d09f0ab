"""Auto Scaling groups, read and changed on the emulated account."""

from collections.abc import Callable
from typing import Any

import pytest
from moto.autoscaling.models import AutoScalingBackend

from boatyard.aws.account import Account
from boatyard.drivers.kops.fleet import DETACHED_TAG, Fleet, ScalingGroup
from boatyard.drivers.kops.store import Store
from boatyard.drivers.kops.templates import Templates
from boatyard.sandbox.aws.extension import groups
from tests.unit.drivers.kops.conftest import BUCKET, NAME, Fence

pytestmark = pytest.mark.account


@pytest.fixture
def fleet(account: Account, fence: Fence) -> Fleet:
    return Fleet(account, NAME, Templates(account, Store(account, f"s3://{BUCKET}", NAME)), fence=fence)


@pytest.fixture
def web(fleet: Fleet, scaling_group: Callable[..., None]) -> ScalingGroup:
    scaling_group("web")
    return fleet.read()["web"]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As AWS does it and moto alone does not: what a group does not have is not detached, nor ended as its member."""
    terminate, detach = AutoScalingBackend.terminate_instance, AutoScalingBackend.detach_instances

    def ended(backend: Any, instance_id: str, should_decrement: bool) -> Any:
        return groups._terminate_member(terminate, backend, instance_id, should_decrement)

    def detached(backend: Any, group_name: str, instance_ids: list[str], should_decrement: bool) -> Any:
        return groups._detach(detach, backend, group_name, instance_ids, should_decrement)

    monkeypatch.setattr(AutoScalingBackend, "terminate_instance", ended)
    monkeypatch.setattr(AutoScalingBackend, "detach_instances", detached)


def test_no_groups_and_groups_of_others_are_none_of_ours(fleet: Fleet, scaling_group: Callable[..., None]) -> None:
    scaling_group("theirs", KubernetesCluster="other.example.com")
    assert fleet.read() == {}


def test_a_group_as_it_was_made(web: ScalingGroup) -> None:
    assert (web.minimum, web.maximum, web.desired, web.remembered) == (2, 4, 2, None)
    assert [(each.type, each.outdated, each.detached, each.in_service) for each in web.machines] == [
        ("t3.medium", False, False, True)
    ] * 2


def test_reading_passes_no_fence(web: ScalingGroup, fence: Fence) -> None:
    assert fence.calls == 0


def test_what_is_so_already_is_not_asked_for(fleet: Fleet, web: ScalingGroup, fence: Fence) -> None:
    fleet.set_desired(web, 2)
    fleet.resize(web, 2, 4, 2)
    fleet.forget(web)
    fleet.detach(web, [])
    assert fence.calls == 0


@pytest.mark.parametrize("change", ["set_desired", "resize", "remember", "detach", "end"])
def test_nothing_is_changed_behind_the_fence(fleet: Fleet, web: ScalingGroup, fence: Fence, change: str) -> None:
    fence.closed = True
    calls: dict[str, Callable[[], None]] = {
        "set_desired": lambda: fleet.set_desired(web, 3),
        "resize": lambda: fleet.resize(web, 0, 0, 0),
        "remember": lambda: fleet.remember(web),
        "detach": lambda: fleet.detach(web, web.machines),
        "end": lambda: fleet.end(web.machines[0]),
    }
    with pytest.raises(RuntimeError, match="fenced off"):
        calls[change]()
    assert fleet.read()["web"] == web


def test_a_detached_machine_is_still_seen_and_the_group_is_whole(fleet: Fleet, web: ScalingGroup) -> None:
    gone = web.machines[0]
    fleet.detach(web, [gone])
    after = fleet.read()["web"]
    assert [machine.id for machine in after.detached] == [gone.id]
    assert len(after.members) == after.desired == 2
    fleet.end(after.detached[0])
    assert fleet.read()["web"].detached == ()


def test_what_was_taken_out_already_stays_out_and_the_rest_follows(
    fleet: Fleet, scaling_group: Callable[..., None], refused: None
) -> None:
    """AWS' answer was lost, and the client asks again; or it tells late of the group."""
    scaling_group("web", minimum=3)
    before = fleet.read()["web"]
    first, second, third = before.machines
    fleet.detach(before, [first])
    fleet.detach(before, [first, second])
    fleet.detach(before, [first])
    after = fleet.read()["web"]
    assert {machine.id for machine in after.detached} == {first.id, second.id}
    assert third in after.members
    assert len(after.members) == after.desired == 3


def test_one_that_is_ended_as_a_member_after_it_was_taken_out_ends(
    fleet: Fleet, web: ScalingGroup, refused: None
) -> None:
    gone = web.machines[0]
    fleet.detach(web, [gone])
    for _ in range(2):
        fleet.end(gone)
        assert fleet.read()["web"].detached == ()


def test_tagged_but_not_yet_detached_still_counts_as_a_member(
    fleet: Fleet, web: ScalingGroup, account: Account
) -> None:
    tag = {"Key": DETACHED_TAG, "Value": web.name}
    account.client("ec2").create_tags(Resources=[web.machines[0].id], Tags=[tag])
    assert fleet.read()["web"] == web


def test_one_fewer_is_one_fewer(fleet: Fleet, scaling_group: Callable[..., None]) -> None:
    scaling_group("web", minimum=1)
    group = fleet.read()["web"]
    fleet.set_desired(group, 3)
    victim = fleet.read()["web"].machines[0]
    fleet.end(victim, fewer=True)
    after = fleet.read()["web"]
    assert after.desired == 2
    assert victim not in after.machines


def test_an_answer_of_a_moment_ago_does_not_make_a_machine_new_again(
    fleet: Fleet, web: ScalingGroup, template: str, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    ec2 = account.client("ec2")
    before = ec2.describe_launch_templates(LaunchTemplateIds=[template])["LaunchTemplates"]
    ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData={"InstanceType": "t3.large"})
    assert [machine.outdated for machine in fleet.read()["web"].machines] == [True, True]
    monkeypatch.setattr(fleet.templates, "_described", lambda which: before)
    assert [machine.outdated for machine in fleet.read()["web"].machines] == [True, True]


def test_sizes_are_remembered_once_and_forgotten(fleet: Fleet, web: ScalingGroup) -> None:
    fleet.remember(web)
    asleep = fleet.read()["web"]
    assert asleep.remembered == (2, 4, 2)
    fleet.resize(asleep, 0, 0, 0)
    empty = fleet.read()["web"]
    fleet.remember(empty)
    assert (empty.machines, fleet.read()["web"].remembered) == ((), (2, 4, 2))
    fleet.forget(empty)
    assert fleet.read()["web"].remembered is None


def test_volumes_of_etcd_are_found_by_their_tags(fleet: Fleet, account: Account) -> None:
    ec2 = account.client("ec2")
    for key, cluster in (("k8s.io/etcd/main", NAME), ("k8s.io/etcd/main", "other.example.com"), ("Name", NAME)):
        tags = [{"Key": "KubernetesCluster", "Value": cluster}, {"Key": key, "Value": "a/a"}]
        spec = [{"ResourceType": "volume", "Tags": tags}]
        ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, TagSpecifications=spec)
    assert len(fleet.etcd_volumes()) == 1
