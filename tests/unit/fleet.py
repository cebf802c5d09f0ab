"""A small fleet that exists in the store alone: what monitoring would leave there, by a clock that a test moves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from boatyard.clock import ManualClock
from boatyard.drivers.fleet_state import Seen, fleet_state, rules
from boatyard.drivers.operation import Yard
from boatyard.plan.fleet import Member, Schedule
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


@contextmanager
def small_fleet(home: Path) -> Iterator[Fleet]:
    """A canary and a production cluster that have been well for a month; a new version is there."""
    clock = ManualClock(START)
    with Store.open(f"sqlite:///{home / 'boatyard.db'}", clock) as store:
        store.rollout.set_rules(Waves.model_validate({"upgrades": RULES}).model_dump(mode="json"), "fleet.yaml")
        made = Fleet(Yard(Settings(home, home, ""), store, Toolbox(home), clock, clock), clock)
        made.add("early", "canary")
        made.add("late", "production")
        made.later(30 * DAY)
        yield made
