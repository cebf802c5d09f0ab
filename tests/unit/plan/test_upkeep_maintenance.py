"""Maintenance and sleep by schedule: only inside the window, one minor at a time, never against a person."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatyard.plan.fleet import Attempt, FleetState, Offer, Outcome, Release, member_of
from boatyard.plan.forecast import forecast
from boatyard.plan.model import Observed, ObservedPool, Phase
from boatyard.plan.upkeep import Action, decide_hibernation
from boatyard.plan.waves import Verdict, decide
from boatyard.spec.models import Cluster
from boatyard.spec.windows import Window
from boatyard.versions import Minor
from boatyard.versions.channels import CHANNELS

OFFERED = ["1.33.9", "1.34.2", "1.34.5", "1.35.1", "1.36.0", "1.37.0-rc.1"]
WINDOW = "Sat 02:00-06:00 Europe/Berlin"
INSIDE = datetime(2026, 3, 7, 2, 30, tzinfo=UTC)  # 03:30 in Berlin
HOUR = timedelta(hours=1)


def cluster(channel: str = "rapid", **policy: Any) -> Cluster:
    return Cluster.model_validate(
        {
            "name": "demo",
            "provider": {"kind": "kwok"},
            "kubernetes": {"version": "1.33", "channel": channel},
            "policy": policy or {"maintenance": {"window": WINDOW}},
        }
    )


def decided(
    cluster: Cluster,
    observed: Observed,
    offered: list[str],
    now: datetime,
    expected: timedelta,
    attempts: tuple[Attempt, ...] = (),
) -> Verdict:
    """What maintenance does with a cluster of a fleet that has no rules of its own."""
    here = Minor.parse(observed.version or "1.33")
    behind = {pool.name for pool in observed.pools.values() for v in pool.versions.values() if Minor.parse(v) < here}
    member = member_of(
        cluster,
        None,
        version=observed.version or "1.33",
        reached=now,
        health_since=now,
        expected=expected,
        phase=observed.phase,
        pools_behind=tuple(behind),
        attempts=attempts,
    )
    offer = Offer(tuple(Release(version, now) for version in offered))
    (verdict,) = decide(None, FleetState(members=(member,), offers={member.kind: offer}), now).verdicts
    return verdict


def running(version: str, *kubelets: str) -> Observed:
    versions = {f"n{index}": kubelet for index, kubelet in enumerate(kubelets)}
    return Observed(phase=Phase.RUNNING, version=version, pools={"web": ObservedPool(name="web", versions=versions)})


@pytest.mark.parametrize(
    ("channel", "observed", "to", "says"),
    [
        ("rapid", running("1.35.1", "1.35.1"), "1.36.0", "channel rapid allows 1.36.0"),
        ("rapid", running("1.33.9", "1.33.9"), "1.34.5", "on the way to 1.36.0"),
        ("regular", running("1.35.1"), None, "newest that channel regular allows"),
        ("stable", running("1.33.9"), "1.34.5", "channel stable allows"),
        ("stable", running("1.34.2"), "1.34.5", "newest patch of 1.34"),
        ("stable", running("1.36.0"), None, "newest that channel stable allows"),
        ("pinned", running("1.33.1"), None, "pinned"),
        ("rapid", running("1.35.1", "1.35.1", "1.34.5"), "1.35.1", "pools web are behind"),
        ("rapid", running("1.32.0"), "1.33.9", "on the way to 1.36.0"),
        ("rapid", running("1.30.0"), None, "1.31 on the way there is not offered"),
        ("n-1", running("1.34.5"), "1.35.1", "channel n-1 allows 1.35.1"),
        ("patch", running("1.34.2"), "1.34.5", "newest patch of 1.34"),
        ("patch", running("1.34.5"), None, "newest that channel patch allows"),
        ("rapid", Observed(phase=Phase.HIBERNATED, version="1.33"), None, "hibernated"),
        ("rapid", Observed(phase=Phase.BROKEN), None, "broken"),
    ],
)
def test_target(channel: str, observed: Observed, to: str | None, says: str) -> None:
    decision = decided(cluster(channel), observed, OFFERED, INSIDE, HOUR)
    assert decision.to == to
    assert says in decision.reason


@pytest.mark.parametrize(
    ("now", "hours", "says"),
    [
        (INSIDE, 2.6, "takes about 2h36m, and the window closes at 05:00 UTC"),
        (INSIDE - 2 * HOUR, 1, "closed until 2026-03-07 01:00"),
        (INSIDE + 2.5 * HOUR, 1, "closed until 2026-03-14 01:00"),
    ],
)
def test_only_when_it_can_end_inside_the_window(now: datetime, hours: float, says: str) -> None:
    decision = decided(cluster(), running("1.35.1"), OFFERED, now, hours * HOUR)
    assert decision.to is None
    assert says in decision.reason


def test_an_upgrade_that_just_fits_is_done() -> None:
    assert decided(cluster(), running("1.35.1"), OFFERED, INSIDE, 2.5 * HOUR).to == "1.36.0"


def test_where_the_provider_cannot_be_asked_nothing_happens() -> None:
    decision = decided(cluster(), running("1.35.1"), [], INSIDE, HOUR)
    assert (decision.to, decision.reason) == (None, "its provider cannot be asked now what it offers")


def test_without_a_window_nothing_happens_by_schedule() -> None:
    never = cluster(protect=False)
    decision = decided(never, running("1.33.9"), OFFERED, INSIDE, HOUR)
    assert (decision.to, decision.reason) == (None, "it has no maintenance window")


MINUTE = timedelta(minutes=1)
REFUSED = Attempt("1.36.0", INSIDE, INSIDE + MINUTE, Outcome.BLOCKED, "budget shop/web allows nothing.\nA hint.")


@pytest.mark.parametrize(
    ("attempt", "now", "to", "says"),
    [
        (
            REFUSED,
            INSIDE + 10 * MINUTE,
            None,
            "was refused at 02:31 UTC and is tried again after 03:31 UTC: budget shop/web",
        ),
        (REFUSED, INSIDE + 61 * MINUTE, "1.36.0", "channel rapid allows"),
        (replace(REFUSED, outcome=Outcome.FAILED), INSIDE + HOUR, None, "failed at 02:31 UTC and is tried again after"),
        (replace(REFUSED, outcome=Outcome.FAILED), INSIDE + 80 * MINUTE, "1.36.0", ""),
        (replace(REFUSED, ended=INSIDE + HOUR), INSIDE + 90 * MINUTE, None, "tried again in its next window"),
        (replace(REFUSED, to="1.35.2"), INSIDE + 10 * MINUTE, "1.36.0", ""),
        (REFUSED, INSIDE + timedelta(days=7) - 30 * MINUTE, "1.36.0", ""),
    ],
)
def test_what_did_not_come_about_is_left_alone_for_an_hour(
    attempt: Attempt, now: datetime, to: str | None, says: str
) -> None:
    decision = decided(cluster(), running("1.35.1"), OFFERED, now, 40 * MINUTE, (attempt,))
    assert decision.to == to
    assert says in decision.reason
    assert "A hint" not in decision.reason


def test_the_forecast_knows_when_it_is_tried_again() -> None:
    member = member_of(
        cluster(),
        None,
        version="1.35.1",
        reached=INSIDE,
        health_since=INSIDE,
        expected=40 * MINUTE,
        attempts=(REFUSED,),
    )
    state = FleetState((member,), offers={member.kind: Offer(tuple(Release(version, INSIDE) for version in OFFERED))})
    (move,) = forecast(None, state, INSIDE + 10 * MINUTE, period=timedelta(days=30)).moves
    assert (move.to, move.begins) == ("1.36.0", INSIDE + 70 * MINUTE), "the first look after the hour"


VERSIONS = st.builds(lambda minor, patch: f"1.{minor}.{patch}", st.integers(28, 40), st.integers(0, 12))


@given(
    current=VERSIONS,
    offered=st.lists(VERSIONS, max_size=12),
    channel=st.sampled_from(CHANNELS),
    minutes=st.integers(0, 60 * 24 * 14),
    takes=st.integers(0, 300),
)
def test_never_down_never_two_minors_never_outside_the_window(
    current: str, offered: list[str], channel: str, minutes: int, takes: int
) -> None:
    now = INSIDE + timedelta(minutes=minutes)
    decision = decided(cluster(channel), running(current, current), offered, now, timedelta(minutes=takes))
    if decision.to is None:
        return
    assert decision.to in offered
    assert Minor.parse(decision.to).ahead_of(Minor.parse(current)) in (0, 1)
    assert [int(part) for part in decision.to.split(".")] > [int(part) for part in current.split(".")]
    closes = Window.parse(WINDOW).closes_at(now)
    assert closes is not None
    assert now + timedelta(minutes=takes) <= closes


WEEKEND = {"hibernate": {"sleep": "Fri 20:00", "wake": "Mon 06:30", "timezone": "Europe/Berlin"}}
SATURDAY, TUESDAY = datetime(2026, 3, 7, 12, tzinfo=UTC), datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("phase", "now", "more", "action"),
    [
        (Phase.RUNNING, SATURDAY, {}, Action.HIBERNATE),
        (Phase.HIBERNATED, SATURDAY, {}, Action.KEEP),
        (Phase.RUNNING, TUESDAY, {}, Action.KEEP),
        (Phase.HIBERNATED, TUESDAY, {}, Action.WAKE),
        (Phase.HIBERNATED, TUESDAY, {"hibernated_for_idleness": True}, Action.KEEP),
        (Phase.RUNNING, SATURDAY, {"changed_by_hand": SATURDAY - HOUR}, Action.KEEP),
        (Phase.RUNNING, SATURDAY, {"changed_by_hand": SATURDAY - 48 * HOUR}, Action.HIBERNATE),
        (Phase.HIBERNATED, TUESDAY, {"changed_by_hand": TUESDAY - HOUR}, Action.KEEP),
        (Phase.BROKEN, SATURDAY, {}, Action.KEEP),
        (Phase.PARTIAL, SATURDAY, {}, Action.KEEP),
        (Phase.ABSENT, TUESDAY, {}, Action.KEEP),
    ],
)
def test_sleep_by_schedule(phase: Phase, now: datetime, more: dict[str, Any], action: Action) -> None:
    assert decide_hibernation(cluster(**WEEKEND), phase, now, **more).action is action


def test_without_a_schedule_nobody_is_put_to_sleep() -> None:
    assert decide_hibernation(cluster(protect=True), Phase.RUNNING, SATURDAY).action is Action.KEEP
