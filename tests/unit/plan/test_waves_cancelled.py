"""What a person cancelled in Prefect stays cancelled, and says how to go on."""

from boatyard.plan.fleet import Attempt, Lift, Outcome
from tests.unit.plan.world import MONDAY, NEXT, RINGS, at, cluster, offer, six, waves, world


def cancelled(name: str, to: str = "1.36.0", when: str = "2026-06-01T02:00") -> Attempt:
    why = f"by a person in Prefect at {when[-5:]} UTC (flow run upgrade {name})"
    return Attempt(to, at(when), at(when), Outcome.CANCELLED, why)


def test_an_upgrade_that_a_person_cancelled_stays_cancelled_and_holds_its_ring_and_those_behind() -> None:
    rules = waves(rings=RINGS, halt={"failed": "100%"})
    fleet = world(rules, six(), NEXT, "2026-06-01T03:00")
    fleet.change("c1", attempts=(cancelled("c1"),)).run("2026-06-20T00:00")
    assert fleet.log == []
    (halted,) = fleet.last.halted
    assert (halted.ring, halted.reason) == ("canary", "a person cancelled the upgrade of c1 to 1.36.0")
    assert fleet.verdict("c1").reason == (
        "its upgrade to 1.36.0 was cancelled by a person in Prefect at 02:00 UTC (flow run upgrade c1);"
        " it stays so until somebody goes on with it (boatyard upgrade c1 --to 1.36.0)"
        " or leaves it to maintenance again (boatyard fleet go-on canary)"
    )
    assert fleet.verdict("c2").reason.startswith("its ring is halted: a person cancelled")
    assert fleet.verdict("p1").reason.startswith("ring canary is halted: a person cancelled")
    fleet.add(Lift("canary", fleet.now)).run("2026-06-21T00:00")
    assert {name for _, name, _ in fleet.log} == {"c1", "c2"}


def test_a_cancelled_cluster_takes_no_newer_version_either_though_its_ring_may() -> None:
    fleet = world(waves(rings=RINGS), six(), offer("1.35.1", "1.36.0", v1_36_1="2026-06-05T00:00"), MONDAY)
    fleet.change("c1", attempts=(cancelled("c1"),)).run("2026-07-01T00:00")
    assert fleet.log == [(at("2026-06-05T00:00"), "c2", "1.36.1")]


def test_one_that_was_left_half_done_stays_so_and_a_refusal_in_between_changes_nothing() -> None:
    refused = Attempt("1.36.0", at("2026-06-01T04:00"), at("2026-06-01T04:00"), Outcome.BLOCKED, "a budget")
    fleet = world(waves(rings=RINGS), six(), NEXT, "2026-06-01T03:00")
    fleet.change("c1", version="1.36.0", pools_behind=("web",), attempts=(cancelled("c1"), refused))
    fleet.run("2026-06-10T00:00")
    assert fleet.log == []


def test_a_person_who_upgrades_it_by_hand_ends_the_hold() -> None:
    done = Attempt("1.36.0", at("2026-06-02T09:00"), at("2026-06-02T10:00"), Outcome.DONE)
    fleet = world(waves(rings=RINGS), six(), NEXT, "2026-06-02T11:00")
    fleet.change("c1", version="1.36.0", reached=done.ended, attempts=(cancelled("c1"), done)).look()
    assert not fleet.last.halted
    assert fleet.verdict("c2").to == "1.36.0"


def test_without_rules_only_the_cluster_itself_is_held() -> None:
    fleet = world(None, [cluster("one"), cluster("two")], NEXT, "2026-06-01T03:00")
    fleet.change("one", attempts=(cancelled("one"),)).run("2026-06-10T00:00")
    assert {name for _, name, _ in fleet.log} == {"two"}
    assert "boatyard fleet go-on default" in fleet.verdict("one").reason
    fleet.add(Lift("default", fleet.now)).run("2026-06-10T02:00")
    assert {name for _, name, _ in fleet.log} == {"one", "two"}
