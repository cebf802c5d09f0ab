"""Fleets with whatever rules, for properties of their upgrades."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from boatyard.plan.fleet import FleetState, Member, Offer, Release
from boatyard.plan.model import Phase
from boatyard.spec.waves import Waves
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
