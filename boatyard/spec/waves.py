"""`upgrades` of a fleet.yaml: in which order, when and how many at a time scheduled upgrades go through the fleet.

docs/waves.md says in prose what each word does; boatyard/plan/waves.py does it.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from boatyard.spec.base import Model, judged
from boatyard.spec.holidays import Holidays
from boatyard.spec.types import ClusterName, Duration, LabelMap, Name, Percent, Window
from boatyard.spec.wave_rules import freeze_rules, upgrades_rules

Parallel = Annotated[int, Field(ge=1, le=10_000)]


class Ring(Model):
    """Clusters that take a new version together, after those of every ring before it have proved it."""

    name: Name
    """Lower-case letters, digits and `-`; what `policy.maintenance.ring` may name."""
    match: LabelMap = {}
    """Labels a cluster must have, all of them, to belong here; none means every cluster that no earlier ring took."""
    soak: Duration = timedelta()
    """How long its clusters must have run a version, all of them healthy, before the next ring may take it."""
    windows: tuple[Window, ...] = ()
    """When its clusters may be upgraded that have no `policy.maintenance.window` of their own."""
    approve: bool = False
    """Wait for a person's approval of each version before the ring takes it."""
    max_parallel: Parallel | None = None
    """Clusters of the ring upgraded at the same time; as many as the fleet's limits allow when left out."""


class Halt(Model):
    """When upgrades stop by themselves."""

    failed: Percent = "10%"
    """Share of a ring's clusters whose upgrade failed, from which the ring and all behind it stop."""
    within: Duration = timedelta(days=1)
    """A cluster found unhealthy this soon after its upgrade counts as failed until it is healthy again."""

    @property
    def ratio(self) -> float:
        return int(self.failed.removesuffix("%")) / 100


class Freeze(Model):
    """Days on which nothing is upgraded."""

    model_config = ConfigDict(serialize_by_alias=True)

    first: Annotated[date, Field(alias="from")]
    """The first day, from midnight."""
    to: date
    """The last day, to its end."""
    timezone: str | None = None
    """Whose midnight: a zone like `Europe/Berlin`; each window's own when left out."""
    reason: str = ""
    """For people: what is going on in these days."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        return judged(self, freeze_rules(self.model_dump(mode="json")))


Together = Annotated[ClusterName, StringConstraints()] | LabelMap
"""A cluster's name, or labels: every cluster that has them all."""


class Upgrades(Model):
    """How scheduled upgrades go through the fleet."""

    rings: Annotated[tuple[Ring, ...], Field(max_length=50)] = ()
    """In order; a cluster belongs to the first whose labels it has, or to the one its policy.maintenance.ring names."""
    max_parallel: Parallel | None = None
    """Clusters upgraded at the same time in the whole fleet; no limit when left out."""
    max_parallel_per_account: Parallel | None = None
    """The same, of each account of a provider."""
    halt: Halt = Halt()
    never_together: tuple[tuple[Together, ...], ...] = ()
    """Groups of clusters, by name or by labels, of which never two are upgraded at the same time."""
    freezes: tuple[Freeze, ...] = ()
    """Days on which nothing is upgraded."""
    holidays: str | None = None
    """An iCalendar file, relative to fleet.yaml; on its all-day events nothing is upgraded."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        return judged(self, upgrades_rules(self.model_dump(mode="json")))

    def ring(self, name: str | None) -> Ring | None:
        return next((ring for ring in self.rings if ring.name == name), None)


class Waves(Model):
    """`upgrades` as the scheduler wants it: with the days of the holidays' file. Kept in the store as JSON."""

    upgrades: Upgrades = Upgrades()
    holidays: Holidays = Holidays()


def ring_of(upgrades: Upgrades, labels: Mapping[str, str], named: str) -> str | None:
    """The ring of a cluster: the one its `policy.maintenance.ring` names, else the first whose labels it has.

    None when there are rings and none is its. Without rings every cluster is in one, called by what it names itself.
    """
    if not upgrades.rings:
        return named
    if upgrades.ring(named) is not None:
        return named
    return next((ring.name for ring in upgrades.rings if matches(ring.match, labels)), None)


def matches(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether all `wanted` labels are there."""
    return all(labels.get(key) == value for key, value in wanted.items())


def mutexes_of(upgrades: Upgrades, name: str, labels: Mapping[str, str]) -> frozenset[int]:
    """Positions in `never_together` of the groups that a cluster belongs to."""

    def inside(item: Any) -> bool:
        return item == name if isinstance(item, str) else matches(item, labels)

    return frozenset(at for at, group in enumerate(upgrades.never_together) if any(map(inside, group)))
