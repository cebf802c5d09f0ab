"""Who starts and who does not: limits, windows, ends of support, what was tried; each a sentence of docs/waves.md."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from boatyard.plan.fleet import Answer, Attempt, FleetState, Member, Outcome, Running, Soaked, member_of
from boatyard.plan.forecast import forecast
from boatyard.plan.model import Phase
from boatyard.plan.waves import decide
from boatyard.spec.holidays import Holiday, Holidays
from boatyard.spec.models import Cluster
from boatyard.spec.waves import Upgrades, Waves
from tests.unit.plan.world import (
    DAY,
    HOUR,
    MONDAY,
    NEXT,
    RINGS,
    TWO,
    at,
    cluster,
    days,
    offer,
    six,
    waves,
    world,
)


def test_limits_hold_for_the_fleet_the_ring_and_each_account() -> None:
    members = [cluster(f"c{at}", "all", account="a" if at < 4 else "b") for at in range(8)]
    rules = waves(rings=[{"name": "all", "max_parallel": 5}], max_parallel=4, max_parallel_per_account=3)
    fleet = world(rules, members, NEXT, MONDAY)
    fleet.look()
    assert [verdict.name for verdict in fleet.last.starts] == ["c0", "c1", "c2", "c4"]
    assert fleet.verdict("c3").reason == "account a already has 3 upgrades under way, and no more are allowed"
    assert fleet.verdict("c5").reason == "the fleet already has 4 upgrades under way, and no more are allowed"


def test_whose_window_closes_first_starts_first() -> None:
    members = [cluster("a", "all"), cluster("z", "all", windows=("daily 00:00-04:00",))]
    rules = waves(rings=[{"name": "all"}], max_parallel=1)
    assert [each.name for each in decide(rules, FleetState(tuple(members), offers=NEXT), at(MONDAY)).starts] == ["z"]


def test_a_hibernated_cluster_that_is_due_is_woken_for_it() -> None:
    state = FleetState((cluster("c", "all", phase=Phase.HIBERNATED),), offers=NEXT)
    (start,) = decide(waves(rings=[{"name": "all"}]), state, at(MONDAY)).starts
    assert (start.to, start.wake) == ("1.36.0", True)
    assert not decide(None, state, at(MONDAY)).starts, "as ever where there are no waves"


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (cluster("c", "all", windows=()), "it has no maintenance window"),
        (cluster("c", "all", channel="pinned"), "its channel is pinned"),
        (cluster("c", ring=None), "no ring of the fleet matches its labels"),
        (cluster("c", "all", phase=Phase.BROKEN), "it is broken"),
        (cluster("c", "all", healthy=False, health_since=at(MONDAY)), "it is not healthy since 2026-06-01 00:00 UTC"),
        (cluster("c", "all", version="1.36.0"), "1.36.0 is the newest that channel rapid allows"),
        (cluster("c", "all", by_hand=True), "an upgrade to 1.36.0 is due, and its policy asks for approval"),
        (cluster("c", "all", windows=("Sat 02:00-06:00",)), "its window is closed until 2026-06-06 02:00 UTC"),
    ],
)
def test_who_is_never_upgraded_or_not_now_is_told_why(member: Member, reason: str) -> None:
    decision = decide(waves(rings=[{"name": "all"}]), FleetState((member,), offers=NEXT), at(MONDAY))
    assert not decision.starts
    assert decision.verdicts[0].reason.startswith(reason)


def test_a_cluster_without_window_proves_nothing_and_holds_nobody_up() -> None:
    members = [*six(), cluster("idle", "canary", windows=()), cluster("pinned", "canary", channel="pinned")]
    fleet = world(waves(rings=RINGS), members, NEXT, MONDAY).run("2026-06-20T00:00")
    assert fleet.member("p1").version == "1.36.0"


def test_a_ring_without_clusters_is_passed() -> None:
    members = [member for member in six() if member.ring != "staging"]
    fleet = world(waves(rings=RINGS), members, NEXT, MONDAY).run("2026-06-04T00:00")
    assert days(fleet)["p1"] == "Wed 01:00"


def test_a_ring_without_clusters_is_named_where_it_is_passed() -> None:
    fleet = world(waves(rings=RINGS), [cluster("p1", "production")], NEXT, MONDAY)
    fleet.look()
    assert fleet.verdict("p1").reason == (
        "channel rapid allows 1.36.0; rings canary, staging have no cluster that takes part, so nothing was tried there"
    )


def test_a_ring_that_has_proved_something_before_lets_nothing_pass_while_it_has_no_cluster() -> None:
    away = [cluster("c1", "canary", phase=Phase.ABSENT), cluster("c2", "canary", channel="pinned")]
    fleet = world(waves(rings=TWO), [*away, cluster("p1", "production")], NEXT, MONDAY)
    fleet.add(Soaked("canary", "1.35.1", at("2026-05-01T00:00"))).run("2026-07-01T00:00")
    assert fleet.log == []
    assert fleet.verdict("p1").reason == (
        "ring canary has no cluster now that takes part and could prove 1.36.0, as it did for others:"
        " give it one, or take it out of the rules"
    )
    fleet.change("c1", phase=Phase.RUNNING, version="1.36.0", reached=fleet.now).run("2026-07-04T00:00")
    assert days(fleet) == {"p1": "Fri 00:00"}


def test_a_ring_none_of_whose_clusters_goes_there_lets_nothing_pass() -> None:
    members = [cluster("c1", "canary", channel="stable"), cluster("p1", "production")]
    fleet = world(waves(rings=TWO), members, NEXT, MONDAY).run("2026-06-10T00:00")
    assert fleet.verdict("p1").reason == "no cluster of ring canary goes to 1.36.0, so it cannot be proved there"


def test_canaries_that_are_beyond_a_version_vouch_for_it_once_they_have_soaked_the_newer_one() -> None:
    members = [
        cluster("c1", "canary", version="1.37.0", reached=at(MONDAY)),
        cluster("p1", "production", channel="stable"),
    ]
    offers = offer("1.35.1", "1.35.2", "1.36.0", "1.37.0")
    fleet = world(waves(rings=TWO), members, offers, MONDAY).run("2026-06-10T00:00")
    assert fleet.starts_of("p1") == [("Wed 06-03 00:00", "p1", "1.35.2")]


def test_an_upgrade_that_was_left_half_done_is_finished_first_without_soak_or_approval() -> None:
    rules = waves(
        rings=[{"name": "canary", "match": {"x": "y"}, "soak": "9d"}, {"name": "rest", "approve": True}], max_parallel=1
    )
    half = cluster("z", "rest", version="1.36.0", pools_behind=("web",))
    state = FleetState((cluster("c", "canary"), half), running=(Running("c", "1.36.0", at(MONDAY)),), offers=NEXT)
    assert not decide(rules, state, at(MONDAY)).starts, "the limit holds for it too"
    (start,) = decide(rules, FleetState((half,), offers=NEXT), at(MONDAY)).starts
    assert (start.to, start.reason) == ("1.36.0", "pools web are behind the control plane at 1.36.0")


def test_what_a_check_refused_is_tried_again_in_the_next_window_not_in_this_one() -> None:
    refused = Attempt("1.36.0", at("2026-06-06T02:00"), at("2026-06-06T02:01"), Outcome.BLOCKED)
    member = cluster("c", "all", windows=("Sat 02:00-06:00",), attempts=(refused,))
    fleet = world(waves(rings=[{"name": "all"}]), [member], NEXT, "2026-06-06T03:00").run("2026-06-14T00:00")
    assert fleet.starts_of("c") == [("Sat 06-13 02:00", "c", "1.36.0")]
    assert not fleet.last.halted


END = {"1.35": "2026-06-20T00:00"}


def ending(**rest: Any) -> list[Member]:
    """A production cluster whose version's support ends on a Saturday, behind a canary that never gets there."""
    given = {"windows": ("Sat 02:00-06:00",), "at_end_of_support": "upgrade"}
    return [cluster("c1", "canary", by_hand=True), cluster("p1", "production", **(given | rest))]


def test_in_the_last_window_before_the_end_of_support_soak_and_a_missing_approval_are_passed_over() -> None:
    rules = waves(rings=[TWO[0], {"name": "production", "approve": True}])
    offers = offer("1.35.1", "1.35.2", "1.36.0", ends=END)
    fleet = world(rules, ending(), offers, MONDAY, grants=lambda *_: None).run("2026-06-13T02:00")
    assert not fleet.starts_of("p1")
    fleet.look()
    assert fleet.starts_of("p1") == [("Sat 06-13 02:00", "p1", "1.36.0")]
    assert fleet.verdict("p1").forced
    assert "support of 1.35.1 ends" in fleet.verdict("p1").reason


@pytest.mark.parametrize(
    ("upgrades", "member"),
    [
        ({}, {"at_end_of_support": "warn"}),
        ({}, {"expected": 5 * HOUR}),
        ({"freezes": [{"from": "2026-06-01", "to": "2026-08-01"}]}, {}),
        ({}, {"channel": "regular"}),
        ({}, {"healthy": False}),
    ],
    ids=["only warn", "does not fit the window", "freeze", "channel", "ill"],
)
def test_the_end_of_support_goes_over_nothing_else(upgrades: dict[str, Any], member: dict[str, Any]) -> None:
    offers = offer("1.35.1", "1.36.0", ends=END)
    fleet = world(waves(rings=TWO, **upgrades), ending(**member), offers, MONDAY).run("2026-07-01T00:00")
    assert not fleet.starts_of("p1")


def test_the_end_of_support_goes_over_no_halt_and_no_refusal() -> None:
    offers = offer("1.35.1", "1.36.0", ends=END)
    failed = Attempt("1.36.0", at(MONDAY), at(MONDAY) + HOUR, Outcome.FAILED)
    broken = [cluster("c1", "canary", attempts=(failed,)), ending()[1]]
    assert not world(waves(rings=TWO), broken, offers, MONDAY).run("2026-07-01T00:00").starts_of("p1")
    asks = waves(rings=[TWO[0], {"name": "production", "approve": True}])
    fleet = world(asks, ending(), offers, MONDAY).add(Answer("production", "1.36.0", granted=False, at=at(MONDAY)))
    assert not fleet.run("2026-07-01T00:00").starts_of("p1")


def test_when_the_last_window_before_the_end_was_missed_the_next_one_serves() -> None:
    offers = offer("1.35.1", "1.36.0", ends=END)
    fleet = world(waves(rings=TWO), ending(), offers, MONDAY).outage(until="2026-06-21T00:00").run("2026-07-01T00:00")
    assert fleet.starts_of("p1") == [("Sat 06-27 02:00", "p1", "1.36.0")]


def test_a_cluster_that_is_being_upgraded_is_left_alone() -> None:
    state = FleetState((cluster("c", "all"),), running=(Running("c", "1.36.0", at(MONDAY)),), offers=NEXT)
    decision = decide(waves(rings=[{"name": "all"}]), state, at(MONDAY) + HOUR)
    assert not decision.starts
    assert decision.verdicts[0].reason == "its upgrade to 1.36.0 is under way since 2026-06-01 00:00 UTC"


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        decide(None, FleetState(), datetime(2026, 6, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="time zone"):
        decide(None, FleetState((cluster("c", reached=datetime(2026, 6, 1)),)), at(MONDAY))  # noqa: DTZ001


def test_a_forecast_says_when_to_what_and_why_no_further() -> None:
    offers = offer("1.35.1", "1.36.0", v1_37_0="2026-08-12T00:00")
    members = [*six(windows=("Sat 02:00-06:00",)), cluster("odd", "production", windows=())]
    members.append(cluster("huge", "production", windows=("Sat 02:00-06:00",), expected=5 * HOUR))
    told = forecast(waves(rings=RINGS), FleetState(tuple(members), offers=offers), at(MONDAY))
    assert [(f"{move.begins:%m-%d}", move.version, move.to) for move in told.moves if move.name == "p1"] == [
        ("06-20", "1.35.1", "1.36.0"),
        ("08-29", "1.36.0", "1.37.0"),
    ]
    stays = {each.name: each.reason for each in told.stays}
    assert stays["p1"] == "1.37.0 is the newest that channel rapid allows"
    assert stays["odd"] == "it has no maintenance window"
    assert stays["huge"] == "the upgrade to 1.36.0 takes about 5h, and the window closes at 06:00 UTC"


def test_a_forecast_begins_with_what_is_under_way() -> None:
    state = FleetState((cluster("c", "all"),), running=(Running("c", "1.36.0", at(MONDAY) - HOUR / 2),), offers=NEXT)
    (move,) = forecast(waves(rings=[{"name": "all"}]), state, at(MONDAY), period=7 * DAY).moves
    assert (move.begins, move.ends) == (at(MONDAY) - HOUR / 2, at(MONDAY) + HOUR / 2)


def test_a_member_is_read_from_its_spec() -> None:
    spec = Cluster.model_validate(
        {
            "name": "shop-eu",
            "labels": {"stage": "prod", "app": "shop"},
            "provider": {"kind": "kwok"},
            "kubernetes": {"version": "1.35", "channel": "regular"},
            "policy": {"upgrade": {"approve": True, "at_end_of_support": "upgrade"}},
        }
    )
    rules = Upgrades.model_validate(
        {
            "rings": [RINGS[0], RINGS[2] | {"windows": ["Tue 09:00-15:00"]}],
            "never_together": [["x", "y"], [{"app": "shop"}]],
        }
    )
    known = {"version": "1.35.1", "reached": at(MONDAY), "health_since": at(MONDAY), "expected": timedelta(hours=2)}
    member = member_of(spec, rules, **known)
    assert (member.ring, member.windows, member.mutexes) == ("production", ("Tue 09:00-15:00",), frozenset({1}))
    assert (member.channel, member.by_hand, member.at_end_of_support) == ("regular", True, "upgrade")
    own = spec.model_copy(update={"labels": {}}).model_dump(mode="json")
    own["policy"]["maintenance"] = {"window": "Sat 02:00-06:00", "ring": "canary"}
    member = member_of(Cluster.model_validate(own), rules, **known)
    assert (member.ring, member.windows) == ("canary", ("Sat 02:00-06:00",))
    assert member_of(spec, None, **known).windows == ()


def test_rules_survive_the_store() -> None:
    rules = waves(
        holidays=Holidays(events=(Holiday(first=date(2026, 12, 25), rule="FREQ=YEARLY"),)),
        rings=RINGS,
        freezes=[{"from": "2026-12-20", "to": "2027-01-06"}],
        never_together=[["a", {"app": "shop"}]],
    )
    assert Waves.model_validate_json(rules.model_dump_json()) == rules
