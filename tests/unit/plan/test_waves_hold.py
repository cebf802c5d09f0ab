"""What holds of every fleet, whatever its rules: limits, windows, freezes, mutexes, the order of versions."""

from collections import Counter
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given

from boatyard.plan.fleet import Member
from boatyard.plan.targets import rank
from boatyard.spec.waves import Freeze
from boatyard.spec.windows import Window
from boatyard.versions import Minor
from tests.unit.plan.fleets import BEGIN, PERIOD, SLOW, fleets
from tests.unit.plan.world import World


def frozen(freeze: Freeze, moment: datetime, windows: tuple[str, ...]) -> bool:
    """Whether every window that is open at the moment sees a frozen day on its clock, or on the freeze's own."""
    zones = [ZoneInfo(freeze.timezone)] if freeze.timezone else [Window.parse(text).zone for text in windows]
    return all(freeze.first <= moment.astimezone(zone).date() <= freeze.to for zone in zones)


def inside(member: Member, moment: datetime) -> bool:
    return any(Window.parse(text).is_open(moment) for text in member.windows)


def keeps_the_rules(world: World) -> None:
    """Asked after every look."""
    upgrades, running = world.rules.upgrades, [world.member(each.name) for each in world.state.running]
    names = Counter(member.name for member in running)
    assert max(names.values(), default=0) <= 1, "two operations on one cluster"
    assert len(running) <= (upgrades.max_parallel or 999)
    accounts = Counter(member.account for member in running if member.account is not None)
    assert max(accounts.values(), default=0) <= (upgrades.max_parallel_per_account or 999)
    for ring in upgrades.rings:
        assert sum(member.ring == ring.name for member in running) <= (ring.max_parallel or 999)
    for group in upgrades.never_together:
        assert sum(member.name in group for member in running) <= 1
    for verdict in world.last.starts:
        keeps_the_rules_of_one(world, world.member(verdict.name), verdict.to)


def keeps_the_rules_of_one(world: World, member: Member, to: str) -> None:
    last = world.now + member.expected - timedelta(seconds=1)
    assert member.channel != "pinned"
    assert not member.by_hand
    assert member.healthy
    assert member.ring is not None
    assert any(  # the whole of it in one window
        (closes := Window.parse(text).closes_at(world.now)) is not None and world.now + member.expected <= closes
        for text in member.windows
    )
    step = world.now
    while step <= last:
        assert not any(frozen(freeze, step, member.windows) for freeze in world.rules.upgrades.freezes)
        step += timedelta(minutes=30)
    assert Minor.parse(to).ahead_of(Minor.parse(member.version)) in (0, 1), "a minor was skipped"
    assert rank(to) >= rank(member.version)
    released = {each.version for each in world.state.offers[member.kind].releases if each.since <= world.now}
    assert to in released or to == member.version


@given(fleets())
@SLOW
def test_no_limit_window_freeze_or_mutex_is_ever_broken_and_no_minor_is_skipped(world: World) -> None:
    world.watch = keeps_the_rules
    world.run(BEGIN + PERIOD)
