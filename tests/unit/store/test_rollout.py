"""What the store keeps of upgrades that go through the fleet in waves."""

from datetime import timedelta

import pytest

from boatyard.clock import ManualClock
from boatyard.errors import Fenced, NotFound
from boatyard.store import RingSoaked
from boatyard.store.store import Store

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _shop(store: Store) -> None:
    store.clusters.put({"name": "shop"})


def test_rules_are_kept_until_they_are_taken_away(store: Store) -> None:
    assert store.rollout.rules() is None
    assert store.rollout.set_rules({"rings": []}, "fleet.yaml")
    assert not store.rollout.set_rules({"rings": []}, "fleet.yaml")
    assert store.rollout.set_rules({"rings": [1]}, "other.yaml")
    known = store.rollout.rules()
    assert known is not None
    assert (known.document, known.source) == ({"rings": [1]}, "other.yaml")
    assert store.rollout.set_rules(None)
    assert not store.rollout.set_rules(None)
    assert store.rollout.rules() is None


def test_an_upgrade_that_did_not_end_is_taken_up_as_it_was(store: Store, clock: ManualClock) -> None:
    first = store.rollout.begin("shop", "1.35", asleep=True)
    clock.advance(HOUR)
    again = store.rollout.begin("shop", "1.35")
    assert again == first
    assert again.asleep


def test_an_upgrade_to_elsewhere_takes_the_place_of_one_that_did_not_end(store: Store, clock: ManualClock) -> None:
    store.rollout.begin("shop", "1.35")
    clock.advance(HOUR)
    store.rollout.begin("shop", "1.36")
    old, new = store.rollout.upgrades("shop")
    assert (old.outcome, old.ended_at) == ("interrupted", clock.now())
    assert (new.version, new.outcome, new.ended_at) == ("1.36", "running", None)


def test_the_first_end_of_an_upgrade_stays(store: Store, clock: ManualClock) -> None:
    begun = store.rollout.begin("shop", "1.35")
    clock.advance(HOUR)
    store.rollout.end(begun.id, "failed", "node web-1 is not Ready")
    clock.advance(HOUR)
    store.rollout.end(begun.id, "done")
    (ended,) = store.rollout.upgrades()
    assert (ended.outcome, ended.message) == ("failed", "node web-1 is not Ready")
    assert ended.ended_at == clock.now() - HOUR


def test_old_upgrades_can_be_left_out(store: Store, clock: ManualClock) -> None:
    store.rollout.end(store.rollout.begin("shop", "1.35").id, "done")
    clock.advance(48 * HOUR)
    running = store.rollout.begin("shop", "1.36")
    assert store.rollout.upgrades(since=clock.now() - HOUR) == [running]
    assert len(store.rollout.upgrades(since=clock.now() - 48 * HOUR)) == 2


def test_one_that_a_person_cancelled_is_not_left_out_however_old(store: Store, clock: ManualClock) -> None:
    store.rollout.end(store.rollout.begin("shop", "1.35").id, "cancelled", "by a person")
    clock.advance(9000 * HOUR)
    assert [each.outcome for each in store.rollout.upgrades(since=clock.now() - HOUR)] == ["cancelled"]


def test_the_flow_run_is_that_of_whoever_took_it_up_last(store: Store) -> None:
    store.rollout.begin("shop", "1.35", run_id="maintenance")
    assert store.rollout.begin("shop", "1.35", run_id="upgrade").run_id == "upgrade"
    assert store.rollout.begin("shop", "1.35").run_id is None


def test_an_upgrade_needs_a_cluster_and_goes_with_it(store: Store) -> None:
    with pytest.raises(NotFound, match="nobody"):
        store.rollout.begin("nobody", "1.35")
    store.rollout.begin("shop", "1.35")
    store.clusters.mark("shop", state="deleted")
    store.clusters.put({"name": "shop"})
    assert store.rollout.upgrades() == []


def test_every_answer_is_kept_in_order(store: Store, clock: ManualClock) -> None:
    store.rollout.answer("production", "1.36", granted=False, who="ann", note="not before the sale")
    clock.advance(HOUR)
    store.rollout.answer("production", "1.36", granted=True, who="bob")
    assert [(each.granted, each.who) for each in store.rollout.answers()] == [(False, "ann"), (True, "bob")]


def test_what_has_soaked_keeps_its_first_time(store: Store, clock: ManualClock) -> None:
    fact = RingSoaked("canary", "1.36", clock.now())
    store.rollout.remember([fact])
    store.rollout.remember([RingSoaked("canary", "1.36", clock.now() + HOUR)])
    assert store.rollout.soaked() == [fact]


def test_the_newest_lift_of_a_ring_counts(store: Store, clock: ManualClock) -> None:
    store.rollout.lift("canary", who="ann")
    clock.advance(HOUR)
    lifted = store.rollout.lift("canary", who="bob")
    assert store.rollout.lifts() == [lifted]


def test_a_version_that_no_upgrade_explains_is_kept_with_its_time(store: Store, clock: ManualClock) -> None:
    store.clusters.set_observed("shop", {"version": "1.35"}, fence=None)
    clock.advance(HOUR)
    for observed in ({"version": "1.36"}, {"version": "1.36"}, {"version": None}, None):
        store.clusters.set_observed("shop", observed, fence=None)
    (seen,) = store.rollout.upgrades("shop")
    assert (seen.version, seen.outcome, seen.begun_at, seen.ended_at) == ("1.36", "seen", clock.now(), clock.now())


def test_the_version_of_an_upgrade_that_is_under_way_is_its_own(store: Store) -> None:
    store.clusters.set_observed("shop", {"version": "1.35"}, fence=None)
    begun = store.rollout.begin("shop", "1.36")
    store.clusters.set_observed("shop", {"version": "1.36"}, fence=None)
    assert store.rollout.upgrades("shop") == [begun]


def test_the_version_of_one_that_was_cancelled_since_the_last_look_is_its_own(store: Store, clock: ManualClock) -> None:
    store.clusters.set_observed("shop", {"version": "1.35"}, fence=None)
    clock.advance(HOUR)
    store.rollout.end(store.rollout.begin("shop", "1.36").id, "cancelled", "by a person")
    clock.advance(HOUR)
    store.clusters.set_observed("shop", {"version": "1.36"}, fence=None)
    assert [each.outcome for each in store.rollout.upgrades("shop")] == ["cancelled"]
    clock.advance(HOUR)
    store.clusters.set_observed("shop", {"version": "1.37"}, fence=None)
    assert [each.outcome for each in store.rollout.upgrades("shop")] == ["cancelled", "seen"], "that was not it"


def test_who_is_worked_on_or_gone_by_now_is_not_reserved(store: Store) -> None:
    with store.leases.hold("/upgrades", "schedule", "scheduling") as scheduling:
        with store.leases.hold("shop", "ann", "scale"):
            assert store.rollout.reserve("shop", "1.35", scheduling) is None
        assert store.rollout.reserve("nobody", "1.35", scheduling) is None
        assert store.rollout.upgrades() == []
        assert store.rollout.reserve("shop", "1.35", scheduling) is not None


def test_a_decision_whose_lease_was_lost_reserves_nothing(store: Store, clock: ManualClock) -> None:
    slow = store.leases.acquire("/upgrades", "schedule", "scheduling")
    clock.advance(HOUR)
    with store.leases.hold("/upgrades", "another", "scheduling"), pytest.raises(Fenced):
        store.rollout.reserve("shop", "1.35", slow)
    assert store.rollout.upgrades() == []


def test_what_another_process_took_up_is_not_given_back(store: Store) -> None:
    begun = store.rollout.begin("shop", "1.35")
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE upgrades SET pid = pid + 1")
    store.rollout.give_back("shop", "1.35", "interrupted", "it was busy")
    store.rollout.end(begun.id, "done")
    assert [each.outcome for each in store.rollout.upgrades()] == ["done"]
    store.rollout.begin("shop", "1.36")
    store.rollout.give_back("shop", "1.36", "interrupted", "it was busy")
    assert store.rollout.upgrades()[-1].outcome == "interrupted"
