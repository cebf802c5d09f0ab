"""A fleet to make a forecast from: its specs, what the store remembers, and the versions to be expected.

No cluster is asked: a forecast may be made of specs that nobody has applied yet.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from boatyard.clock import Deadline
from boatyard.drivers.base import Upgradable
from boatyard.drivers.fleet_state import Memory, as_awake, expected_time, shared_offers
from boatyard.drivers.operation import Yard
from boatyard.errors import BoatyardError
from boatyard.plan.cadence import with_coming
from boatyard.plan.fleet import FleetState, Member
from boatyard.plan.model import Observed, Phase
from boatyard.plan.seats import AWAY
from boatyard.spec.models import Cluster
from boatyard.spec.provider import settings_model
from boatyard.spec.waves import Upgrades, Waves
from boatyard.store import ClusterRecord
from boatyard.versions import Version, newest
from boatyard.versions.catalogue import catalogue

ASKING = 10.0
"""Seconds for what all providers offer, together: a forecast without a network tells minors, and soon."""


def survey(yard: Yard, clusters: Iterable[Cluster], waves: Waves | None, until: datetime) -> FleetState:
    """The state to make a forecast from, until then.

    A cluster that was never made is taken as running what its spec says, in health. For one that Boatyard keeps its
    driver is asked what is offered now, patches with it; for the others, and where it cannot say, it is the minors that
    the driver can run. Both with the minors to be expected; later patches cannot be foretold.
    """
    now = yard.clock.now()
    memory = Memory.of(yard.store, now)
    known = {record.name: record for record in yard.store.clusters.list()}
    upgrades = waves.upgrades if waves is not None else None
    offered = _Offered(yard)
    found = []
    for each in clusters:
        versions = offered.to(each, kept=each.name in known)
        member = _member(yard, _with_patch(each, versions), upgrades, known.get(each.name), memory)
        found.append((member, versions))
    members, offers = shared_offers(found)
    dates = catalogue(yard.settings.home)
    state = memory.state(
        members,
        {key: with_coming(versions, dates.of(kind), now, until) for key, (kind, versions) in offers.items()},
    )
    # An upgrade of another cluster has an end that nobody here would learn of: it would hold its place for ever.
    ours = {member.name for member in members}
    return replace(state, running=tuple(each for each in state.running if each.name in ours))


def _with_patch(cluster: Cluster, offered: Iterable[str]) -> Cluster:
    """The cluster as it would be made now: `1.35` is the newest patch of 1.35."""
    wanted = cluster.kubernetes.version
    found = newest(offered, wanted) if Version.parse(wanted).patch is None else None
    return cluster if found is None else cluster.at_version(found)


class _Offered:
    """Versions that clusters can run now; each provider's settings are asked about once, all within `ASKING`."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self._until = Deadline.after(ASKING, "asking what is offered", yard.machine)
        self._known: dict[str, tuple[str, ...]] = {}

    def to(self, cluster: Cluster, *, kept: bool) -> tuple[str, ...]:
        """Oldest first. kept: the store has it, so that its driver's tools are here already."""
        minors = settings_model(cluster.provider.kind).minors
        if not kept:
            return minors
        settings = cluster.provider.model_dump_json()
        if settings not in self._known:
            self._known[settings] = self._asked(cluster) or minors
        return self._known[settings]

    def _asked(self, cluster: Cluster) -> tuple[str, ...]:
        if self._until.passed:
            return ()
        try:
            driver = self._yard.reader(cluster, self._until.left)
            return tuple(offer.version for offer in driver.offers()) if isinstance(driver, Upgradable) else ()
        except (BoatyardError, OSError):
            return ()


def _member(
    yard: Yard, cluster: Cluster, upgrades: Upgrades | None, record: ClusterRecord | None, memory: Memory
) -> Member:
    seen = Observed.model_validate(record.observed) if record is not None and record.observed else None
    if seen is None or seen.phase in AWAY or seen.version is None:
        plain = Observed(phase=Phase.RUNNING, version=cluster.kubernetes.version)
        seen = as_awake(cluster, plain if seen is None else seen.model_copy(update=dict(plain)))
    created = record.created_at if record is not None else memory.now
    member = memory.member(cluster, upgrades, seen, created, expected_time(yard, cluster, seen))
    member = replace(member, idle=seen.phase is Phase.HIBERNATED and cluster.name in memory.idle)
    if member.monitored:
        return member
    return replace(member, healthy=True, monitored=True, health_since=created)
