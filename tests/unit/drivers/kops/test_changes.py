"""What kOps has applied counts once AWS tells of it: by an older answer no machine would be outdated."""

from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from boatyard.clock import Deadline, ManualClock
from boatyard.drivers.base import Env
from boatyard.drivers.kops import changes, guard
from boatyard.drivers.kops.parse import Change, Preview
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.store import Record
from boatyard.errors import DeadlineExceeded

WEB = "web.k8s.example.com"
NEW = Change("LaunchTemplate", WEB, {"UserData": "old -> new"})


class World:
    """One launch template. late: how many looks after the update tell what was before; None: no new one is made."""

    def __init__(self, env: Env, late: int | None, *changes: Change) -> None:
        self.env, self.tells_late = env, late
        self.updates = self.looks = 0
        self.asked: list[str] = []
        self.settled = False
        self.kops = SimpleNamespace(preview=lambda only: Preview(modify=changes or (NEW,)), update=self.update)
        self.fleet = SimpleNamespace(templates=self)
        self.provider = SimpleNamespace(bastion=None)

    def update(self, only: Any) -> None:
        self.updates += 1

    # its launch templates

    def ask(self, names: Iterable[str]) -> None:
        assert self.updates == 0
        self.asked += names

    def late(self) -> str:
        self.looks += 1
        comes = self.tells_late is not None and self.looks > self.tells_late
        return "" if comes or not self.asked else f"AWS to tell of {self.asked[0]}"

    def settle(self) -> None:
        self.settled = True


@pytest.fixture
def env(yard_clock: ManualClock, tmp_path: Any) -> Env:
    return Env(tmp_path, yard_clock, Deadline.after(600, "the step", yard_clock), tool=lambda name: tmp_path / name)


def applied(world: World) -> bool:
    return changes.apply(cast(Reach, world), guard.whole("the step"))


@pytest.mark.parametrize("late", [0, 1, 5])
def test_an_update_is_done_when_aws_tells_of_the_new_launch_template(env: Env, late: int) -> None:
    world = World(env, late)
    assert applied(world)
    assert (world.updates, world.looks, world.asked, world.settled) == (1, late + 1, [WEB], True)


def test_where_no_new_one_comes_nobody_waits_for_ever(env: Env, yard_clock: ManualClock) -> None:
    """kOps' preview was of a moment ago, too, and there was nothing to do."""
    world, began = World(env, None), yard_clock.monotonic()
    assert applied(world)
    assert 0 < yard_clock.monotonic() - began <= 60
    assert world.settled


def test_the_step_ends_in_its_time(env: Env, yard_clock: ManualClock, tmp_path: Any) -> None:
    short = Env(tmp_path, yard_clock, Deadline.after(5, "the step", yard_clock), tool=env.tool)
    with pytest.raises(DeadlineExceeded, match="the step did not end in time"):
        applied(World(short, None))


def test_nothing_is_awaited_where_no_launch_template_changes(env: Env) -> None:
    world = World(env, None, Change("ManagedFile", "kops-version.txt", {"Contents": "a -> b"}))
    assert applied(world)
    assert world.asked == []


NOTHING = Change("SSHKey", "kubernetes.k8s.example.com", {"PublicKey": "a -> b"})
"""What kOps shows each time without effect."""


def test_what_a_run_before_asked_for_is_awaited_where_there_is_nothing_more_to_do(env: Env) -> None:
    world = World(env, 3, NOTHING)
    world.asked.append(WEB)
    assert not applied(world)
    assert (world.updates, world.looks, world.settled) == (0, 4, True)


def test_only_the_very_record_that_was_applied_whole_is_not_asked_for_again(env: Env, tmp_path: Any) -> None:
    world = cast(Reach, World(env, None))
    record = Record({"kind": "Cluster", "spec": {"kubernetesVersion": "1.35.5"}}, {"web": {"spec": {"maxSize": 3}}})
    assert not changes.is_applied(world, record)
    changes.applied_whole(world, record)
    assert changes.is_applied(world, record)
    assert not changes.is_applied(world, replace(record, groups={"web": {"spec": {"maxSize": 4}}}))
    another = Env(tmp_path, env.clock, env.deadline, env.tool)
    assert not changes.is_applied(cast(Reach, World(another, None)), record)
