"""The whole fleet as the scheduler of upgrades wants it: from what the store remembers, and what each driver offers.

Reads only. Clusters are looked at side by side, and only where the monitor has not looked lately.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Self, TypeVar

from pydantic import ValidationError

from boatyard.drivers.base import Upgradable
from boatyard.drivers.operation import Yard
from boatyard.drivers.registry import driver_class, driver_for
from boatyard.drivers.wellbeing import NAME as HEALTHY
from boatyard.errors import BoatyardError
from boatyard.plan import fleet as plan
from boatyard.plan.model import UPGRADING, Observed, ObservedPool, Phase, Verb
from boatyard.plan.render import critical_path
from boatyard.spec.models import Cluster
from boatyard.spec.wave_rules import NO_RING
from boatyard.spec.waves import Upgrades, Waves, ring_of
from boatyard.store.process import is_dead
from boatyard.store.records import ClusterRecord, Condition, Lease, Upgrade
from boatyard.versions import Minor, Offer, Version

if TYPE_CHECKING:
    from boatyard.store import Store

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)

FRESH = timedelta(minutes=5)
"""What the monitor saw this lately is taken for what is there; an upgrade looks again before it begins."""
STALE = timedelta(hours=1)
"""A word on health that is older says nothing of now: the monitor was away."""
RESERVED = timedelta(minutes=15)
"""How long an upgrade that was decided on counts as running before its run holds the cluster."""
REMEMBERED = timedelta(days=90)
SIDE_BY_SIDE = 16


@dataclass(frozen=True)
class Seen:
    """The fleet's state, and why some of its clusters have no part in it: name → one clause."""

    state: plan.FleetState
    left_out: Mapping[str, str]


@dataclass(frozen=True)
class _Found:
    """One cluster that takes part, its offers still by themselves."""

    member: plan.Member
    offers: tuple[Offer, ...]


def rules(yard: Yard) -> Waves | None:
    """The fleet's rules of upgrades; None where it has none."""
    known = yard.store.rollout.rules()
    return None if known is None else Waves.model_validate(known.document)


def let_go_on(yard: Yard, cluster: Cluster) -> tuple[str, datetime | None]:
    """The name under which a person lets a cluster's ring go on, and when that was done last."""
    waves = rules(yard)
    upgrades = waves.upgrades if waves is not None else Upgrades()
    ring = ring_of(upgrades, cluster.labels, cluster.policy.maintenance.ring) if upgrades.rings else None
    name = ring or NO_RING
    return name, next((each.lifted_at for each in yard.store.rollout.lifts() if each.ring == name), None)


def may_go_on(upgrade: Upgrade, now: datetime) -> bool:
    """Whether the run of one that has not ended may live: of a process on another machine only time can tell."""
    return now - upgrade.begun_at < RESERVED and not is_dead(upgrade.machine, upgrade.pid, upgrade.started)


def fleet_state(yard: Yard, waves: Waves | None) -> Seen:
    """Everything that a decision on upgrades depends on, of all clusters that Boatyard keeps."""
    now = yard.clock.now()
    records = yard.store.clusters.list()
    memory = Memory.of(yard.store, now)
    upgrades = waves.upgrades if waves is not None else None

    def find(record: ClusterRecord) -> _Found | str:
        try:
            return _find(yard, record, upgrades, memory)
        except ValidationError:
            return "what the store has of it cannot be read by this version of Boatyard; apply its file again"

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        found = dict(zip((record.name for record in records), pool.map(find, records), strict=True))
    members, offers = shared_offers((each.member, each.offers) for each in found.values() if isinstance(each, _Found))
    state = memory.state(members, {key: _offer(offered, now) for key, (_, offered) in offers.items()})
    return Seen(state, {name: why for name, why in found.items() if isinstance(why, str)})


@dataclass(frozen=True)
class Memory:
    """What the store knows of all clusters, read once."""

    now: datetime
    conditions: Mapping[str, Sequence[Condition]]
    upgrades: Mapping[str, Sequence[Upgrade]]
    leases: Mapping[str, Lease]
    idle: frozenset[str]
    answers: tuple[plan.Answer, ...]
    soaked: tuple[plan.Soaked, ...]
    lifted: tuple[plan.Lift, ...]

    @classmethod
    def of(cls, store: "Store", now: datetime) -> Self:
        """As it is at `now`."""
        rollout = store.rollout
        return cls(
            now,
            _by_cluster(store.conditions.list(), lambda each: each.cluster),
            _by_cluster(rollout.upgrades(since=now - REMEMBERED), lambda each: each.cluster),
            {lease.cluster: lease for lease in store.leases.list()},
            frozenset(each.cluster for each in store.activity.list() if each.hibernated_at is not None),
            tuple(plan.Answer(each.ring, each.version, each.granted, each.answered_at) for each in rollout.answers()),
            tuple(plan.Soaked(each.ring, each.version, each.soaked_at) for each in rollout.soaked()),
            tuple(plan.Lift(each.ring, each.lifted_at) for each in rollout.lifts()),
        )

    def state(self, members: tuple[plan.Member, ...], offers: Mapping[str, plan.Offer]) -> plan.FleetState:
        """These clusters, with all that is remembered of the fleet."""
        return plan.FleetState(members, self.running(), offers, self.answers, self.soaked, self.lifted)

    def running(self) -> tuple[plan.Running, ...]:
        """Upgrades under way: their run holds the cluster, or was told to and lives. The others were killed."""
        open_ones = [each for many in self.upgrades.values() for each in many if each.ended_at is None]
        return tuple(
            plan.Running(each.cluster, each.version, each.begun_at)
            for each in open_ones
            if each.cluster in self.leases or may_go_on(each, self.now)
        )

    def busy(self, name: str) -> str:
        """Who works on a cluster now, or nobody."""
        lease = self.leases.get(name)
        if lease is None or is_dead(lease.machine, lease.pid, lease.started):
            return ""
        return f"{lease.operation} by {lease.holder} since {lease.since:%Y-%m-%d %H:%M} UTC"

    def attempts(self, name: str) -> tuple[plan.Attempt, ...]:
        """The upgrades of a cluster that ended, oldest first."""
        return tuple(
            plan.Attempt(each.version, each.begun_at, each.ended_at, plan.Outcome(each.outcome), each.message)
            for each in self.upgrades.get(name, ())
            if each.ended_at is not None and each.outcome in tuple(plan.Outcome)
        )

    def health(self, name: str) -> Condition | None:
        """What monitoring says of it as a whole; None while it has said nothing."""
        return next((each for each in self.conditions.get(name, ()) if each.type == HEALTHY), None)

    def watched(self, name: str) -> bool:
        """Whether what monitoring says of its health is of late; of who sleeps it can say nothing new."""
        health = self.health(name)
        return health is not None and self.now - health.checked_at <= STALE

    def member(
        self, cluster: Cluster, upgrades: Upgrades | None, observed: Observed, created: datetime, expected: timedelta
    ) -> plan.Member:
        """A cluster that exists. One that is broken or out of reach has its part all the same: what it came to counts
        against its ring."""
        attempts, health = self.attempts(cluster.name), self.health(cluster.name)
        done = [each for each in attempts if each.outcome is plan.Outcome.DONE]
        version = observed.version or (done[-1].to if done else cluster.kubernetes.version)
        return plan.member_of(
            cluster,
            upgrades,
            version=version,
            reached=max((created, *self._came_to(cluster.name, version))),
            health_since=self.now if health is None else health.transition_at,
            expected=expected,
            account=cluster.provider.account,
            phase=observed.phase,
            healthy=health is not None and health.status == "True",
            monitored=health is not None,
            pools_behind=_behind(observed, version),
            unfinished=observed.upgrading and _same(cluster.kubernetes.version, version),
            attempts=attempts,
        )

    def _came_to(self, name: str, version: str) -> Iterator[datetime]:
        """Before these moments it was not yet at the version, or not with all its pools."""
        for each in self.upgrades.get(name, ()):
            if _same(each.version, version) and each.outcome != "blocked":
                ended = each.ended_at if each.outcome in ("done", "failed", "cancelled") else None
                yield ended or each.begun_at


def _find(yard: Yard, record: ClusterRecord, upgrades: Upgrades | None, memory: Memory) -> _Found | str:
    try:
        return _seen(yard, record, upgrades, memory)
    except BoatyardError as error:
        return _unseen(record, upgrades, memory, str(error))


def _seen(yard: Yard, record: ClusterRecord, upgrades: Upgrades | None, memory: Memory) -> _Found | str:
    cluster = Cluster.model_validate(record.desired)
    driver = yard.reader(cluster)
    if not isinstance(driver, Upgradable):
        return f"the {cluster.provider.kind} driver does not upgrade"
    fresh = record.observed is not None and record.observed_at is not None and memory.now - record.observed_at < FRESH
    observed = Observed.model_validate(record.observed) if fresh else yard.look(driver, cluster.name)
    if observed.phase is Phase.ABSENT:
        return "it does not exist"
    if observed.phase is Phase.HIBERNATED and cluster.name in memory.idle:
        return "it was hibernated for idleness and waits for a person to wake it"
    took = expected_time(yard, cluster, observed)
    member = memory.member(cluster, upgrades, observed, record.created_at, took)
    monitored = member.monitored and (observed.phase is Phase.HIBERNATED or memory.watched(cluster.name))
    return _Found(replace(member, busy=memory.busy(cluster.name), monitored=monitored), tuple(driver.offers()))


def _unseen(record: ClusterRecord, upgrades: Upgrades | None, memory: Memory, why: str) -> _Found | str:
    """A cluster that could not be looked at counts as it was: its ring must not go on, nor a limit be exceeded, as if
    it were not there."""
    observed = None if record.observed is None else Observed.model_validate(record.observed)
    if observed is None or observed.phase is Phase.ABSENT:
        return f"it could not be looked at ({why})"
    cluster = Cluster.model_validate(record.desired)
    member = memory.member(cluster, upgrades, observed, record.created_at, timedelta())
    return _Found(replace(member, unseen=why), ())


def expected_time(yard: Yard, cluster: Cluster, observed: Observed) -> timedelta:
    """How long an upgrade by one minor takes, as the driver plans it; waking and sleeping again where it sleeps."""
    if observed.version is None or observed.phase not in (Phase.RUNNING, Phase.HIBERNATED):
        return timedelta()  # nothing starts there
    awake = observed if observed.phase is Phase.RUNNING else as_awake(cluster, observed)
    wanted = cluster.at_version(str(Minor.parse(observed.version).plus(1))).model_copy(update={"apps": ()})
    driver = driver_for(wanted, yard.env(60, f"planning {cluster.name}"))
    took = critical_path(driver.plan(awake.model_copy(update={"apps": {}}), {}).only(*UPGRADING))
    if observed.phase is Phase.RUNNING:
        return took
    usual = driver_class(cluster.provider.kind).expected
    return took + sum((usual.get(verb, timedelta()) for verb in (Verb.WAKE, Verb.HIBERNATE)), timedelta())


def as_awake(cluster: Cluster, observed: Observed) -> Observed:
    """As it will be once it is awake, or made: the pools of its spec, where there are none to be seen."""

    def pool(name: str, count: int) -> ObservedPool:
        return ObservedPool(name=name, versions={f"{name}-{at}": str(observed.version) for at in range(count)})

    pools = observed.pools or {each.name: pool(each.name, each.min) for each in cluster.pools}
    return observed.model_copy(update={"phase": Phase.RUNNING, "pools": pools})


def _behind(observed: Observed, version: str) -> tuple[str, ...]:
    here = Minor.parse(version)
    older = {pool.name for pool in observed.pools.values() for v in pool.versions.values() if Minor.parse(v) < here}
    return tuple(sorted(older))


def _same(one: str, other: str) -> bool:
    """Equal versions; one that names no patch stands for any patch of its minor."""
    a, b = Version.parse(one), Version.parse(other)
    return a.of == b.of and (a.patch is None or b.patch is None or a.patch == b.patch)


def shared_offers(
    found: Iterable[tuple[plan.Member, H]],
) -> tuple[tuple[plan.Member, ...], dict[str, tuple[str, H]]]:
    """Members, each with the key of what it can run, and of each key the provider's kind and what that offers.

    Clusters of one kind share a key unless their providers differ in that.
    """
    keys: dict[tuple[str, H], str] = {}
    members = []
    for member, offered in found:
        key = keys.setdefault((member.kind, offered), f"{member.kind}#{len(keys)}")
        members.append(replace(member, kind=key))
    return tuple(members), {key: known for known, key in keys.items()}


def _offer(offers: Sequence[Offer], now: datetime) -> plan.Offer:
    """Whether a provider's last day is still supported differs: what is forced is over before it begins."""
    ends = {
        str(offer.minor): datetime.combine(last, time(), UTC)
        for offer in offers
        if (last := _end(offer, now)) is not None
    }
    return plan.Offer(tuple(plan.Release(offer.version, now) for offer in offers), ends)


def _end(offer: Offer, now: datetime) -> date | None:
    """The last day of standard support; once that is over, of the extended one."""
    standard = offer.end_of_support
    return standard if standard is not None and now.date() <= standard else offer.last_day


def _by_cluster(many: Iterable[T], name: Callable[[T], str]) -> Mapping[str, Sequence[T]]:
    grouped: defaultdict[str, list[T]] = defaultdict(list)
    for each in many:
        grouped[name(each)].append(each)
    return grouped
