"""What a forecast is made from, so that it tells what scheduled maintenance will do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from boatyard.drivers.fleet_state import rules
from boatyard.drivers.survey import survey
from boatyard.plan.forecast import Forecast, forecast
from boatyard.spec.waves import Waves
from tests.unit.fleet import DAY, MINUTE, Fleet, small_fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with small_fleet(tmp_path) as made:
        yield made


def foretold(fleet: Fleet, *names: str) -> Forecast:
    """The next weeks of these clusters."""
    waves, now = rules(fleet.yard), fleet.clock.now()
    clusters = [fleet.yard.registered(name) for name in names]
    return forecast(waves, survey(fleet.yard, clusters, waves, now + 20 * DAY), now, period=20 * DAY)


def test_an_upgrade_of_a_cluster_that_is_not_asked_about_holds_nobody_up_for_ever(fleet: Fleet) -> None:
    one = Waves.model_validate({"upgrades": {"max_parallel": 1}})
    fleet.yard.store.rollout.set_rules(one.model_dump(mode="json"))
    fleet.yard.store.rollout.begin("late", "1.36")
    assert [move.name for move in foretold(fleet, "early").moves][:1] == ["early"]


def test_who_was_hibernated_for_idleness_is_not_foretold_an_upgrade(fleet: Fleet) -> None:
    store = fleet.yard.store
    store.clusters.set_observed("early", {"phase": "hibernated", "version": "1.35"}, fence=None)
    store.activity.warned("early", fence=None)
    fleet.clock.advance(MINUTE)
    store.activity.hibernated("early", fence=None)
    told = foretold(fleet, "early", "late")
    assert {move.name for move in told.moves} == {"late"}
    assert told.stays[0].reason == "it was hibernated for idleness and waits for a person to wake it"
    assert fleet.seen().left_out["early"] == told.stays[0].reason
