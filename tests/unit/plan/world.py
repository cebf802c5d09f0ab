"""A fleet that lives by the scheduler's word alone, hour by hour: what the maintenance flow does, without clusters.

Every look is a fresh `decide` on immutable values, so that nothing can be carried over but what a store would keep.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from boatyard.plan.fleet import (
    Answer,
    Attempt,
    FleetState,
    Lift,
    Member,
    Offer,
    Outcome,
    Release,
    Running,
    Schedule,
    Soaked,
    Verdict,
)
from boatyard.plan.waves import decide
from boatyard.spec.holidays import Holidays
from boatyard.spec.waves import Upgrades, Waves

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def waves(holidays: Holidays | None = None, **upgrades: Any) -> Waves:
    """Rules as a fleet.yaml would say them."""
    return Waves(upgrades=Upgrades.model_validate(upgrades), holidays=holidays or Holidays())


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def cluster(name: str, ring: str = "default", version: str = "1.35.1", **rest: Any) -> Member:
    """Upgradable at any hour, in health for long."""
    given = {"windows": ("daily 00:00-00:00",), "channel": "rapid", "reached": LONG_AGO, "health_since": LONG_AGO}
    return Member(name=name, ring=ring, version=version, **(given | rest))


def offer(*versions: str, ends: dict[str, str] | None = None, **later: str) -> dict[str, Offer]:
    """Versions that are there since long; `later`: `v1_36_2="2026-06-01T00:00"`."""
    releases = [Release(version, LONG_AGO) for version in versions]
    releases += [Release(name.removeprefix("v").replace("_", "."), at(when)) for name, when in later.items()]
    return {"": Offer(tuple(releases), {minor: at(end) for minor, end in (ends or {}).items()})}


@dataclass
class World:
    """The fleet, its rules and its time.

    fails: whether an upgrade of a cluster to a version fails. grants: how people answer an approval, None for not yet.
    """

    rules: Waves | None
    state: FleetState
    now: datetime
    every: timedelta = HOUR
    fails: Callable[[str, str], bool] = lambda name, to: False
    grants: Callable[[str, str], bool | None] = lambda ring, target: True
    log: list[tuple[datetime, str, str]] = field(default_factory=list)
    last: Schedule = field(default_factory=lambda: Schedule(()))
    watch: Callable[["World"], None] = lambda world: None

    def look(self) -> None:
        """Ended upgrades arrive, the scheduler decides, its word is done."""
        for running in sorted(self.state.running, key=lambda each: (self.end_of(each), each.name)):
            if self.end_of(running) <= self.now:
                self._arrive(running)
        self.last = decide(self.rules, self.state, self.now)
        self.state = replace(self.state, soaked=(*self.state.soaked, *self.last.soaked))
        for verdict in self.last.starts:
            assert verdict.to is not None
            self.log.append((self.now, verdict.name, verdict.to))
            started = Running(verdict.name, verdict.to, self.now)
            self.state = replace(self.state, running=(*self.state.running, started))
        for ask in self.last.asks:
            granted = self.grants(ask.ring, ask.target)
            if granted is not None:
                answer = Answer(ask.ring, ask.target, granted, self.now)
                self.state = replace(self.state, answers=(*self.state.answers, answer))
        self.watch(self)

    def run(self, until: str | datetime) -> "World":
        """Look at every hour before `until`, beginning now."""
        end = at(until) if isinstance(until, str) else until
        while self.now < end:
            self.look()
            self.now += self.every
        return self

    def outage(self, until: str) -> "World":
        """Nobody looks. What runs goes on to its end, unseen."""
        self.now = at(until)
        return self

    def change(self, name: str, **what: Any) -> "World":
        """Something happens to a cluster."""
        members = tuple(replace(each, **what) if each.name == name else each for each in self.state.members)
        self.state = replace(self.state, members=members)
        return self

    def add(self, *values: Answer | Lift | Soaked) -> "World":
        """A person's word, or a fact."""
        for value in values:
            field_of = {Answer: "answers", Lift: "lifted", Soaked: "soaked"}[type(value)]
            self.state = replace(self.state, **{field_of: (*getattr(self.state, field_of), value)})
        return self

    def end_of(self, running: Running) -> datetime:
        """When a running upgrade ends."""
        return running.begun + self.member(running.name).expected

    def member(self, name: str) -> Member:
        """A cluster as it is now."""
        return next(each for each in self.state.members if each.name == name)

    def verdict(self, name: str) -> Verdict:
        """What the last look said of a cluster."""
        return next(each for each in self.last.verdicts if each.name == name)

    def starts_of(self, *names: str) -> list[tuple[str, str, str]]:
        """`(day and hour, cluster, version)` of the upgrades that began, of these clusters."""
        return [(f"{when:%a %m-%d %H:%M}", name, to) for when, name, to in self.log if name in names]

    def _arrive(self, running: Running) -> None:
        end, failed = self.end_of(running), self.fails(running.name, running.to)
        member = self.member(running.name)
        attempt = Attempt(running.to, running.begun, end, Outcome.FAILED if failed else Outcome.DONE)
        changes: dict[str, Any] = {"attempts": (*member.attempts, attempt)}
        if not failed:
            changes |= {"version": running.to, "reached": end, "pools_behind": ()}
        self.change(running.name, **changes)
        self.state = replace(self.state, running=tuple(each for each in self.state.running if each != running))


def world(rules: Waves | None, members: Iterable[Member], offers: dict[str, Offer], now: str, **rest: Any) -> World:
    """A fleet at a moment."""
    return World(rules, FleetState(members=tuple(members), offers=offers), at(now), **rest)


RINGS: list[dict[str, Any]] = [
    {"name": "canary", "match": {"stage": "test"}, "soak": "2d"},
    {"name": "staging", "match": {"stage": "staging"}, "soak": "5d"},
    {"name": "production", "match": {"stage": "prod"}},
]
TWO: list[dict[str, Any]] = [{"name": "canary", "match": {"stage": "test"}, "soak": "2d"}, {"name": "production"}]
NEXT = offer("1.35.1", "1.36.0")
MONDAY = "2026-06-01T00:00"


def six(**of_all: Any) -> list[Member]:
    """Two clusters in each of three rings."""
    names = [("canary", "c1"), ("canary", "c2"), ("staging", "s1"), ("staging", "s2"), ("production", "p1")]
    return [cluster(name, ring, **of_all) for ring, name in [*names, ("production", "p2")]]


def days(fleet: World) -> dict[str, str]:
    """Cluster → day and hour of its only upgrade."""
    assert len({name for _, name, _ in fleet.log}) == len(fleet.log), "somebody was upgraded twice"
    return {name: f"{when:%a %H:%M}" for when, name, _ in fleet.log}
