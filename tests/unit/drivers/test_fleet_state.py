"""What a decision on upgrades is made from: the store's memory of clusters that nobody has to reach for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from boatyard.clock import ManualClock
from boatyard.drivers.fleet_state import Seen, fleet_state, rules
from boatyard.drivers.kwok.driver import Driver
from boatyard.drivers.operation import Yard
from boatyard.errors import Temporary
from boatyard.plan.fleet import Member, Schedule
from boatyard.plan.model import Observed
from boatyard.plan.waves import decide
from boatyard.settings import Settings
from boatyard.spec.waves import Waves
from boatyard.store import Store
from boatyard.tools import Toolbox
from tests.unit.store.conftest import START

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RULES: Mapping[str, Any] = {
    "rings": [
        {"name": "canary", "match": {"stage": "canary"}, "soak": "2d"},
        {"name": "production", "match": {"stage": "production"}},
    ]
}


@dataclass
class Fleet:
    """Clusters that exist in the store alone."""

    yard: Yard
    clock: ManualClock
    versions: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, ring: str, version: str = "1.35") -> None:
        """As monitoring would leave it a moment after its creation."""
        store = self.yard.store
        store.clusters.put(
            {
                "name": name,
                "labels": {"stage": ring},
                "provider": {"kind": "kwok"},
                "kubernetes": {"version": version, "channel": "rapid"},
                "pools": [{"name": "web"}],
                "policy": {"maintenance": {"window": "daily 00:00-00:00"}},
            }
        )
        self.sees(name, version)

    def sees(self, name: str, version: str, healthy: bool = True, **more: Any) -> None:
        """What the monitor's look brings."""
        pools = {"web": {"name": "web", "versions": {"a": version}}}
        observed = {"phase": "running", "version": version, "pools": pools} | more
        self.yard.store.clusters.set_observed(name, observed, fence=None)
        self.yard.store.conditions.set(name, "Healthy", "True" if healthy else "False")
        self.versions[name] = version

    def later(self, time: timedelta) -> None:
        """Time goes on, and everything is as it was."""
        self.clock.advance(time)
        for name, version in self.versions.items():
            self.sees(name, version)

    def seen(self) -> Seen:
        return fleet_state(self.yard, rules(self.yard))

    def decide(self) -> Schedule:
        return decide(rules(self.yard), self.seen().state, self.clock.now())

    def starts(self) -> list[str]:
        return [each.name for each in self.decide().starts]

    def reason(self, name: str) -> str:
        return next(each.reason for each in self.decide().verdicts if each.name == name)

    def member(self, name: str) -> Member:
        return next(each for each in self.seen().state.members if each.name == name)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A canary and a production cluster that have been well for a month; a new version is there."""
    clock = ManualClock(START)
    with Store.open(f"sqlite:///{tmp_path / 'boatyard.db'}", clock) as store:
        store.rollout.set_rules(Waves.model_validate({"upgrades": RULES}).model_dump(mode="json"), "fleet.yaml")
        made = Fleet(Yard(Settings(tmp_path, tmp_path, ""), store, Toolbox(tmp_path), clock, clock), clock)
        made.add("early", "canary")
        made.add("late", "production")
        made.later(30 * DAY)
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
