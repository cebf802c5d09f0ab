"""What Boatyard does by itself over days and weeks, on real clusters, by a clock that the test moves."""

import os
import re
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from boatyard.clock import ShiftedClock
from boatyard.drivers.fleet_state import fleet_state, rules
from boatyard.errors import Unsafe
from boatyard.plan.model import Phase
from boatyard.plan.waves import decide
from boatyard.spec.models import Cluster
from boatyard.store.records import Condition
from flows.cleanup_idle import cleanup_idle
from flows.hibernate import wake_cluster
from flows.maintenance import maintain_fleet
from flows.monitor import monitor_fleet
from tasks.upkeep import fleet
from tests.faults.harness import House

pytestmark = [pytest.mark.twin, pytest.mark.server]

IDLE = {"idle": {"after": "2d", "grace": "1d", "delete": True}}
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FRIDAY = datetime(2031, 3, 7, 12, tzinfo=UTC)
SATURDAY = datetime(2031, 3, 8, 2, 10, tzinfo=UTC)
WINDOW = "Sat 02:00-06:00 UTC"
MONDAY = datetime(2031, 3, 10, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def steady(house: House) -> Cluster:
    """A running cluster whose policy each test writes anew."""
    made = house.spec("steady", apps=False, nodes=1)
    house.set_up(made)
    return made


def wants(house: House, cluster: Cluster, policy: dict[str, Any], **kubernetes: Any) -> None:
    """From now on this is its policy; nothing else of it changes."""
    desired = cluster.model_dump(mode="json", exclude_unset=True)
    desired["policy"] = policy
    desired["kubernetes"] |= kubernetes
    house.yard.store.clusters.put(Cluster.model_validate(desired).model_dump(mode="json"))


def phase(house: House, cluster: Cluster) -> Phase:
    found: Phase = house.driver(cluster).observe().phase
    return found


def kill_api_server(house: House, cluster: Cluster) -> None:
    file = house.home / "kwok/clusters" / cluster.name / "pids/kube-apiserver.pid"
    os.kill(int(file.read_text()), signal.SIGKILL)


def test_an_idle_cluster_is_warned_hibernated_and_deleted(house: House, clock: ShiftedClock) -> None:
    cluster = house.spec("idle", apps=False, nodes=1, policy=IDLE)
    house.set_up(cluster)
    activity = house.yard.store.activity

    cleanup_idle([cluster.name])
    assert phase(house, cluster) is Phase.RUNNING

    clock.advance(2 * DAY + HOUR)
    cleanup_idle([cluster.name])
    warned = activity.get(cluster.name)
    assert warned is not None
    assert warned.warned_at is not None
    assert phase(house, cluster) is Phase.RUNNING

    clock.advance(DAY - HOUR)
    cleanup_idle([cluster.name])
    assert phase(house, cluster) is Phase.RUNNING

    clock.advance(2 * HOUR)
    cleanup_idle([cluster.name])
    assert phase(house, cluster) is Phase.HIBERNATED

    clock.advance(DAY - HOUR)
    cleanup_idle([cluster.name])
    assert phase(house, cluster) is Phase.HIBERNATED

    clock.advance(2 * HOUR)
    cleanup_idle([cluster.name])
    house.is_gone(cluster)


def test_a_schedule_may_serve_some_rings_only(house: House) -> None:
    """Clusters that are wanted and not there; nothing has to run to tell who is looked after."""
    for name, ring in (("early", "canary"), ("late", "production")):
        policy = {"maintenance": {"ring": ring}}
        desired = {"name": name, "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.35"}, "policy": policy}
        house.yard.store.clusters.put(Cluster.model_validate(desired).model_dump(mode="json"))
    try:
        assert fleet(None, ["canary"]) == ["early"]
        assert fleet(["late", "early"], ["canary", "production"]) == ["early", "late"]
        assert fleet(["late"], ["canary"]) == []
        assert fleet(["late"]) == ["late"]
    finally:
        for name in ("early", "late"):
            house.yard.store.clusters.forget(name)


def test_a_cluster_goes_when_its_time_to_live_is_over(house: House, clock: ShiftedClock) -> None:
    cluster = house.spec("brief", apps=False, nodes=1, policy={"ttl": "12h"})
    house.set_up(cluster)
    clock.advance(11 * HOUR)
    cleanup_idle([cluster.name])
    assert phase(house, cluster) is Phase.RUNNING
    clock.advance(2 * HOUR)
    cleanup_idle([cluster.name])
    house.is_gone(cluster)


@pytest.mark.parametrize("shield", ["protect", "exempt"])
def test_a_shielded_cluster_stays(house: House, clock: ShiftedClock, steady: Cluster, shield: str) -> None:
    wants(house, steady, {**IDLE, "ttl": "12h", shield: True})
    for _ in range(4):
        clock.advance(30 * DAY)
        cleanup_idle([steady.name])
    assert phase(house, steady) is Phase.RUNNING


def test_a_busy_cluster_stays_until_it_is_idle_for_long_enough(
    house: House, clock: ShiftedClock, steady: Cluster
) -> None:
    wants(house, steady, IDLE)
    pods = "/api/v1/namespaces/default/pods"
    container = {"name": "main", "image": "registry.example.com/work:1"}
    with house.client(steady) as client:
        client.create(pods, {"metadata": {"name": "work"}, "spec": {"containers": [container]}})
        for _ in range(4):
            clock.advance(3 * DAY)
            cleanup_idle([steady.name])
        known = house.yard.store.activity.get(steady.name)
        assert known is not None
        assert known.warned_at is None
        client.delete(f"{pods}/work", grace=0)
    clock.advance(DAY)
    cleanup_idle([steady.name])
    assert phase(house, steady) is Phase.RUNNING
    known = house.yard.store.activity.get(steady.name)
    assert known is not None
    assert known.warned_at is None


def test_an_unreachable_cluster_stays_and_is_told_as_such(house: House, clock: ShiftedClock, steady: Cluster) -> None:
    wants(house, steady, IDLE)
    kill_api_server(house, steady)
    for _ in range(3):
        clock.advance(30 * DAY)
        cleanup_idle([steady.name])
    assert phase(house, steady) is Phase.BROKEN
    house.set_up(steady)
    assert phase(house, steady) is Phase.RUNNING


def test_sleep_by_schedule_and_a_person_who_wakes_it(house: House, clock: ShiftedClock, steady: Cluster) -> None:
    sleep = {"hibernate": {"sleep": "Fri 20:00", "wake": "Mon 07:00", "timezone": "UTC"}}
    wants(house, steady, sleep)
    clock.set(FRIDAY)
    maintain_fleet([steady.name])
    assert phase(house, steady) is Phase.RUNNING
    clock.set(SATURDAY)
    maintain_fleet([steady.name])
    assert phase(house, steady) is Phase.HIBERNATED
    wake_cluster(steady.name)
    clock.advance(HOUR)
    maintain_fleet([steady.name])
    assert phase(house, steady) is Phase.RUNNING
    clock.set(SATURDAY + 7 * DAY)
    maintain_fleet([steady.name])
    assert phase(house, steady) is Phase.HIBERNATED
    clock.set(MONDAY + 7 * DAY)
    maintain_fleet([steady.name])
    assert phase(house, steady) is Phase.RUNNING


def test_a_refused_upgrade_is_left_alone_for_an_hour_and_the_reason_is_told(
    house: House, clock: ShiftedClock, steady: Cluster
) -> None:
    """Nobody is called every ten minutes of the night for the same budget."""
    wants(house, steady, {"maintenance": {"window": WINDOW}}, channel="regular")
    clock.set(SATURDAY)
    budget = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    spec = {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "frozen"}}}
    pod = {"name": "frozen", "labels": {"app": "frozen"}}

    def maintained() -> tuple[int, str]:
        maintain_fleet([steady.name])
        return len(house.yard.store.rollout.upgrades(steady.name)), house.driver(steady).observe().version

    with house.client(steady) as client:
        client.create(budget, {"metadata": {"name": "frozen"}, "spec": spec})
        container = {"name": "main", "image": "registry.example.com/app:1"}
        client.create("/api/v1/namespaces/default/pods", {"metadata": pod, "spec": {"containers": [container]}})
        with pytest.raises(Unsafe, match=r"must not be upgraded to 1\.35: .*frozen"):
            maintain_fleet([steady.name])
        for _ in range(4):
            clock.advance(timedelta(minutes=10))
            assert maintained() == (1, "1.34")
        waves = rules(house.yard)
        (verdict,) = decide(waves, fleet_state(house.yard, waves).state, clock.now()).verdicts
        assert re.search(r"was refused at 02:1\d UTC and is tried again after 03:1\d UTC: .*frozen", verdict.reason)
        client.delete(f"{budget}/frozen")
        client.delete("/api/v1/namespaces/default/pods/frozen", grace=0)
    clock.advance(timedelta(minutes=30))
    assert maintained() == (2, "1.35")


def test_maintenance_keeps_to_the_window_and_the_channel(house: House, clock: ShiftedClock, steady: Cluster) -> None:
    window = {"maintenance": {"window": WINDOW}}

    def maintained(at: datetime, channel: str) -> str | None:
        wants(house, steady, window, channel=channel)
        clock.set(at)
        maintain_fleet([steady.name])
        version: str | None = house.driver(steady).observe().version
        return version

    assert maintained(FRIDAY, "rapid") == "1.35"
    assert maintained(SATURDAY, "pinned") == "1.35"
    assert maintained(SATURDAY, "stable") == "1.35"
    assert maintained(SATURDAY + timedelta(hours=3, minutes=49, seconds=55), "rapid") == "1.35"
    assert maintained(SATURDAY, "regular") == "1.35"
    assert maintained(SATURDAY, "rapid") == "1.36"
    house.is_whole(steady, version="1.36")


def test_the_monitor_writes_conditions_and_when_they_changed(
    house: House, clock: ShiftedClock, steady: Cluster
) -> None:
    wants(house, steady, {}, version="1.36", channel="rapid")

    def looked() -> dict[str, Condition]:
        clock.advance(timedelta(minutes=1))
        monitor_fleet([steady.name])
        return {each.type: each for each in house.yard.store.conditions.list(steady.name)}

    first = looked()
    assert {name: each.status for name, each in first.items()} == dict.fromkeys(first, "True")
    second = looked()
    assert second["Reachable"].transition_at == first["Reachable"].transition_at
    assert second["Reachable"].checked_at > first["Reachable"].checked_at

    kill_api_server(house, steady)
    broken = looked()
    assert broken["Reachable"].status == "False"
    assert broken["Reachable"].transition_at > second["Reachable"].checked_at
    assert broken["NodesReady"].status == "Unknown"
    assert looked()["Reachable"].transition_at == broken["Reachable"].transition_at

    house.set_up(house.yard.registered(steady.name))
    well = looked()
    assert well["Reachable"].status == "True"
    assert well["Reachable"].transition_at > broken["Reachable"].transition_at

    said = []
    for day in (
        datetime(2027, 4, 10, tzinfo=UTC),
        datetime(2027, 4, 11, tzinfo=UTC),
        datetime(2027, 6, 10, tzinfo=UTC),
    ):
        clock.set(day)
        said.append(looked()["VersionSupported"])
    assert [(each.status, each.reason) for each in said] == [
        ("False", "EndsIn90Days"),
        ("False", "EndsIn90Days"),
        ("False", "EndsIn30Days"),
    ]
    kept = house.yard.store.rollout.begin(steady.name, "1.37")
    house.yard.store.rollout.end(kept.id, "blocked", "budget shop/web allows nothing")
    last = looked()["LastUpgradeWell"]
    assert (last.status, last.reason) == ("False", "UpgradeRefused")
    assert last.message == "its upgrade to 1.37 was refused: budget shop/web allows nothing"
    assert said[0].transition_at == said[1].transition_at < said[2].transition_at


def test_one_unreachable_cluster_does_not_keep_the_others_from_their_upkeep(house: House, clock: ShiftedClock) -> None:
    broken = house.spec("broken", apps=False, nodes=1, policy={"ttl": "30d"})
    done = house.spec("done", apps=False, nodes=1, policy={"ttl": "1h"})
    for cluster in (broken, done):
        house.set_up(cluster)
    kill_api_server(house, broken)
    clock.advance(2 * HOUR)
    cleanup_idle([broken.name, done.name])
    house.is_gone(done)
    assert phase(house, broken) is Phase.BROKEN
