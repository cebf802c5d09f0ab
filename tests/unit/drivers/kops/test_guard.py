"""What kOps was recorded to show, judged by the steps that may have caused it."""

import json
from pathlib import Path

import pytest

from boatyard.drivers.kops import guard, parse
from boatyard.drivers.kops.changes import told
from boatyard.drivers.kops.guard import Scope
from boatyard.drivers.kops.parse import Change, Preview

RUNS = {
    run["name"]: run
    for run in json.loads((Path(__file__).parents[3] / "cases/kops/recorded/runs.json").read_text())["runs"]
}
NODES, CONTROL = "nodes-us-east-1a", "control-plane-us-east-1a"


def shown(name: str) -> Preview:
    return parse.preview(RUNS[name]["stdout"])


def test_a_creation_explains_all_that_is_made() -> None:
    assert guard.whole("creating").unexplained(shown("update-preview")) == []


def test_an_unchanged_cluster_has_nothing_to_do_though_kops_shows_something() -> None:
    unchanged = shown("update-preview-unchanged")
    assert not unchanged.nothing
    assert not guard.effect(unchanged)
    assert guard.groups("nothing", []).unexplained(unchanged) == []


def test_scaling_is_explained_by_its_own_pool_only() -> None:
    assert guard.groups("scaling pool", [NODES]).unexplained(shown("scale-preview")) == []
    assert guard.groups("scaling pool", ["other"]).unexplained(shown("scale-preview")) == [
        f"modify AutoscalingGroup/{NODES}.k8s.example.com"
    ]


def test_what_is_about_to_be_done_is_told_without_what_has_no_effect() -> None:
    assert told(shown("update-preview-unchanged")) == []
    assert told(shown("scale-preview")) == [
        f"kOps modifies AutoscalingGroup/{NODES}.k8s.example.com (MaxSize, MinSize)"
    ]
    assert told(Preview(create=(Change("LaunchTemplate", "web"),), delete=(Change("Route", "old"),))) == [
        "kOps creates LaunchTemplate/web",
        "kOps deletes Route/old",
    ]


def test_many_new_resources_are_told_by_kind() -> None:
    (line,) = told(shown("update-preview"))
    made = shown("update-preview").create
    assert line.startswith(f"kOps creates {len(made)} resources: ")
    assert "1 VPC" in line
    assert sum(int(part.split()[0]) for part in line.partition(": ")[2].split(", ")) == len(made)


def test_no_value_is_told_since_user_data_may_hold_secrets() -> None:
    change = Change("LaunchTemplate", "web", {"UserData": "hunter2"})
    assert told(Preview(modify=(change,))) == ["kOps modifies LaunchTemplate/web (UserData)"]


def test_an_upgrade_of_the_control_plane_does_not_explain_the_nodes() -> None:
    upgrade = shown("upgrade-update-preview")
    assert guard.versions("upgrading", [CONTROL, NODES]).unexplained(upgrade) == []
    assert guard.versions("upgrading", [CONTROL]).unexplained(upgrade) == [
        f"modify LaunchTemplate/{NODES}.k8s.example.com"
    ]


@pytest.mark.parametrize("scope", [guard.whole("s"), guard.settings("s"), guard.groups("s", ["a"])])
@pytest.mark.parametrize("kind", ["Subnet", "VPC", "EBSVolume", "NetworkLoadBalancer", "NatGateway", "DNSName"])
def test_no_step_explains_that_a_network_or_a_volume_goes(scope: Scope, kind: str) -> None:
    assert scope.unexplained(Preview(delete=(Change(kind, "a.k8s.example.com"),))) == [
        f"delete {kind}/a.k8s.example.com"
    ]


def test_a_setting_may_take_rules_away() -> None:
    gone = Preview(delete=(Change("SecurityGroupRule", "https-api-elb-0.0.0.0/0"),))
    assert guard.settings("configuring").unexplained(gone) == []
    assert guard.groups("scaling", ["web"]).unexplained(gone) == ["delete SecurityGroupRule/https-api-elb-0.0.0.0/0"]


def test_a_subnet_that_really_changes_is_not_idle() -> None:
    changed = Preview(modify=(Change("Subnet", "a", {"CIDR": "x -> y", "ResourceBasedNaming": "false -> true"}),))
    assert guard.effect(changed)
    assert guard.groups("scaling", ["web"]).unexplained(changed) == ["modify Subnet/a"]
