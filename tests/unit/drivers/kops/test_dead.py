"""Which control-plane machines count as dead, and when none of them may be replaced."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from boatyard.drivers.kops.dead import Dead, dead, lines, quorum_lost, refuse
from boatyard.drivers.kops.fleet import Machine, ScalingGroup
from boatyard.drivers.kops.reach import Reach
from boatyard.errors import Unsafe
from boatyard.plan.model import Observed, Phase
from boatyard.spec.models import Cluster

NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
GROUPS = ["cp-a", "cp-b", "cp-c"]
FLEET = {
    name: ScalingGroup(f"{name}.masters.k8s.example.com", name, 1, 1, 1, (Machine(f"i-{name[-1]}", name),))
    for name in (*GROUPS, "web")
}


def node(name: str, status: str = "True", since: str = "2026-11-22T12:00:00Z") -> dict[str, Any]:
    taints = [] if status == "True" else [{"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}]
    conditions = [{"type": "Ready", "status": status, "lastTransitionTime": since}]
    metadata = {"name": name, "creationTimestamp": "2026-11-22T11:00:00Z"}
    return {"metadata": metadata, "spec": {"taints": taints}, "status": {"conditions": conditions}}


def seen(**nodes: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """All well but for those that are named; None: it has not joined."""
    well: dict[str, dict[str, Any] | None] = {f"i-{each}": node(f"i-{each}") for each in "abc"}
    return {name: each for name, each in {**well, **{f"i-{k}": v for k, v in nodes.items()}}.items() if each}


def reach(launched: dict[str, datetime] | None = None) -> Reach:
    asked: list[str] = []

    def tell(ids: Iterable[str]) -> dict[str, datetime]:
        asked.extend(ids)
        return launched or {}

    clock = SimpleNamespace(now=lambda: NOW)
    made = SimpleNamespace(env=SimpleNamespace(clock=clock), fleet=SimpleNamespace(launched=tell), asked=asked)
    return cast(Reach, made)


def found(nodes: dict[str, dict[str, Any]], launched: dict[str, datetime] | None = None) -> list[str]:
    return [each.line for each in dead(reach(launched), GROUPS, FLEET, nodes)]


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_a_node_that_has_not_been_ready_for_a_quarter_of_an_hour_is_dead(status: str) -> None:
    assert found(seen(b=node("i-b", status, "2026-11-22T16:15:01Z"))) == []
    assert found(seen(b=node("i-b", status, "2026-11-22T16:15:00Z"))) == [
        "i-b of cp-b: its node has not been Ready since 2026-11-22 16:15 UTC, it is to be replaced"
    ]


def test_the_line_does_not_change_while_time_goes_on() -> None:
    nodes = seen(b=node("i-b", "Unknown", "2026-11-22T10:00:00Z"))
    later = reach()
    cast(Any, later).env.clock.now = lambda: NOW + timedelta(hours=3)
    assert dead(later, GROUPS, FLEET, nodes) == dead(reach(), GROUPS, FLEET, nodes)


def test_a_machine_that_never_joined_is_dead_by_its_launch() -> None:
    nodes = seen(b=None)
    assert found(nodes, {"i-b": NOW - timedelta(minutes=14)}) == []
    assert found(nodes, {"i-b": NOW - timedelta(minutes=16)}) == [
        "i-b of cp-b: it has run without joining since 2026-11-22 16:14 UTC, it is to be replaced"
    ]
    assert found(nodes, {}) == [], "AWS does not know it any more: it is gone"


def test_aws_is_asked_only_where_a_machine_has_no_node_and_pools_are_not_looked_at() -> None:
    asking = reach()
    dead(asking, GROUPS, FLEET, seen())
    assert cast(Any, asking).asked == []


GONE_B = Dead("i-b", "cp-b", "i-b is dead")


def test_one_of_three_may_go() -> None:
    nodes = seen(b=node("i-b", "Unknown"))
    assert quorum_lost([GONE_B], GROUPS, FLEET, nodes) == ""
    assert lines([GONE_B], GROUPS, FLEET, nodes) == ("i-b is dead",)


@pytest.mark.parametrize("other", [node("i-c", "Unknown", "2026-11-22T16:29:00Z"), None])
def test_none_may_go_while_another_is_away(other: dict[str, Any] | None) -> None:
    nodes = seen(b=node("i-b", "Unknown"), c=other)
    (line,) = lines([GONE_B], GROUPS, FLEET, nodes)
    assert line == "etcd's quorum: 1 of 3 control-plane nodes are Ready, and i-b would have to be replaced"
    cluster = Cluster.model_validate(
        {"name": "k8s.example.com", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.36"}}
    )
    with pytest.raises(Unsafe, match="1 of 3 control-plane nodes are Ready"):
        refuse(cluster, Observed(phase=Phase.RUNNING, differs=("spec.x: 1, 2 is wanted", line)))
    refuse(cluster, Observed(phase=Phase.RUNNING, differs=("spec.x: 1, 2 is wanted",)))


def test_two_of_five_may_go_three_may_not() -> None:
    groups = ["cp-a", "cp-b", "cp-c", "cp-d", "cp-e"]
    fleet = {name: ScalingGroup(name, name, 1, 1, 1, (Machine(f"i-{name[-1]}", name),)) for name in groups}
    nodes = {f"i-{each}": node(f"i-{each}") for each in "abcde"}
    gone = [Dead(f"i-{each}", f"cp-{each}", "") for each in "abc"]
    assert quorum_lost(gone[:2], groups, fleet, nodes) == ""
    assert quorum_lost(gone, groups, fleet, nodes).startswith("etcd's quorum: 2 of 5")


def test_a_control_plane_of_one_has_no_quorum_to_keep() -> None:
    assert quorum_lost([GONE_B], ["cp-b"], FLEET, seen(b=node("i-b", "Unknown"))) == ""
