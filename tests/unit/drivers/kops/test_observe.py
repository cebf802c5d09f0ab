"""What can be told of a cluster without its API server, and what its nodes tell."""

from dataclasses import replace
from typing import Any

import pytest

from boatyard.drivers.kops.fleet import Machine, ScalingGroup
from boatyard.drivers.kops.groups import configuration
from boatyard.drivers.kops.observe import members_of, outdated_names, running_version, standing_in, unfinished
from boatyard.drivers.kops.store import Record
from boatyard.plan.model import Phase

Documents = dict[str, dict[str, Any]]


def node(name: str, version: str = "1.35.5", group: str = "web", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "resourceVersion": "1", "labels": {"kops.k8s.io/instancegroup": group}},
        "spec": {"providerID": f"aws:///us-east-1a/{name}", **spec},
        "status": {"nodeInfo": {"kubeletVersion": f"v{version}"}},
    }


def group(name: str, machines: int = 1, remembered: tuple[int, int, int] | None = None) -> ScalingGroup:
    members = tuple(Machine(f"i-{name}-{number}", name) for number in range(machines))
    return ScalingGroup(f"{name}.k8s.example.com", name, 0, 3, machines, members, remembered)


@pytest.fixture
def record(documents: Documents) -> Record:
    groups = {key.rpartition("/")[2]: each for key, each in documents.items() if "/" in key}
    return Record(cluster=documents["config"], groups=groups, applied=True, authority="etag")


FLEET = {"control-plane-a": group("control-plane-a"), "web": group("web", 2)}
ASLEEP = {name: group(name, 0, (1, 1, 1)) for name in FLEET}


def test_a_whole_cluster_is_left_to_its_api_server(record: Record) -> None:
    assert unfinished(record, FLEET) is None


@pytest.mark.parametrize(
    ("changes", "fleet", "phase", "why"),
    [
        ({"deleting": True}, FLEET, Phase.PARTIAL, "deletion was cut off"),
        ({"cluster": None}, FLEET, Phase.PARTIAL, "AWS has: control-plane-a, web"),
        ({"applied": False}, {}, Phase.PARTIAL, "never made"),
        ({}, {"web": group("web")}, Phase.PARTIAL, "not all of it"),
        ({}, ASLEEP, Phase.HIBERNATED, ""),
        ({}, {**ASLEEP, "web": group("web", 2, (2, 2, 2))}, Phase.BROKEN, "cut off"),
        ({}, {**FLEET, "web": group("web", 0, (2, 2, 2))}, Phase.BROKEN, "cut off"),
    ],
)
def test_half_made_half_deleted_asleep(
    record: Record, changes: dict[str, Any], fleet: dict[str, ScalingGroup], phase: Phase, why: str
) -> None:
    seen = unfinished(replace(record, **changes), fleet)
    assert seen is not None
    assert seen.phase is phase
    assert why in seen.detail


def test_what_was_never_made_runs_no_version_whatever_is_registered(record: Record) -> None:
    never, half = unfinished(replace(record, applied=False), {}), unfinished(record, {"web": group("web")})
    assert never is not None
    assert half is not None
    assert (never.version, half.version) == (None, "1.35.5")


def test_the_control_plane_runs_what_its_oldest_node_runs() -> None:
    assert running_version("1.36.1", [node("a", "1.36.1"), node("b", "1.35.10"), node("c", "1.35.9")]) == "1.35.9"
    assert running_version("1.36.1", []) == "1.36.1"


def test_members_are_known_by_group_or_by_instance() -> None:
    found = [node("i-web-1", group=""), node("i-other", group="web"), node("i-x", group="batch")]
    assert [each["metadata"]["name"] for each in members_of("web", FLEET, found)] == ["i-other", "i-web-1"]


def test_outdated_machines_go_by_their_nodes_names() -> None:
    machines = (Machine("i-1", "web", outdated=True), Machine("i-2", "web", outdated=True), Machine("i-3", "web"))
    fleet = {"web": replace(FLEET["web"], machines=machines)}
    joined = node("ip-10-0-0-1.ec2.internal", providerID="aws:///us-east-1a/i-1")
    assert outdated_names(["web"], fleet, [joined]) == ("i-2", "ip-10-0-0-1.ec2.internal")


@pytest.mark.parametrize(
    ("members", "leaving", "joined", "expected"),
    [
        (("a", "b", "c"), (), "abc", 0),
        (("new", "b", "c"), ("a",), "abc", 0),  # the new one has yet to join
        (("new", "b", "c"), ("a",), ("a", "b", "c", "new"), 1),
        (("new", "newer", "c"), ("a", "b"), ("a", "b", "c", "new"), 1),
        (("new", "newer", "c"), ("a", "b"), ("a", "b", "c", "new", "newer"), 2),
        (("new", "b", "c"), ("a",), ("b", "c", "new"), 0),  # drained and gone
        (("new", "b", "c"), (), ("a", "b", "c", "new"), 1),  # ended, its node is not gone yet
        (("a", "b", "c", "d"), (), "abcd", 0),  # the group itself has more: AWS is about to end one
    ],
)
def test_machines_on_top_that_an_update_has_brought_are_told(
    members: tuple[str, ...], leaving: tuple[str, ...], joined: tuple[str, ...], expected: int
) -> None:
    out = [Machine(each, "web", outdated=True, detached=True) for each in leaving]
    machines = (*(Machine(each, "web") for each in members), *out)
    web = replace(FLEET["web"], machines=machines, desired=3, maximum=3)
    assert standing_in(web, [node(each) for each in joined]) == expected
    assert standing_in(None, [node(each) for each in joined]) == 0


def test_configuring_keeps_what_others_put_there(documents: Documents) -> None:
    stored = documents["instancegroup/web"]
    taints = [{"key": "only", "value": "shop", "effect": "NoSchedule"}, {"key": "theirs", "effect": "NoExecute"}]
    before = node("i-1", taints=taints)
    before["metadata"]["labels"] |= {"team": "shop", "theirs": "yes"}
    body = configuration(before, stored, {"tier": "front"}, ("new:NoSchedule",))
    assert body is not None
    assert body["metadata"]["labels"] == {"team": None, "tier": "front"}
    assert body["spec"]["taints"] == [
        {"key": "theirs", "effect": "NoExecute"},
        {"key": "new", "effect": "NoSchedule"},
    ]
    assert configuration(before, stored, {"team": "shop"}, ("only=shop:NoSchedule",)) is None
