"""What holds of every fleet, whatever its rules: limits, windows, freezes, mutexes, the order of versions, determinism;
and that a forecast says what the scheduler then does."""

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boatyard.plan.fleet import FleetState, Member, Offer, Release
from boatyard.plan.forecast import forecast
from boatyard.plan.model import Observed, Phase
from boatyard.plan.targets import rank
from boatyard.plan.waves import decide
from boatyard.spec.models import Cluster
from boatyard.spec.waves import Freeze, Waves
from boatyard.spec.windows import Window
from boatyard.versions import Minor
from tests.unit.plan.plain import decide_maintenance
from tests.unit.plan.world import DAY, HOUR, LONG_AGO, World, waves

PERIOD = timedelta(days=11)
BEGIN = datetime(2026, 3, 20, tzinfo=UTC)  # the clocks of New York have changed, those of Berlin change on the 29th
VERSIONS = [f"1.{minor}.{patch}" for minor in (34, 35, 36, 37) for patch in (0, 1, 2)]
WINDOWS = st.sampled_from(
    [
        ("daily 00:00-00:00",),
        ("Sat 22:00-04:00 Europe/Berlin",),
        ("Sun 01:00-05:00 Europe/Berlin",),
        ("Tue 09:00-15:00 America/New_York", "Thu 09:00-15:00 America/New_York"),
        ("daily 20:00-23:30 Asia/Kolkata", "daily 22:00-02:00"),
        (),
    ]
)
DURATIONS = st.sampled_from([timedelta(minutes=minutes) for minutes in (10, 45, 60, 90, 200, 420)])
RINGS = ("canary", "staging", "production")
SLOW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@st.composite
def rules(draw: st.DrawFn) -> Waves:
    rings = [
        {
            "name": name,
            "match": {"stage": name},
            "soak": draw(st.sampled_from(["0s", "6h", "2d"])),
            "approve": draw(st.booleans()),
            "max_parallel": draw(st.sampled_from([None, 1, 2])),
        }
        for name in RINGS[: draw(st.integers(1, 3))]
    ]
    first = date(2026, 3, 20) + draw(st.integers(0, 20)) * DAY
    freeze = {
        "from": first,
        "to": first + draw(st.integers(0, 5)) * DAY,
        "timezone": draw(st.sampled_from([None, "Europe/Berlin", "Asia/Kolkata"])),
    }
    return waves(
        rings=rings,
        max_parallel=draw(st.sampled_from([None, 1, 2, 3])),
        max_parallel_per_account=draw(st.sampled_from([None, 1, 2])),
        freezes=[freeze] if draw(st.booleans()) else [],
        never_together=[["c0", "c1"], ["c1", "c2", "c3"]] if draw(st.booleans()) else [],
    )


@st.composite
def fleets(draw: st.DrawFn) -> World:
    given_rules = draw(rules())
    names = [ring.name for ring in given_rules.upgrades.rings]
    members = [
        Member(
            name=f"c{at}",
            version=draw(st.sampled_from(VERSIONS[:6])),
            windows=draw(WINDOWS),
            reached=LONG_AGO,
            health_since=LONG_AGO,
            ring=draw(st.sampled_from([*names, None])),
            kind=draw(st.sampled_from(["kwok", "kops"])),
            account=draw(st.sampled_from([None, "a", "b"])),
            channel=draw(st.sampled_from(["rapid", "regular", "stable", "pinned"])),
            expected=draw(DURATIONS),
            phase=draw(st.sampled_from([Phase.RUNNING] * 4 + [Phase.HIBERNATED, Phase.BROKEN])),
            healthy=draw(st.sampled_from([True] * 9 + [False])),
            pools_behind=draw(st.sampled_from([()] * 5 + [("web",)])),
            mutexes=frozenset(
                group for group, inside in enumerate(given_rules.upgrades.never_together) if f"c{at}" in inside
            ),
            by_hand=draw(st.sampled_from([False] * 7 + [True])),
            at_end_of_support=draw(st.sampled_from(["warn", "upgrade"])),
        )
        for at in range(draw(st.integers(1, 7)))
    ]
    known = {"kwok": draw(st.sampled_from([8, 12])), "kops": draw(st.sampled_from([7, 12]))}
    later = BEGIN + draw(st.integers(0, 300)) * HOUR
    end = BEGIN + draw(st.integers(-50, 300)) * HOUR
    offers = {
        kind: Offer(
            tuple(Release(v, LONG_AGO if at < first else later + at * DAY) for at, v in enumerate(VERSIONS)),
            {"1.34": end, "1.35": BEGIN + 30 * DAY},
        )
        for kind, first in known.items()
    }
    return World(given_rules, FleetState(members=tuple(members), offers=offers), BEGIN)


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


@given(fleets(), st.sampled_from([timedelta(minutes=30), HOUR, 3 * HOUR]))
@SLOW
def test_a_forecast_says_what_the_scheduler_then_does(world: World, every: timedelta) -> None:
    told = forecast(world.rules, world.state, BEGIN, period=PERIOD, every=every)
    world.every = every
    world.run(BEGIN + PERIOD)
    assert [(move.begins, move.name, move.to) for move in told.moves] == world.log
    assert set(world.state.soaked) <= set(told.soaked)
    assert [(when, ask.ring, ask.target) for when, ask in told.approvals] == [
        (answer.at, answer.ring, answer.target) for answer in world.state.answers
    ]


@given(fleets(), st.randoms(use_true_random=False), st.integers(0, 300))
@SLOW
def test_the_order_of_what_is_known_does_not_matter(world: World, shuffle: random.Random, hours: int) -> None:
    world.run(BEGIN + hours * HOUR)
    state = world.state

    def mixed(values: tuple) -> tuple:  # type: ignore[type-arg]
        return tuple(shuffle.sample(values, len(values)))

    other = FleetState(
        members=mixed(state.members),
        running=mixed(state.running),
        offers={
            kind: Offer(mixed(offer.releases), dict(reversed(offer.support_ends.items())))
            for kind, offer in reversed(state.offers.items())
        },
        answers=mixed(state.answers),
        soaked=mixed(state.soaked),
        lifted=mixed(state.lifted),
    )
    assert decide(world.rules, other, world.now) == decide(world.rules, state, world.now)


@given(fleets(), st.integers(0, 400))
@SLOW
def test_a_fleet_without_upgrades_goes_by_each_clusters_own_window_and_channel_as_ever(
    world: World, hours: int
) -> None:
    now = BEGIN + hours * HOUR
    decision = decide(None, world.state, now)
    for member, verdict in zip(sorted(world.state.members, key=lambda each: each.name), decision.verdicts, strict=True):
        if len(member.windows) > 1 or member.by_hand or member.pools_behind:
            continue
        spec = Cluster.model_validate(
            {
                "name": member.name,
                "provider": {"kind": "kwok"},
                "kubernetes": {"version": "1.34", "channel": member.channel},
                "policy": {"maintenance": {"window": member.windows[0]}} if member.windows else {},
            }
        )
        offered = [each.version for each in world.state.offers[member.kind].releases if each.since <= now]
        observed = Observed(phase=member.phase, version=member.version)
        today = decide_maintenance(spec, observed, offered, now, expected=lambda _, m=member: m.expected)
        assert verdict.to == today.to
        if today.to is not None:
            assert verdict.reason == today.reason
    assert not decision.soaked
    assert not decision.asks
