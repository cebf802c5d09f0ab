"""What a decision on upgrades is made from: the store's memory of clusters that nobody has to reach for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from boatyard.drivers.kwok.driver import Driver
from boatyard.errors import Temporary
from boatyard.plan.model import Observed
from boatyard.spec.waves import Waves
from boatyard.store.records import RingSoaked
from tests.unit.fleet import DAY, HOUR, MINUTE, Fleet, small_fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with small_fleet(tmp_path) as made:
        yield made


def test_an_upgrade_that_is_under_way_has_proved_nothing(fleet: Fleet) -> None:
    upgrade = fleet.yard.store.rollout.begin("early", "1.36")
    fleet.sees("early", "1.36")  # the control plane is there, its pools follow
    assert fleet.decide().soaked == ()
    assert fleet.starts() == []
    fleet.later(3 * HOUR)
    fleet.yard.store.rollout.end(upgrade.id, "done")
    fleet.later(DAY)
    assert "ring canary soaks 1.36 for 2d" in fleet.reason("late")
    fleet.later(DAY)
    assert fleet.starts() == ["late"]


def test_an_upgrade_that_was_killed_after_its_last_pool_is_finished_first(fleet: Fleet) -> None:
    fleet.yard.store.rollout.begin("early", "1.36")
    fleet.yard.store.clusters.put(fleet.yard.registered("early").at_version("1.36").model_dump(mode="json"))
    fleet.sees("early", "1.36", upgrading=True)
    fleet.clock.advance(HOUR)
    fleet.sees("early", "1.36", upgrading=True)
    (start,) = fleet.decide().starts
    assert (start.name, start.to) == ("early", "1.36")
    assert start.reason == "its upgrade to 1.36 was begun and has not come to its end"


def test_a_cluster_that_was_mended_after_its_upgrade_failed_soaks_from_then_on(fleet: Fleet) -> None:
    store = fleet.yard.store.rollout
    upgrade = store.begin("early", "1.36")
    fleet.sees("early", "1.36")
    fleet.later(HOUR)
    store.end(upgrade.id, "failed", "a hook")
    store.lift("canary", who="ann")
    fleet.later(MINUTE)
    assert fleet.starts() == []
    assert "ring canary soaks 1.36 for 2d" in fleet.reason("late")


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of clusters whose provider does not answer."""
    names: set[str] = set()
    observe = Driver.observe

    def look(self: Driver) -> Observed:
        if self._cluster.name in names:
            raise Temporary("the account throttles.")
        return observe(self)

    monkeypatch.setattr(Driver, "observe", look)
    return names


def test_a_canary_that_cannot_be_looked_at_lets_nothing_pass(fleet: Fleet, silent: set[str]) -> None:
    silent.add("early")
    fleet.clock.advance(HOUR)
    fleet.sees("late", "1.35")
    assert fleet.starts() == []
    assert fleet.decide().soaked == ()
    assert fleet.reason("early") == "it could not be looked at (the account throttles.)"
    assert fleet.reason("late") == "ring canary has not soaked 1.36: early is still at 1.35"


def test_of_two_canaries_one_that_cannot_be_looked_at_is_waited_for(fleet: Fleet, silent: set[str]) -> None:
    fleet.add("soon", "canary", version="1.36")
    fleet.later(30 * DAY)
    silent.add("early")
    fleet.clock.advance(HOUR)
    fleet.sees("late", "1.35")
    fleet.sees("soon", "1.36")
    assert fleet.reason("late") == "ring canary has not soaked 1.36: early is still at 1.35"


def test_an_upgrade_of_a_cluster_that_cannot_be_looked_at_keeps_its_place(fleet: Fleet, silent: set[str]) -> None:
    rules = {"rings": [{"name": "canary", "match": {"stage": "canary"}, "max_parallel": 1}, {"name": "production"}]}
    fleet.yard.store.rollout.set_rules(Waves.model_validate({"upgrades": rules}).model_dump(mode="json"))
    fleet.add("soon", "canary")
    silent.add("early")
    fleet.clock.advance(HOUR)
    fleet.sees("soon", "1.35")
    fleet.yard.store.rollout.begin("early", "1.36")
    assert fleet.starts() == []
    assert fleet.reason("soon") == "ring canary already has 1 upgrade under way, and no more are allowed"


def test_a_spec_that_this_version_cannot_read_does_not_keep_the_others_from_their_upgrades(fleet: Fleet) -> None:
    fleet.yard.store.clusters.put({"name": "odd", "kubernetes": {"flavour": "vanilla"}})
    assert fleet.starts() == ["early"]
    assert "apply its file again" in fleet.seen().left_out["odd"]


def test_a_cluster_that_came_to_a_version_without_an_upgrade_of_the_fleet_soaks_from_then_on(fleet: Fleet) -> None:
    fleet.sees("early", "1.36")  # by apply, or by kops itself
    fleet.clock.advance(MINUTE)
    assert fleet.starts() == []
    assert "ring canary soaks 1.36 for 2d" in fleet.reason("late")
    fleet.later(2 * DAY)
    assert fleet.starts() == ["late"]


def test_a_canary_that_was_made_anew_at_the_new_version_soaks_from_then_on(fleet: Fleet) -> None:
    """It has never been upgraded, and its record and its health are those of the one before."""
    fleet.yard.store.clusters.set_observed("early", {"phase": "absent"}, fence=None)
    fleet.clock.advance(MINUTE)
    fleet.sees("early", "1.36")
    fleet.clock.advance(MINUTE)
    assert fleet.starts() == []
    assert "ring canary soaks 1.36 for 2d" in fleet.reason("late")
    fleet.later(2 * DAY)
    assert fleet.starts() == ["late"]


def test_canaries_that_are_not_there_for_a_while_let_nothing_pass(fleet: Fleet) -> None:
    facts = fleet.decide().soaked
    fleet.yard.store.rollout.remember([RingSoaked(each.ring, each.target, each.at) for each in facts])
    fleet.yard.store.clusters.forget("early")
    assert fleet.starts() == []
    assert fleet.reason("late").startswith("ring canary has no cluster now that takes part")
    fleet.add("early", "canary", version="1.36")
    assert "ring canary soaks 1.36 for 2d" in fleet.reason("late")


def test_a_cluster_that_somebody_works_on_takes_no_place(fleet: Fleet) -> None:
    rules = {"rings": [{"name": "canary", "match": {"stage": "canary"}, "max_parallel": 1}, {"name": "production"}]}
    fleet.yard.store.rollout.set_rules(Waves.model_validate({"upgrades": rules}).model_dump(mode="json"))
    fleet.add("soon", "canary")
    with fleet.yard.store.leases.hold("early", "ann", "scale"):
        assert fleet.starts() == ["soon"]
        assert fleet.reason("early").startswith("it is busy: scale by ann")
    assert fleet.starts() == ["early"]


def test_a_cluster_whose_upgrade_failed_does_not_count_as_mended_because_it_shows_the_version_later(
    fleet: Fleet,
) -> None:
    store = fleet.yard.store.rollout
    store.end(store.begin("early", "1.36").id, "failed", "the API server did not answer in time")
    fleet.later(MINUTE)
    fleet.sees("early", "1.36")
    assert [each.failed for each in fleet.decide().halted] == [("early",)]
    store.begin("early", "1.36")
    fleet.clock.advance(MINUTE)
    assert [each.failed for each in fleet.decide().halted] == [("early",)]


def test_while_nobody_looks_nothing_is_proved_and_nothing_starts(fleet: Fleet) -> None:
    fleet.sees("early", "1.36")
    fleet.later(HOUR)
    fleet.clock.advance(3 * DAY)  # the monitor is away; maintenance looks by itself
    for name, version in fleet.versions.items():
        fleet.yard.store.clusters.set_observed(name, {"phase": "running", "version": version}, fence=None)
    assert fleet.decide().soaked == ()
    assert fleet.starts() == []
    assert "monitor-fleet" in fleet.reason("late")
    fleet.sees("late", "1.35")
    assert fleet.reason("late") == "ring canary earns no soak time for 1.36: early has not been looked at of late"
    fleet.later(MINUTE)
    assert fleet.starts() == ["late"]


def test_who_sleeps_has_the_health_last_seen(fleet: Fleet) -> None:
    pools = {"web": {"name": "web", "versions": {"a": "1.35"}}}
    fleet.clock.advance(3 * DAY)
    for name in ("early", "late"):
        asleep = {"phase": "hibernated", "version": "1.35", "pools": pools}
        fleet.yard.store.clusters.set_observed(name, asleep, fence=None)
    assert fleet.starts() == ["early"]
