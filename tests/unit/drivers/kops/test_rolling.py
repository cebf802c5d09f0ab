"""Which machine is next, and what a group or a control plane still lacks."""

import threading
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from boatyard.clock import Deadline, ManualClock, SystemClock
from boatyard.drivers.base import Env
from boatyard.drivers.kops import rolling as rolls
from boatyard.drivers.kops.fleet import Machine, ScalingGroup
from boatyard.drivers.kops.nodes import STATIC, static_pods_missing
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.rolling import Rolling, next_old, oldest_first
from boatyard.drivers.kops.scene import Scene, unsettled
from boatyard.drivers.kops.waiting import Lookout
from boatyard.errors import DeadlineExceeded, Fenced, Permanent, Temporary
from boatyard.kube.client import Client

NAMES = ("i-1", "i-2", "i-3")


def node(
    name: str,
    *,
    ready: bool = True,
    cordoned: bool = False,
    born: str = "2026-11-22T16:00:00Z",
    version: str = "1.34.8",
) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": born,
            "labels": {"kops.k8s.io/instancegroup": "web"},
        },
        "spec": {"providerID": f"aws:///us-east-1a/{name}", **({"unschedulable": True} if cordoned else {})},
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "nodeInfo": {"kubeletVersion": f"v{version}"},
        },
    }


def scene(machines: list[Machine], found: list[dict[str, Any]], desired: int | None = None) -> Scene:
    members = len([each for each in machines if not each.detached])
    wanted = members if desired is None else desired
    group = ScalingGroup("web.k8s.example.com", "web", 0, 9, wanted, tuple(machines))
    return Scene({"web": group}, {each["metadata"]["name"]: each for each in found})


WHOLE = [Machine(name, "web") for name in NAMES]
JOINED = [node(name) for name in NAMES]


def test_a_whole_group_lacks_nothing() -> None:
    assert unsettled(scene(WHOLE, JOINED), "web") == ""


@pytest.mark.parametrize(
    ("machines", "found", "desired", "lacks"),
    [
        (WHOLE, JOINED, 4, "4 instances of web, it has 3"),
        (WHOLE, JOINED[:2], None, "i-3 of web to join"),
        (WHOLE, [*JOINED[:2], node("i-3", ready=False)], None, "i-3 of web to be Ready"),
        (WHOLE, [*JOINED, node("i-4")], None, "i-4 of web to leave the cluster"),
    ],
)
def test_what_a_group_lacks(machines: list[Machine], found: list[dict[str, Any]], desired: int, lacks: str) -> None:
    assert unsettled(scene(machines, found, desired), "web") == lacks


def test_a_detached_machine_is_no_stranger_and_no_member() -> None:
    machines = [*WHOLE, Machine("i-4", "web", outdated=True, detached=True)]
    assert unsettled(scene(machines, [*JOINED, node("i-4")]), "web") == ""


def test_a_group_that_is_not_there() -> None:
    assert unsettled(Scene({}, {}), "web") == "the Auto Scaling group of web"


def test_the_useless_go_first_then_the_cordoned_then_the_old() -> None:
    old = [replace(machine, outdated=True) for machine in (*WHOLE, Machine("i-4", "web"), Machine("i-5", "web"))]
    found = [
        node("i-1", born="2026-11-22T16:00:02Z"),
        node("i-2", born="2026-11-22T16:00:01Z"),
        node("i-3", cordoned=True, born="2026-11-22T16:00:03Z"),
        node("i-4", ready=False),
    ]
    assert [each.id for each in oldest_first(scene(old, found), old)] == ["i-5", "i-4", "i-3", "i-2", "i-1"]


def test_only_the_outdated_are_next_and_none_when_all_are_new() -> None:
    machines = [WHOLE[0], replace(WHOLE[1], outdated=True), WHOLE[2]]
    assert next_old(scene(machines, JOINED), ["web"]) == machines[1]
    assert next_old(scene(WHOLE, JOINED), ["web"]) is None
    assert next_old(scene(machines, JOINED), ["other"]) is None


def test_static_pods_of_a_control_plane_node() -> None:
    def pod(part: str, ready: bool = True, where: str = "i-1") -> dict[str, Any]:
        status = {"conditions": [{"type": "Ready", "status": str(ready)}]}
        return {"metadata": {"labels": {"k8s-app": part}}, "spec": {"nodeName": where}, "status": status}

    all_well = [pod(part) for part in (*STATIC, "etcd-manager-main")]
    assert static_pods_missing(node("i-1"), all_well) == []
    assert static_pods_missing(node("i-2"), all_well) == list(STATIC)
    assert static_pods_missing(node("i-1"), [*all_well[:-1], pod("etcd-manager-main", False)]) == ["etcd-manager-main"]
    assert static_pods_missing(node("i-1"), [pod(STATIC[0], False), *all_well[1:]]) == [STATIC[0]]


@pytest.fixture
def env(yard_clock: ManualClock, tmp_path: Any) -> Env:
    return Env(tmp_path, yard_clock, Deadline.after(60, "the roll", yard_clock), tool=lambda name: tmp_path / name)


def test_a_lookout_ends_when_nothing_is_awaited_and_says_what_is_on_the_way(env: Env, yard_clock: ManualClock) -> None:
    said: list[str] = []
    answers = iter(["i-1 to join", "i-1 to join", "i-1 to be Ready", ""])
    Lookout(replace(env, report=said.append)).until(lambda: next(answers))
    assert said == ["waiting for i-1 to join", "waiting for i-1 to be Ready"]


def test_a_lookout_names_what_did_not_come_in_time(env: Env) -> None:
    with pytest.raises(DeadlineExceeded, match="the roll did not end in time: still waiting for i-1 to join"):
        Lookout(env).until(lambda: "i-1 to join")


def test_a_lookout_ends_with_its_operation(tmp_path: Path) -> None:
    deadline = Deadline.after(60, "the roll", SystemClock())

    class Stopping(SystemClock):
        def wait(self, event: threading.Event, seconds: float) -> bool:
            deadline.stopped.set("the lease was lost")
            return event.wait(60)

    env = Env(tmp_path, Stopping(), deadline, tool=lambda name: tmp_path / name)
    with pytest.raises(Fenced, match="the roll was broken off: the lease was lost"):
        Lookout(env).until(lambda: "i-1 to join")


def test_a_busy_server_is_waited_for_a_refusal_is_not(env: Env) -> None:
    def refused() -> str:
        raise Permanent("no")

    turns = iter([Temporary("the API server does not answer."), None])

    def busy() -> str:
        if (error := next(turns)) is not None:
            raise error
        return ""

    Lookout(env).until(busy)
    with pytest.raises(Permanent, match="no"):
        Lookout(env).until(refused)


@pytest.mark.parametrize(
    ("canary", "answers", "whole"),
    [
        (False, [[*WHOLE]], True),
        (False, [[*WHOLE[:2]], [*WHOLE]], True),
        (False, [[*WHOLE[:2]], [*WHOLE[:2], replace(WHOLE[2], outdated=True, detached=True)]], False),
        (False, [[*WHOLE[:2], replace(WHOLE[2], outdated=True)]], False),
        (True, [[*WHOLE[:2], replace(WHOLE[2], outdated=True)]], True),
    ],
)
def test_a_pool_is_done_only_when_aws_tells_of_no_old_machine_late_either(
    env: Env, monkeypatch: pytest.MonkeyPatch, canary: bool, answers: list[list[Machine]], whole: bool
) -> None:
    """The first answer may be one of a moment ago, while the node of an old machine is still there."""
    told = iter(answers)
    rolling = Rolling(cast(Reach, SimpleNamespace(env=env)), cast(Client, None), drain_timeout=1)
    monkeypatch.setattr(rolling, "_look", lambda: scene(next(told), JOINED))

    def until(what: str, lacks: Callable[[], str]) -> None:
        Lookout(env).until(lacks)

    monkeypatch.setattr(rolling, "_wait", until)
    assert rolling._settled("web", canary=canary) is whole
    assert next(told, None) is None


@dataclass
class Late:
    """AWS tells this many times that a control-plane machine is new, before it tells the truth; `done` once the machine
    is ended."""

    times: int
    ended: list[str] = field(default_factory=list)

    def look(self) -> Scene:
        if self.ended:
            return scene([Machine("i-2", "web")], [node("i-2", version="1.35.5")])
        self.times -= 1
        return scene([Machine("i-1", "web", outdated=self.times < 0)], [node("i-1", version="1.34.8")])


@pytest.fixture
def late_control_plane(env: Env, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], tuple[Late, Rolling]]:
    """A control plane of one machine whose kubelet is 1.34.8 and is to be 1.35.5."""

    def make(times: int) -> tuple[Late, Rolling]:
        late = Late(times)
        rolling = Rolling(cast(Reach, SimpleNamespace(env=env)), cast(Client, None), drain_timeout=1)

        def end(*given: Any) -> None:
            late.ended += [machine.id for machine in given[3]]

        def lacks(client: Client, scene: Scene, groups: Sequence[str], but: Container[str] = ()) -> str:
            return unsettled(scene, "web", but)

        monkeypatch.setattr(rolling, "_look", late.look)
        monkeypatch.setattr(rolling, "_wait", lambda what, lacks: Lookout(env).until(lacks))
        monkeypatch.setattr(rolls, "drain_and_end", end)
        monkeypatch.setattr(rolls, "control_plane_lacks", lacks)
        return late, rolling

    return make


@pytest.mark.parametrize("times", [0, 1, 2, 7])
def test_a_control_plane_is_not_upgraded_before_its_kubelets_say_so(
    late_control_plane: Callable[[int], tuple[Late, Rolling]], times: int
) -> None:
    """However often AWS answers from a moment ago, by which no machine is outdated."""
    late, rolling = late_control_plane(times)
    rolling.control_plane(["web"], "1.35.5")
    assert late.ended == ["i-1"]


def test_a_control_plane_that_stays_behind_is_told_by_its_node(
    late_control_plane: Callable[[int], tuple[Late, Rolling]],
) -> None:
    late, rolling = late_control_plane(10**6)
    with pytest.raises(DeadlineExceeded, match=r"AWS to tell that i-1 \(1\.34\.8\) is outdated"):
        rolling.control_plane(["web"], "1.35.5")
    assert late.ended == []


def test_a_control_plane_without_another_version_is_done_when_it_is_whole(
    late_control_plane: Callable[[int], tuple[Late, Rolling]],
) -> None:
    late, rolling = late_control_plane(10**6)
    rolling.control_plane(["web"])
    assert late.ended == []
