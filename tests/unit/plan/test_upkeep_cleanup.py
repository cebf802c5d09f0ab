"""Clean-up: what goes, what stays, and in which order an idle cluster goes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatyard.clock import ManualClock
from boatyard.plan.model import Phase
from boatyard.plan.upkeep import Action, Decision, Record, Usage, decide_cleanup, idle_time
from boatyard.spec.models import Cluster, Hibernate

BORN = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
IDLE = {"after": "7d", "grace": "2d"}
NOBODY = Usage(None, "no user pods", True)


def cluster(**policy: Any) -> Cluster:
    return Cluster.model_validate(
        {"name": "demo", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.35"}, "policy": policy}
    )


def record(phase: Phase = Phase.RUNNING, **fields: Any) -> Record:
    return Record(BORN, phase, **fields)


def used(at: datetime) -> Usage:
    return Usage(at, "2 user pods", True)


@pytest.mark.parametrize(
    ("policy", "known", "usage", "days", "action", "says"),
    [
        ({"ttl": "3d"}, record(), used(BORN + 3 * DAY), 3, Action.DELETE, "time to live of 3d"),
        ({"ttl": "3d"}, record(Phase.BROKEN), None, 4, Action.DELETE, "time to live"),
        ({"ttl": "3d"}, record(), NOBODY, 2.99, Action.KEEP, "no idle policy"),
        ({"ttl": "3d", "protect": True}, record(), NOBODY, 9, Action.KEEP, "protected"),
        ({"ttl": "3d", "exempt": True}, record(), NOBODY, 9, Action.KEEP, "exempt"),
        ({"ttl": "3d"}, record(Phase.ABSENT), None, 9, Action.KEEP, "no cluster"),
        ({}, record(), NOBODY, 400, Action.KEEP, "no idle policy"),
        ({}, record(warned_at=BORN), NOBODY, 400, Action.CLEAR_WARNING, "no idle policy"),
        ({"idle": IDLE}, record(), NOBODY, 6.9, Action.KEEP, "was used at 2026-03-02"),
        ({"idle": IDLE}, record(), NOBODY, 7, Action.WARN, "no use since 2026-03-02 12:00"),
        ({"idle": IDLE}, record(), used(BORN + 5 * DAY), 11, Action.KEEP, "2 user pods"),
        ({"idle": IDLE}, record(last_active=BORN + 5 * DAY), NOBODY, 11, Action.KEEP, "was used"),
        ({"idle": IDLE}, record(), None, 99, Action.KEEP, "does not answer"),
        ({"idle": IDLE}, record(Phase.BROKEN), NOBODY, 99, Action.KEEP, "does not answer"),
        ({"idle": IDLE}, record(), Usage(None, "secrets: 403", False), 99, Action.KEEP, "secrets: 403"),
        ({"idle": IDLE}, record(), used(BORN + 300 * DAY), 99, Action.KEEP, "clock is wrong"),
        ({"idle": IDLE}, record(warned_at=BORN + 8 * DAY), NOBODY, 9.9, Action.KEEP, "hibernated at 2026-03-12"),
        ({"idle": IDLE}, record(warned_at=BORN + 8 * DAY), NOBODY, 10, Action.HIBERNATE, "warned 2d ago"),
        (
            {"idle": IDLE},
            record(warned_at=BORN + 8 * DAY),
            used(BORN + 9 * DAY),
            10,
            Action.CLEAR_WARNING,
            "2 user pods",
        ),
        ({"idle": IDLE}, record(warned_at=BORN + 8 * DAY), used(BORN + 9 * DAY), 20, Action.WARN, "no use since"),
        ({"idle": IDLE}, record(Phase.HIBERNATED), None, 99, Action.KEEP, "by schedule or by hand"),
        ({"idle": IDLE}, record(Phase.HIBERNATED, warned_at=BORN), None, 99, Action.KEEP, "by schedule or by hand"),
        ({"idle": IDLE}, record(Phase.HIBERNATED, hibernated_at=BORN + 9 * DAY), None, 10, Action.KEEP, "unless woken"),
        (
            {"idle": IDLE},
            record(Phase.HIBERNATED, hibernated_at=BORN + 9 * DAY),
            None,
            11,
            Action.DELETE,
            "nobody woke",
        ),
        (
            {"idle": IDLE | {"delete": False}},
            record(Phase.HIBERNATED, hibernated_at=BORN + 9 * DAY),
            None,
            99,
            Action.KEEP,
            "policy keeps it",
        ),
        (
            {"idle": IDLE, "protect": True},
            record(Phase.HIBERNATED, hibernated_at=BORN + 9 * DAY),
            None,
            99,
            Action.KEEP,
            "protected",
        ),
        ({"idle": IDLE}, record(hibernated_at=BORN + 9 * DAY), NOBODY, 99, Action.CLEAR_WARNING, "somebody woke it"),
    ],
)
def test_decision(
    policy: dict[str, Any], known: Record, usage: Usage | None, days: float, action: Action, says: str
) -> None:
    decision = decide_cleanup(cluster(**policy), known, usage, BORN + days * DAY)
    assert decision.action is action, decision.reason
    assert says in decision.reason


@pytest.mark.parametrize(("days", "action"), [(10, Action.KEEP), (12, Action.DELETE)])
def test_without_hibernation_both_graces_still_pass(days: int, action: Action) -> None:
    known = record(warned_at=BORN + 8 * DAY)
    decision = decide_cleanup(cluster(idle=IDLE), known, NOBODY, BORN + days * DAY, can_hibernate=False)
    assert decision.action is action


def test_without_hibernation_a_policy_that_keeps_is_kept() -> None:
    kept = cluster(idle=IDLE | {"delete": False})
    decision = decide_cleanup(kept, record(warned_at=BORN), NOBODY, BORN + 99 * DAY, can_hibernate=False)
    assert decision.action is Action.KEEP


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        decide_cleanup(cluster(idle=IDLE), record(), NOBODY, datetime(2026, 3, 2, 12))  # noqa: DTZ001


def test_scheduled_sleep_is_no_idleness() -> None:
    """Used on Friday afternoon, asleep over the weekend: three days later only some hours awake have passed."""
    nights = Hibernate(sleep="Fri 20:00", wake="Mon 06:30")
    friday, monday = datetime(2026, 3, 6, 18, tzinfo=UTC), datetime(2026, 3, 9, 8, 30, tzinfo=UTC)
    assert idle_time(nights, friday, monday, enough=99 * DAY) == timedelta(hours=4)
    asleep_weekends = cluster(idle={"after": "1d"}, hibernate={"sleep": "Fri 20:00", "wake": "Mon 06:30"})
    assert decide_cleanup(asleep_weekends, record(), used(friday), monday).action is Action.KEEP
    assert decide_cleanup(asleep_weekends, record(), used(friday), monday + DAY).action is Action.WARN


def follow(
    wanted: Cluster, days: int, busy: set[int], blind: set[int], step: timedelta
) -> list[tuple[datetime, Action]]:
    """The nightly job for some days on a clock of our own, doing what it decides. `busy`, `blind`: days by number."""
    clock, known, done = ManualClock(BORN), record(), []
    for _ in range(int(days * DAY / step)):
        clock.advance(step)
        now = clock.now()
        day = (now - BORN) // DAY
        usage = None if day in blind else used(now) if day in busy else NOBODY
        if usage and usage.last_active and known.phase is Phase.RUNNING:
            known = replace(known, last_active=usage.last_active)
        decision: Decision = decide_cleanup(wanted, known, usage, now)
        if decision.action is not Action.KEEP:
            done.append((now, decision.action))
        match decision.action:
            case Action.WARN:
                known = replace(known, warned_at=now)
            case Action.HIBERNATE:
                known = replace(known, phase=Phase.HIBERNATED, hibernated_at=now)
            case Action.CLEAR_WARNING:
                known = replace(known, warned_at=None, hibernated_at=None)
            case Action.DELETE:
                return done
    return done


def test_an_idle_cluster_is_warned_then_hibernated_then_deleted() -> None:
    done = follow(cluster(idle=IDLE), 30, set(), set(), DAY)
    assert done == [
        (BORN + 7 * DAY, Action.WARN),
        (BORN + 9 * DAY, Action.HIBERNATE),
        (BORN + 11 * DAY, Action.DELETE),
    ]


def test_a_cluster_that_never_answers_stays() -> None:
    assert follow(cluster(idle=IDLE), 60, set(), set(range(61)), DAY) == []


DAYS = st.sets(st.integers(0, 59), max_size=20)


@given(busy=DAYS, blind=DAYS, after=st.integers(1, 20), grace=st.integers(1, 9), hours=st.sampled_from([5, 8, 12, 24]))
def test_nothing_goes_without_warning_grace_and_idleness(
    busy: set[int], blind: set[int], after: int, grace: int, hours: int
) -> None:
    wanted = cluster(idle={"after": f"{after}d", "grace": f"{grace}d"})
    warned = slept = None
    for at, action in follow(wanted, 60, busy - blind, blind, timedelta(hours=hours)):
        day = (at - BORN) // DAY
        if action is Action.WARN:
            assert not busy - blind & set(range(day - after + 1, day)), "used within the policy's time"
            warned = at
        elif action is Action.CLEAR_WARNING:
            assert warned
            warned = None
        elif action is Action.HIBERNATE:
            assert warned
            assert at - warned >= grace * DAY
            slept = at
        elif action is Action.DELETE:
            assert slept
            assert at - slept >= grace * DAY


@given(
    phase=st.sampled_from(Phase),
    usage=st.sampled_from([None, NOBODY, Usage(None, "", False), used(BORN)]),
    days=st.integers(0, 4000),
    warned=st.none() | st.integers(0, 400),
    slept=st.none() | st.integers(0, 400),
    exempt=st.booleans(),
)
def test_protected_and_exempt_clusters_always_stay(
    phase: Phase, usage: Usage | None, days: int, warned: int | None, slept: int | None, exempt: bool
) -> None:
    known = record(
        phase,
        warned_at=None if warned is None else BORN + warned * DAY,
        hibernated_at=None if slept is None else BORN + slept * DAY,
    )
    wanted = cluster(idle=IDLE, ttl="1d", protect=not exempt, exempt=exempt)
    assert decide_cleanup(wanted, known, usage, BORN + days * DAY).action is Action.KEEP
