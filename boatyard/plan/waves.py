"""Which upgrades start now, and why the others do not: the scheduler of the whole fleet, without any I/O.

`decide` is a pure function of the rules, the fleet's state and the time. Whoever calls it carries out the starts, asks
the questions, and keeps the facts; then calls it again, as often as it likes: every ten minutes, by schedule.
"""

from dataclasses import dataclass
from datetime import datetime

from boatyard.plan.fleet import FleetState, Soaked
from boatyard.spec.waves import Waves

__all__ = ["Ask", "Halted", "Schedule", "Verdict", "decide"]


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


def decide(waves: Waves | None, state: FleetState, now: datetime) -> Schedule:
    """What starts now, in the whole fleet.

    waves: None for a fleet without `upgrades`: every cluster by itself, as its own window and channel allow.
    Deterministic: equal values in any order give the same schedule; ties go by ring, then by name.
    """
    raise NotImplementedError
