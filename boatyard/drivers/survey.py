"""A fleet to make a forecast from: its specs, what the store remembers, and the versions to be expected.

No cluster is asked, and nothing goes over the network: a forecast may be made of specs that nobody has applied yet.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from boatyard.drivers.fleet_state import Memory, as_awake, expected_time
from boatyard.drivers.operation import Yard
from boatyard.plan.cadence import with_coming
from boatyard.plan.fleet import FleetState, Member
from boatyard.plan.model import Observed, Phase
from boatyard.plan.seats import AWAY
from boatyard.spec.models import Cluster
from boatyard.spec.provider import settings_model
from boatyard.spec.waves import Upgrades, Waves
from boatyard.store import ClusterRecord
from boatyard.versions.catalogue import catalogue


def survey(yard: Yard, clusters: Iterable[Cluster], waves: Waves | None, until: datetime) -> FleetState:
    """The state to make a forecast from, until then.

    A cluster that was never made is taken as running what its spec says, in health. What is offered is what each
    driver can run, with the minors to be expected.
    """
    now = yard.clock.now()
    memory = Memory.of(yard.store, now)
    known = {record.name: record for record in yard.store.clusters.list()}
    upgrades = waves.upgrades if waves is not None else None
    members = tuple(_member(yard, each, upgrades, known.get(each.name), memory) for each in clusters)
    dates = catalogue(yard.settings.home)
    kinds = {member.kind for member in members}
    return memory.state(
        members, {kind: with_coming(settings_model(kind).minors, dates.of(kind), now, until) for kind in kinds}
    )


def _member(
    yard: Yard, cluster: Cluster, upgrades: Upgrades | None, record: ClusterRecord | None, memory: Memory
) -> Member:
    seen = Observed.model_validate(record.observed) if record is not None and record.observed else None
    if seen is None or seen.phase in AWAY or seen.version is None:
        plain = Observed(phase=Phase.RUNNING, version=cluster.kubernetes.version)
        seen = as_awake(cluster, plain if seen is None else seen.model_copy(update=dict(plain)))
    created = record.created_at if record is not None else memory.now
    member = memory.member(cluster, upgrades, seen, created, expected_time(yard, cluster, seen))
    if member.monitored:
        return member
    return replace(member, healthy=True, monitored=True, health_since=created)
