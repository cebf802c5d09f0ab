"""Waves through a fleet, each test one sentence of docs/waves.md; on real control planes: tests/flows/test_waves.py."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from boatyard.plan.fleet import Answer, Attempt, FleetState, Lift, Outcome, Running
from boatyard.plan.model import Phase
from boatyard.plan.waves import decide
from boatyard.spec.holidays import Holiday, Holidays
from tests.unit.plan.world import DAY, HOUR, MONDAY, NEXT, RINGS, at, cluster, days, offer, six, waves, world


def test_a_version_goes_ring_by_ring_each_after_the_soak_of_the_one_before() -> None:
    fleet = world(waves(rings=RINGS), six(), NEXT, MONDAY).run("2026-06-20T00:00")
    assert [(f"{when:%m-%d %H:%M}", name) for when, name, _ in fleet.log] == [
        ("06-01 00:00", "c1"),
        ("06-01 00:00", "c2"),
        ("06-03 01:00", "s1"),  # the canaries came to it at 01:00 on the 1st
        ("06-03 01:00", "s2"),
        ("06-08 02:00", "p1"),
        ("06-08 02:00", "p2"),
    ]
    assert {member.version for member in fleet.state.members} == {"1.36.0"}


def test_who_waits_is_told_for_what() -> None:
    fleet = world(waves(rings=RINGS), six(), NEXT, MONDAY)
    fleet.look()
    assert fleet.verdict("c1").reason == "channel rapid allows 1.36.0"
    assert fleet.verdict("p1").reason == "ring canary has not soaked 1.36.0: c1 and 1 more are still at 1.35.1"
    fleet.run("2026-06-01T02:00")
    assert fleet.verdict("p1").reason == "ring canary soaks 1.36.0 for 2d, until 2026-06-03 01:00 UTC"
    assert fleet.verdict("c1").reason == "1.36.0 is the newest that channel rapid allows"
    fleet.run("2026-06-03T02:00")
    assert fleet.verdict("s1").to == "1.36.0"
    assert fleet.verdict("p1").reason == "ring staging has not soaked 1.36.0: s1 and 1 more are still at 1.35.1"


def test_a_canary_that_breaks_in_its_upgrade_halts_everything_behind_it() -> None:
    fleet = world(waves(rings=RINGS), six(), NEXT, MONDAY, fails=lambda name, _: name == "c2")
    fleet.run("2026-07-01T00:00")
    assert days(fleet) == {"c1": "Mon 00:00", "c2": "Mon 00:00"}
    (halted,) = fleet.last.halted
    assert (halted.ring, halted.target, halted.failed) == ("canary", "1.36.0", ("c2",))
    assert fleet.verdict("p1").reason.startswith("ring canary is halted: 1 of the 2 clusters of ring canary failed")
    assert fleet.verdict("c2").reason.startswith("its ring is halted")


def test_a_canary_that_falls_ill_soon_after_its_upgrade_halts_too_until_it_is_well() -> None:
    fleet = world(waves(rings=RINGS), six(), NEXT, MONDAY).run("2026-06-01T12:00")
    fleet.change("c1", healthy=False, health_since=at("2026-06-01T11:30")).run("2026-06-10T00:00")
    assert [halted.failed for halted in fleet.last.halted] == [("c1",)]
    assert days(fleet).keys() == {"c1", "c2"}
    fleet.change("c1", healthy=True, health_since=at("2026-06-10T00:00")).run("2026-06-13T00:00")
    assert not fleet.last.halted
    assert days(fleet)["s1"] == "Fri 00:00"


def test_soak_time_starts_again_when_a_cluster_of_the_ring_was_ill() -> None:
    fleet = world(waves(rings=RINGS, halt={"failed": "60%"}), six(), NEXT, MONDAY).run("2026-06-02T22:00")
    fleet.change("c2", healthy=False, health_since=at("2026-06-02T21:30")).run("2026-06-05T10:00")
    assert fleet.verdict("s1").reason == "ring canary earns no soak time for 1.36.0: c2 is not healthy"
    fleet.change("c2", healthy=True, health_since=at("2026-06-05T10:00")).run("2026-06-08T00:00")
    assert days(fleet)["s1"] == "Sun 10:00"


@pytest.mark.parametrize(
    ("half", "running"),
    [
        ({"pools_behind": ("web",)}, ()),
        ({"unfinished": True}, ()),
        ({}, (Running("c1", "1.36.0", at("2026-06-01T00:00")),)),
    ],
    ids=["pools behind", "its end is missing", "under way"],
)
def test_an_upgrade_that_has_not_come_to_its_end_proves_nothing(half: dict[str, Any], running: Any) -> None:
    rules = waves(rings=[{"name": "canary", "match": {"stage": "test"}}, {"name": "production"}])  # no soak time at all
    members = (cluster("c1", "canary", "1.36.0", **half), cluster("p1", "production"))
    decided = decide(rules, FleetState(members, running, NEXT), at("2026-06-01T01:00"))
    assert decided.soaked == ()
    assert "p1" not in [each.name for each in decided.starts]
    why = next(each.reason for each in decided.verdicts if each.name == "p1")
    assert why == "ring canary has not soaked 1.36.0: the upgrade of c1 has not come to its end"


def test_few_failures_in_a_large_ring_stop_only_those_clusters_until_the_next_window() -> None:
    fleet = world(
        waves(rings=[{"name": "all"}], halt={"failed": "50%"}),
        [cluster(f"c{at}", "all", windows=("daily 02:00-04:00",)) for at in range(5)],
        NEXT,
        MONDAY,
        fails=lambda name, _: name == "c3",
    )
    fleet.run("2026-06-03T12:00")
    assert fleet.starts_of("c3") == [
        ("Mon 06-01 02:00", "c3", "1.36.0"),
        ("Tue 06-02 02:00", "c3", "1.36.0"),
        ("Wed 06-03 02:00", "c3", "1.36.0"),
    ]
    assert [fleet.member(f"c{at}").version for at in range(5)] == ["1.36.0"] * 3 + ["1.35.1", "1.36.0"]


def test_a_halted_ring_goes_on_when_a_person_lifts_it() -> None:
    ill = {"c2"}
    fleet = world(waves(rings=RINGS), six(), NEXT, MONDAY, fails=lambda name, _: name in ill).run("2026-06-03T00:00")
    assert fleet.last.halted
    ill.clear()
    fleet.add(Lift("canary", at("2026-06-03T00:00"))).run("2026-06-20T00:00")
    assert fleet.starts_of("c2")[-1] == ("Wed 06-03 00:00", "c2", "1.36.0")
    assert fleet.member("p2").version == "1.36.0"


def test_a_newer_version_may_mend_the_ring_that_the_older_one_broke() -> None:
    offers = offer("1.35.1", "1.36.0", v1_36_1="2026-06-05T00:00")
    fleet = world(waves(rings=RINGS), six(), offers, MONDAY, fails=lambda name, to: (name, to) == ("c2", "1.36.0"))
    fleet.run("2026-06-04T23:00")
    assert {name for _, name, _ in fleet.log} == {"c1", "c2"}
    fleet.run("2026-06-20T00:00")
    assert {member.version for member in fleet.state.members} == {"1.36.1"}
    assert not [name for _, name, to in fleet.log if name not in ("c1", "c2") and to == "1.36.0"]


def test_a_freeze_lets_nothing_start_and_nothing_run_into_it() -> None:
    rules = waves(
        rings=[{"name": "all"}],
        freezes=[{"from": "2026-12-20", "to": "2027-01-06", "timezone": "Europe/Berlin", "reason": "year's end"}],
    )
    early = cluster("early", "all", windows=("Sat 20:00-02:00 Europe/Berlin",), expected=3 * HOUR)
    late = cluster("late", "all", windows=("Sat 21:30-03:00 Europe/Berlin",), expected=3 * HOUR)
    fleet = world(rules, [early, late], NEXT, "2026-12-19T00:00").run("2027-01-20T00:00")
    assert [(f"{when:%Y-%m-%d %H:%M}", name) for when, name, _ in fleet.log] == [
        ("2026-12-19 19:00", "early"),  # ends at 23:00 in Berlin
        ("2027-01-09 21:00", "late"),  # on the 19th it had only two hours and a half before midnight
    ]


def test_who_waits_in_a_freeze_is_told_so() -> None:
    rules = waves(rings=[{"name": "all"}], freezes=[{"from": "2026-12-20", "to": "2027-01-06", "reason": "year's end"}])
    fleet = world(rules, [cluster("c", "all")], NEXT, "2026-12-25T10:00")
    fleet.look()
    assert fleet.verdict("c").reason == "upgrades are frozen to the end of 2027-01-06 (year's end)"


def test_a_holiday_is_the_day_that_the_windows_own_clock_shows() -> None:
    christmas = Holiday(first=date(2020, 12, 25), days=2, rule="FREQ=YEARLY", name="Christmas")
    rules = waves(holidays=Holidays(events=(christmas,)), rings=[{"name": "all"}])
    members = [
        cluster("auckland", "all", windows=("daily 09:00-17:00 Pacific/Auckland",)),
        cluster("honolulu", "all", windows=("daily 09:00-17:00 Pacific/Honolulu",)),
    ]
    fleet = world(rules, members, NEXT, "2026-12-24T12:00").run("2026-12-29T00:00")
    assert days(fleet) == {"auckland": "Sat 20:00", "honolulu": "Thu 19:00"}


@pytest.mark.parametrize(
    ("now", "begins", "why"),
    [
        ("2026-03-28T12:00", "03-29 00:00", "01:00 in Berlin; the window is an hour shorter, and two still fit"),
        ("2026-10-24T12:00", "10-24 23:00", "01:00 in Berlin; it ends the first time that clocks show 04:00"),
    ],
)
def test_windows_follow_the_clocks_when_they_change(now: str, begins: str, why: str) -> None:
    member = cluster("c", "all", windows=("Sun 01:00-04:00 Europe/Berlin",), expected=2 * HOUR)
    fleet = world(waves(rings=[{"name": "all"}]), [member], NEXT, now).run(at(now) + 2 * DAY)
    assert [f"{when:%m-%d %H:%M}" for when, _, _ in fleet.log] == [begins], why


def test_an_upgrade_that_no_longer_fits_on_the_night_of_the_lost_hour_waits_for_the_next_one() -> None:
    member = cluster("c", "all", windows=("Sun 01:00-04:00 Europe/Berlin",), expected=3 * HOUR)
    fleet = world(waves(rings=[{"name": "all"}]), [member], NEXT, "2026-03-28T12:00").run("2026-04-08T00:00")
    assert fleet.starts_of("c") == [("Sat 04-04 23:00", "c", "1.36.0")]
    member = cluster("c", "all", windows=member.windows, expected=4 * HOUR)
    gained = world(waves(rings=[{"name": "all"}]), [member], NEXT, "2026-10-20T00:00")
    gained.run("2026-10-26T00:00")
    assert gained.starts_of("c") == [("Sat 10-24 23:00", "c", "1.36.0")]  # the night of the gained hour has four


def test_after_an_outage_in_a_window_nothing_starts_that_would_overrun_it() -> None:
    members = [
        cluster("long", "all", windows=("Sat 02:00-06:00",), expected=3 * HOUR),
        cluster("short", "all", windows=("Sat 02:00-06:00",), expected=HOUR),
    ]
    fleet = world(waves(rings=[{"name": "all"}]), members, NEXT, "2026-06-05T12:00")
    fleet.run("2026-06-06T02:00").outage(until="2026-06-06T04:00").run("2026-06-06T05:00")
    assert fleet.verdict("long").reason == "the upgrade to 1.36.0 takes about 3h, and the window closes at 06:00 UTC"
    fleet.run("2026-06-14T00:00")
    assert fleet.starts_of("long", "short") == [
        ("Sat 06-06 04:00", "short", "1.36.0"),
        ("Sat 06-13 02:00", "long", "1.36.0"),
    ]


def test_an_outage_over_a_soak_costs_no_more_than_itself() -> None:
    fleet = world(waves(rings=RINGS), six(), NEXT, MONDAY).run("2026-06-01T12:00")
    fleet.outage(until="2026-06-04T05:00").run("2026-06-05T00:00")
    assert days(fleet)["s1"] == "Thu 05:00"


def test_of_two_versions_in_flight_each_ring_takes_the_newest_that_has_earned_its_way() -> None:
    offers = offer("1.35.1", "1.36.0", v1_36_1="2026-06-03T12:00")
    fleet = world(waves(rings=RINGS), six(windows=("daily 00:00-02:00",)), offers, MONDAY).run("2026-06-25T00:00")
    assert fleet.starts_of("c1", "s1", "p1") == [
        ("Mon 06-01 00:00", "c1", "1.36.0"),
        ("Wed 06-03 01:00", "s1", "1.36.0"),
        ("Thu 06-04 00:00", "c1", "1.36.1"),  # the newer one goes out, while the older one soaks in staging
        ("Sat 06-06 01:00", "s1", "1.36.1"),  # and supersedes it there, which had three days of its five
        ("Fri 06-12 00:00", "p1", "1.36.1"),
    ]


def test_an_older_version_that_was_proved_is_finished_while_the_newer_one_soaks() -> None:
    rings = [RINGS[0], {"name": "production", "match": {"stage": "prod"}, "max_parallel": 1}]
    offers = offer("1.35.1", "1.36.0", v1_36_1="2026-06-03T12:00")
    members = [cluster("c1", "canary"), *[cluster(f"p{at}", "production", expected=20 * HOUR) for at in range(3)]]
    fleet = world(waves(rings=rings), members, offers, MONDAY).run("2026-06-11T00:00")
    assert fleet.starts_of("c1", "p0", "p1", "p2") == [
        ("Mon 06-01 00:00", "c1", "1.36.0"),
        ("Wed 06-03 01:00", "p0", "1.36.0"),
        ("Wed 06-03 12:00", "c1", "1.36.1"),
        ("Thu 06-04 00:00", "p1", "1.36.0"),
        ("Fri 06-05 00:00", "p2", "1.36.0"),
        ("Sat 06-06 00:00", "p0", "1.36.1"),
        ("Sun 06-07 00:00", "p1", "1.36.1"),
        ("Mon 06-08 00:00", "p2", "1.36.1"),
    ]


def test_never_two_of_a_mutex_across_rings() -> None:
    rules = waves(rings=[{"name": "a", "match": {"x": "a"}}, {"name": "b"}], never_together=[["shop-eu", "shop-us"]])
    window = ("daily 00:00-03:00",)
    members = [
        cluster("shop-eu", "b", windows=window, mutexes=frozenset({0})),
        cluster("shop-us", "b", windows=window, mutexes=frozenset({0})),
        cluster("other", "b", windows=window),
    ]
    fleet = world(rules, members, NEXT, MONDAY)
    fleet.look()
    assert fleet.verdict("shop-us").reason == "it is never upgraded together with shop-eu, whose upgrade is under way"
    fleet.run("2026-06-02T00:00")
    assert days(fleet) == {"other": "Mon 00:00", "shop-eu": "Mon 00:00", "shop-us": "Mon 01:00"}
    across = [cluster("shop-eu", "a", mutexes=frozenset({0})), cluster("shop-us", "b", mutexes=frozenset({0}))]
    state = FleetState(tuple(across), running=(Running("shop-us", "1.36.0", at(MONDAY)),), offers=NEXT)
    assert not decide(rules, state, at(MONDAY)).starts


def test_a_ring_that_asks_waits_for_approval_of_each_version() -> None:
    rules = waves(rings=[*RINGS[:2], RINGS[2] | {"approve": True}])
    offers = offer("1.35.1", "1.36.0", v1_36_1="2026-07-01T00:00")
    fleet = world(rules, six(), offers, MONDAY, grants=lambda *_: None).run("2026-06-20T00:00")
    assert [(ask.ring, ask.target) for ask in fleet.last.asks] == [("production", "1.36.0")]
    assert fleet.verdict("p1").reason == "ring production waits for approval of 1.36.0"
    assert fleet.member("p1").version == "1.35.1"
    fleet.add(Answer("production", "1.36.0", granted=True, at=fleet.now)).run("2026-07-20T00:00")
    assert fleet.starts_of("p1") == [("Sat 06-20 00:00", "p1", "1.36.0")]
    assert [(ask.ring, ask.target) for ask in fleet.last.asks] == [("production", "1.36.1")]


def test_an_approval_that_is_refused_keeps_the_ring_where_it_is_until_the_next_version() -> None:
    rules = waves(rings=[*RINGS[:2], RINGS[2] | {"approve": True}])
    offers = offer("1.35.1", "1.36.0", "1.36.1", v1_36_2="2026-07-01T00:00")
    fleet = world(rules, six(), offers, MONDAY, grants=lambda _, to: to != "1.36.1").run("2026-06-30T00:00")
    assert fleet.verdict("p1").reason == "approval of 1.36.1 for ring production was refused"
    assert not fleet.last.asks, "nobody is asked for an older version instead"
    assert not fleet.starts_of("p1", "p2")
    fleet.run("2026-07-20T00:00")
    assert [to for _, _, to in fleet.starts_of("p1")] == ["1.36.2"]


def test_the_newest_answer_holds() -> None:
    rules = waves(rings=[{"name": "all", "approve": True}])
    fleet = world(rules, [cluster("c", "all")], NEXT, MONDAY, grants=lambda *_: None)
    fleet.add(Answer("all", "1.36.0", granted=True, at=at(MONDAY)))
    fleet.add(Answer("all", "1.36.0", granted=False, at=at(MONDAY) + HOUR)).look()
    assert not fleet.last.starts


def test_a_refusal_holds_in_a_ring_that_asks_nobody_as_well() -> None:
    state = FleetState((cluster("p1", "production"),), (), offer("1.36.0", "1.36.1"))
    refused = replace(state, answers=(Answer("production", "1.36.1", granted=False, at=at("2026-05-01T00:00")),))
    rules = waves(rings=[{"name": "production"}])
    assert [each.to for each in decide(rules, state, at(MONDAY)).starts] == ["1.36.1"]
    assert [each.to for each in decide(rules, refused, at(MONDAY)).starts] == ["1.36.0"]


@pytest.mark.parametrize("granted", [True, False])
def test_an_answer_to_a_minor_is_one_to_its_patches(granted: bool) -> None:
    first, then = at("2026-05-01T00:00"), at("2026-05-02T00:00")
    answers = (Answer("production", "1.36.1", not granted, first), Answer("production", "1.36", granted, then))
    state = FleetState((cluster("p1", "production"),), (), offer("1.36.0", "1.36.1"), answers)
    decided = decide(waves(rings=[{"name": "production", "approve": True}]), state, at(MONDAY))
    assert [each.to for each in decided.starts] == (["1.36.1"] if granted else [])
    assert decided.asks == ()


def test_a_fleet_with_rules_and_no_rings_halts_as_a_whole() -> None:
    broke = Attempt("1.36.0", at("2026-05-31T00:00"), at("2026-05-31T01:00"), Outcome.FAILED)
    state = FleetState((cluster("a", attempts=(broke,)), cluster("b")), (), offer("1.36.0"))
    rules = waves(max_parallel=5)
    decided = decide(rules, state, at(MONDAY))
    assert (decided.starts, [each.ring for each in decided.halted]) == ((), ["default"])
    lifted = replace(state, lifted=(Lift("default", at(MONDAY)),))
    assert len(decide(rules, lifted, at(MONDAY)).starts) == 2


@pytest.mark.parametrize("ill", [{"phase": Phase.BROKEN}, {"unseen": "the account throttles"}, {"monitored": False}])
def test_only_what_monitoring_found_ill_halts_a_ring_long_after_its_upgrade(ill: dict[str, Any]) -> None:
    then = at("2026-04-01T00:00")
    done = Attempt("1.36.0", then, then, Outcome.DONE)
    canary = cluster("c1", "canary", "1.36.0", reached=then, attempts=(done,), **ill)
    state = FleetState((canary, cluster("p1", "production")), (), offer("1.36.0"))
    rules = waves(rings=[{"name": "canary", "match": {"stage": "test"}}, {"name": "production"}])
    assert decide(rules, state, at(MONDAY)).halted == ()
