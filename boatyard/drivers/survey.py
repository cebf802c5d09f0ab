"""A fleet as the scheduler of upgrades wants it, from its specs and what the store remembers; no cluster is asked."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from boatyard.drivers.registry import driver_class
from boatyard.plan.cadence import with_coming
from boatyard.plan.fleet import FleetState, Member, member_of
from boatyard.plan.model import Phase, Verb
from boatyard.plan.seats import AWAY
from boatyard.spec.models import Cluster
from boatyard.spec.provider import settings_model
from boatyard.spec.waves import Waves
from boatyard.store import ClusterRecord, Condition, Entry, Reader
from boatyard.versions import Minor
from boatyard.versions.catalogue import catalogue

_BEFORE = datetime(2015, 7, 21, tzinfo=UTC)
"""When Kubernetes began: long enough ago for any soak time."""

MOST_ENTRIES = 20_000
"""Of the journal, looked through for the upgrades that brought clusters to their versions."""


def survey(
    clusters: Iterable[Cluster], waves: Waves | None, store: Reader, now: datetime, until: datetime
) -> FleetState:
    """The state to make a forecast from.

    A cluster that was never made is taken as running what its spec says, in health for ever: so it will be. What is
    offered is what each driver can run, with the minors to be expected until then.
    """
    known = {record.name: record for record in store.clusters.list()}
    conditions: defaultdict[str, list[Condition]] = defaultdict(list)
    for condition in store.conditions.list():
        conditions[condition.cluster].append(condition)
    reached = _reached(store.journal.list(limit=MOST_ENTRIES))
    members = [
        _member(cluster, waves, known.get(cluster.name), conditions[cluster.name], reached.get(cluster.name), now)
        for cluster in clusters
    ]
    kinds = {member.kind for member in members}
    table = catalogue()
    return FleetState(
        members=tuple(members),
        offers={kind: with_coming(settings_model(kind).minors, table, now, until) for kind in kinds},
    )


def _reached(entries: Iterable[Entry]) -> Mapping[str, datetime]:
    """Cluster → end of its last upgrade of the control plane."""
    done = [
        e for e in entries if e.verb == Verb.UPGRADE_CONTROL_PLANE and e.outcome == "done" and e.ended_at is not None
    ]
    found: dict[str, datetime] = {}
    for entry in done:
        if entry.ended_at is not None:
            found[entry.cluster] = max(entry.ended_at, found.get(entry.cluster, entry.ended_at))
    return found


def _member(
    cluster: Cluster,
    waves: Waves | None,
    record: ClusterRecord | None,
    conditions: list[Condition],
    reached: datetime | None,
    now: datetime,
) -> Member:
    observed: Mapping[str, Any] = (record.observed if record is not None else None) or {}
    phase = Phase(observed.get("phase", Phase.RUNNING))
    wrong = [condition.transition_at for condition in conditions if condition.status == "False"]
    right = [condition.transition_at for condition in conditions if condition.status == "True"]
    created = record.created_at if record is not None else _BEFORE
    version = str(observed.get("version") or cluster.kubernetes.version)
    return member_of(
        cluster,
        waves.upgrades if waves is not None else None,
        version=version,
        reached=min(now, reached or created),
        health_since=min(wrong or [max([created, *right])]),
        expected=expected(cluster),
        phase=Phase.RUNNING if phase in AWAY else phase,
        healthy=not wrong,
        pools_behind=_behind(observed.get("pools") or {}, version),
    )


def _behind(pools: Mapping[str, Any], version: str) -> tuple[str, ...]:
    here = Minor.parse(version)
    return tuple(
        sorted(
            name
            for name, pool in pools.items()
            if any(Minor.parse(kubelet) < here for kubelet in pool.get("versions", {}).values())
        )
    )


def expected(cluster: Cluster) -> timedelta:
    """How long an upgrade by one minor takes: the control plane, then node after node, and waking where it sleeps."""
    usual = driver_class(cluster.provider.kind).expected
    nodes = sum(pool.min for pool in cluster.pools)
    whole = usual.get(Verb.UPGRADE_CONTROL_PLANE, timedelta()) + usual.get(Verb.UPGRADE_POOL, timedelta()) * nodes
    if cluster.policy.hibernate is not None:
        whole += usual.get(Verb.WAKE, timedelta()) + usual.get(Verb.HIBERNATE, timedelta())
    return whole
