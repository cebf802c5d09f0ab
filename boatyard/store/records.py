"""What the store holds, as values. Standard library only: read-only verbs import this and must start in a blink.

Field names are column names, so a row becomes a record by name; all times are UTC and aware.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from boatyard.errors import Held

State = Literal["managed", "deleting", "deleted"]
Status = Literal["True", "False", "Unknown"]
Outcome = Literal["running", "interrupted", "done", "failed", "skipped"]


@dataclass(frozen=True)
class ClusterRecord:
    """One cluster as the fleet remembers it.

    desired: the spec as JSON data. observed: what was last seen, None before anyone looked. source: the file the spec
    came from; base: the folder its relative paths start at. created_at counts for the TTL; deleted_at: state `deleted`.
    """

    name: str
    desired: dict[str, Any]
    observed: dict[str, Any] | None
    source: str | None
    base: str | None
    state: State
    created_at: datetime
    updated_at: datetime
    observed_at: datetime | None
    deleted_at: datetime | None


@dataclass(frozen=True)
class Lease:
    """The right to change one cluster. `number` only ever grows: a write with a smaller one is refused.

    ttl: seconds. resume_key: the same non-empty key lets a new run of the same holder and operation take over at once.
    host, pid, machine, started: which process holds it, so that a dead one on this machine is noticed before expiry.
    """

    cluster: str
    number: int
    holder: str
    operation: str
    run_id: str | None
    resume_key: str
    ttl: float
    since: datetime
    expires_at: datetime
    host: str
    pid: int
    machine: str
    started: str

    def describe(self) -> str:
        """Who holds it, for people: `upgrade by ann (run 1f, process 12 on yard) since … until …`."""
        run = f"run {self.run_id}, " if self.run_id else ""
        return (
            f"{self.operation} by {self.holder} ({run}process {self.pid} on {self.host}) "
            f"since {self.since:%Y-%m-%d %H:%M:%S} until {self.expires_at:%Y-%m-%d %H:%M:%S} UTC"
        )


class LeaseHeld(Held):
    """`Held` with the lease that is in the way."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(
            f"Cluster {lease.cluster} is held: {lease.describe()}.",
            hint="Wait for it to end; a lease that is no longer renewed frees itself.",
        )
        self.lease = lease


@dataclass(frozen=True)
class Entry:
    """One step in the journal. Begun and not ended, it is `running` while its lease lives, else `interrupted`."""

    id: int
    cluster: str
    operation: str
    run_id: str | None
    verb: str
    target: str
    reason: str
    who: str
    fence: int | None
    begun_at: datetime
    ended_at: datetime | None
    outcome: Outcome
    message: str

    @property
    def interrupted(self) -> bool:
        return self.outcome == "interrupted"


def settle_outcome(entry: Entry, lease: Lease | None, now: datetime) -> Entry:
    """Tell an entry that never ended as running or interrupted, by the lease that its cluster has at `now`."""
    if entry.outcome != "running":
        return entry
    alive = lease is not None and lease.expires_at > now
    same = lease is not None and (
        lease.number == entry.fence
        if entry.fence is not None
        else lease.run_id == entry.run_id and entry.run_id is not None
    )
    return entry if alive and same else replace(entry, outcome="interrupted")


@dataclass(frozen=True)
class Condition:
    """One fact about a cluster's health. checked_at moves at each look, transition_at with the status."""

    cluster: str
    type: str
    status: Status
    reason: str
    message: str
    transition_at: datetime
    checked_at: datetime


@dataclass(frozen=True)
class Activity:
    """What is known of a cluster's use. Without `last_active_at` there is no evidence, and nothing may be cleaned up.

    kind: where the evidence comes from (`pods`, `writes`, `created`, …); evidence: one line for people.
    warned_at, hibernated_at: how far clean-up has gone; None again as soon as newer use is recorded.
    """

    cluster: str
    last_active_at: datetime | None
    kind: str
    evidence: str
    checked_at: datetime
    warned_at: datetime | None
    hibernated_at: datetime | None


@dataclass(frozen=True)
class Rehearsal:
    """An upgrade of one cluster that was tried on a twin.

    version: what it went to. plan: digest of the plan's upgrade steps. spec: digest of what else decides. well: the
    report names no blocker. report: all of it, as JSON data.
    """

    id: int
    cluster: str
    version: str
    plan: str
    spec: str
    well: bool
    ended_at: datetime
    report: dict[str, Any]


UpgradeOutcome = Literal["running", "done", "failed", "blocked", "cancelled", "interrupted", "seen"]


@dataclass(frozen=True)
class Upgrade:
    """One upgrade of one cluster, from its reservation by the scheduler, or its start by hand, to its end.

    asleep: the cluster was hibernated before, so it is put back afterwards. forced: its support was about to end.
    outcome: `running` until it ends; `blocked` when it was refused before its first change; `cancelled` when a person
    cancelled its run; `interrupted` when it never began, or its run died and another upgrade took its place; `seen`
    when a look found another version than the last one and no upgrade was under way: it came there by other hands.
    machine, pid, started: the process that is to do it, as leases have it. run_id: the flow run, None where none is.
    """

    id: int
    cluster: str
    version: str
    asleep: bool
    forced: bool
    begun_at: datetime
    ended_at: datetime | None
    outcome: UpgradeOutcome
    message: str
    machine: str
    pid: int
    started: str
    run_id: str | None = None


@dataclass(frozen=True)
class RingAnswer:
    """A person's word on whether a ring may take a version."""

    id: int
    ring: str
    version: str
    granted: bool
    who: str
    note: str
    answered_at: datetime


@dataclass(frozen=True)
class RingSoaked:
    """A ring has proved a version, for good."""

    ring: str
    version: str
    soaked_at: datetime


@dataclass(frozen=True)
class RingLift:
    """A person let a halted ring go on: what failed in it before counts no more."""

    ring: str
    who: str
    lifted_at: datetime


class Todo(StrEnum):
    """What an event asks for."""

    CREATE = "create"
    DELETE = "delete"
    NONE = "none"


@dataclass(frozen=True)
class Claim:
    """An event's hold on a cluster, e.g. key `pull_request/org/repo/12`.

    opened_at, closed_at: the newest opening and the newest closing heard of, by the time they *occurred*. The newest of
    both wins, a tie goes to the closing. A closing without a newer opening is a tombstone.
    settled: what the claim asks for was carried out.
    """

    key: str
    cluster: str | None
    opened_at: datetime | None
    closed_at: datetime | None
    settled: bool

    @property
    def open(self) -> bool:
        return self.opened_at is not None and (self.closed_at is None or self.opened_at > self.closed_at)

    @property
    def due(self) -> Todo:
        """What still has to be carried out, whoever was told first: outlives a run killed between event and deed."""
        if self.settled or self.cluster is None:
            return Todo.NONE
        return Todo.CREATE if self.open else Todo.DELETE

    def opening(self, cluster: str, at: datetime) -> "Claim":
        """This claim after hearing of an opening. The cluster's name stays while the former one may still exist."""
        newest = at if self.opened_at is None else max(at, self.opened_at)
        named = cluster if self.cluster is None or (self.settled and not self.open) else self.cluster
        return self._heard(replace(self, opened_at=newest, cluster=named if newest != self.opened_at else self.cluster))

    def closing(self, at: datetime) -> "Claim":
        """This claim after hearing of a closing; it may come first, twice, or late."""
        newest = at if self.closed_at is None else max(at, self.closed_at)
        return self._heard(replace(self, closed_at=newest))

    def _heard(self, after: "Claim") -> "Claim":
        return replace(after, settled=False) if after.open != self.open else after


@dataclass(frozen=True)
class ClaimResult:
    """What hearing of one event changed. `todo` is NONE for duplicates and late events; `claim` is what holds now."""

    todo: Todo
    claim: Claim

    @property
    def cluster(self) -> str | None:
        return self.claim.cluster

    @property
    def due(self) -> Todo:
        return self.claim.due
