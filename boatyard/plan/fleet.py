"""The fleet as the scheduler of upgrades sees it: immutable values, gathered by whoever asks for a decision.

All moments have a time zone. What a value is called in docs/waves.md it is called here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from boatyard.plan.model import Phase
from boatyard.spec.models import Cluster
from boatyard.spec.waves import Upgrades, mutexes_of, ring_of


class Outcome(StrEnum):
    """How an attempt to upgrade ended."""

    DONE = "done"
    FAILED = "failed"
    """It began to change the cluster and did not end well. Counts against the ring."""
    BLOCKED = "blocked"
    """A check before the first change refused it. Tried again as a failed one is; counts against nobody."""
    CANCELLED = "cancelled"
    """A person cancelled it. It stays so until a person goes on, and holds its ring meanwhile."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One upgrade that has ended: `to` which version (an offered one's text), when, how, and `why` not well."""

    to: str
    begun: datetime
    ended: datetime
    outcome: Outcome
    why: str = ""


def stays_cancelled(name: str, to: str, why: str, ring: str) -> str:
    """What stands until a person says otherwise, and how to, in one clause. why: by whom, when and in what state."""
    return (
        f"its upgrade to {to} was cancelled {why}; it stays so until somebody goes on with it"
        f" (boatyard upgrade {name} --to {to}) or leaves it to maintenance again (boatyard fleet go-on {ring})"
    )


@dataclass(frozen=True, slots=True)
class Member:
    """One cluster. Only clusters that exist are members.

    ring: by `ring_of`; None when there are rings and none is its.
    kind: which of the fleet's `offers` it can run: the provider's kind, or any other key the caller chose.
    account: of the provider, for the limit of each account; None for none.
    windows: the cluster's own `policy.maintenance.window`, else its ring's; () means never.
    expected: how long one upgrade by one minor takes, with waking and putting back where the cluster sleeps.
    monitored: monitoring has said something, and of late; until then nobody knows whether it is healthy.
    healthy, health_since: what monitoring says, without its blips, and since when; of a sleeping cluster what it said
    last. Time asleep counts like time awake.
    reached: when the cluster came to the version it runs: the end of its last upgrade, else its creation.
    pools_behind: pools older than the control plane, left by an upgrade that did not end. unfinished: something else of
    the upgrade to the version it runs is left to be done.
    unseen: why it could not be looked at now, in one clause: it counts as it was when last seen, and is left alone.
    idle: it was hibernated for idleness, so nothing is done with it until a person wakes it.
    busy: who works on it now, in one clause; empty for nobody.
    by_hand: its `policy.upgrade.approve` leaves every upgrade to a person.
    attempts: upgrades that ended, oldest first; those of the last 90 days suffice.
    """

    name: str
    version: str
    windows: tuple[str, ...]
    reached: datetime
    health_since: datetime
    ring: str | None = "default"
    kind: str = ""
    account: str | None = None
    channel: str = "stable"
    expected: timedelta = timedelta(hours=1)
    phase: Phase = Phase.RUNNING
    healthy: bool = True
    monitored: bool = True
    pools_behind: tuple[str, ...] = ()
    unfinished: bool = False
    unseen: str = ""
    idle: bool = False
    busy: str = ""
    mutexes: frozenset[int] = frozenset()
    by_hand: bool = False
    at_end_of_support: Literal["warn", "upgrade"] = "warn"
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class Running:
    """An upgrade that is under way, by schedule or by hand: cluster, version, since when."""

    name: str
    to: str
    begun: datetime


@dataclass(frozen=True, slots=True)
class Release:
    """A version that a provider offers from `since` on; with a future `since` only a forecast sees it."""

    version: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Offer:
    """What one kind of cluster can run, and when the support of each minor (`1.35`) ends, where that is known."""

    releases: tuple[Release, ...] = ()
    support_ends: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A person's word on a ring's taking a version, or every patch of a minor (`1.36`). The newest answer holds."""

    ring: str
    target: str
    granted: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Soaked:
    """A fact: this ring has proved this version. To be kept once `decide` reports it; it is never lost again."""

    ring: str
    target: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Lift:
    """A person lets a halted ring go on: what failed in it before `at` counts no more."""

    ring: str
    at: datetime


@dataclass(frozen=True, slots=True)
class FleetState:
    """All that a decision depends on, besides the rules and the time. The order within the tuples means nothing."""

    members: tuple[Member, ...] = ()
    running: tuple[Running, ...] = ()
    offers: Mapping[str, Offer] = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()
    soaked: tuple[Soaked, ...] = ()
    lifted: tuple[Lift, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one cluster now: its upgrade to `to` starts, or it waits (None).

    reason: one clause for people, without the cluster's name.
    target: the version it is to come to next, whether now or later; None when there is none.
    wake: it sleeps: wake it first, and put it back afterwards.
    forced: its support is about to end, so soak days and a missing approval are passed over.
    """

    name: str
    reason: str
    to: str | None = None
    target: str | None = None
    wake: bool = False
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to people: may this ring take this version? The ring waits for an `Answer`."""

    ring: str
    target: str


@dataclass(frozen=True, slots=True)
class Halted:
    """A ring that stopped by itself, with the evidence in one clause; those behind it stand still as well."""

    ring: str
    target: str
    failed: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """A decision for the whole fleet.

    verdicts: one a member, by name. starts: those with `to`, in the order in which to start them; they are within every
    limit together with what is running already.
    soaked: facts that are new. Keep them before anything is started: once a ring goes on to the next version, they
    cannot be told from its clusters any more.
    asks: approvals that are missing now and not refused. halted: rings that stand still by themselves.
    """

    verdicts: tuple[Verdict, ...]
    starts: tuple[Verdict, ...] = ()
    soaked: tuple[Soaked, ...] = ()
    asks: tuple[Ask, ...] = ()
    halted: tuple[Halted, ...] = ()


def member_of(
    cluster: Cluster,
    upgrades: Upgrades | None,
    *,
    version: str,
    reached: datetime,
    health_since: datetime,
    expected: timedelta,
    account: str | None = None,
    phase: Phase = Phase.RUNNING,
    healthy: bool = True,
    monitored: bool = True,
    pools_behind: tuple[str, ...] = (),
    unfinished: bool = False,
    attempts: tuple[Attempt, ...] = (),
) -> Member:
    """A cluster's spec and what was observed of it, as the scheduler wants it; see `Member` for each."""
    rules, policy = upgrades or Upgrades(), cluster.policy
    ring = ring_of(rules, cluster.labels, policy.maintenance.ring)
    own, of_ring = policy.maintenance.window, rules.ring(ring)
    return Member(
        name=cluster.name,
        version=version,
        windows=(own,) if own is not None else of_ring.windows if of_ring is not None else (),
        reached=reached,
        health_since=health_since,
        ring=ring,
        kind=cluster.provider.kind,
        account=account,
        channel=cluster.kubernetes.channel,
        expected=expected,
        phase=phase,
        healthy=healthy,
        monitored=monitored,
        pools_behind=pools_behind,
        unfinished=unfinished,
        mutexes=mutexes_of(rules, cluster.name, cluster.labels),
        by_hand=policy.upgrade.approve,
        at_end_of_support=policy.upgrade.at_end_of_support,
        attempts=attempts,
    )
