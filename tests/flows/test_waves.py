"""Half a year of a fleet of six real control planes in three rings, by a clock that the test moves.

The tests are one story: each begins where the one before it ended, since versions only go up.
"""

import os
import signal
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter

from boatyard.clock import ShiftedClock
from boatyard.drivers.fleet_state import fleet_state
from boatyard.errors import Permanent
from boatyard.plan.model import Phase
from boatyard.plan.waves import Ask, Schedule, decide
from boatyard.spec.models import Cluster
from boatyard.spec.waves import Waves
from flows.approve_upgrade import approve_upgrade
from flows.hibernate import hibernate_cluster
from flows.maintenance import maintain_fleet
from flows.monitor import monitor_fleet
from tasks.approval import answer_approval
from tests.faults.harness import House, until

pytestmark = [pytest.mark.twin, pytest.mark.server]

WINDOW = "Sun 02:00-03:30 Europe/Berlin"
RINGS = {"canary": ("c1", "c2"), "staging": ("s1", "s2"), "production": ("p1", "p2")}
NAMES = tuple(name for names in RINGS.values() for name in names)
RULES = Waves.model_validate(
    {
        "upgrades": {
            "rings": [
                {"name": "canary", "match": {"stage": "canary"}, "soak": "2d"},
                {"name": "staging", "match": {"stage": "staging"}, "soak": "5d"},
                {"name": "production", "match": {"stage": "production"}, "approve": True, "max_parallel": 1},
            ],
            "halt": {"failed": "50%"},
            "never_together": [["s1", "s2"]],
            "freezes": [{"from": "2031-03-23", "to": "2031-03-23", "reason": "spring sale"}],
        }
    }
)


def cluster(ring: str, name: str, channel: str) -> Cluster:
    return Cluster.model_validate(
        {
            "name": name,
            "labels": {"stage": ring},
            "provider": {"kind": "kwok"},
            "kubernetes": {"version": "1.33", "channel": channel},
            "pools": [{"name": "web", "min": 1}],
            "policy": {"maintenance": {"window": WINDOW}},
        }
    )


@pytest.fixture(scope="module", autouse=True)
def _fleet(house: House) -> None:
    house.yard.store.rollout.set_rules(RULES.model_dump(mode="json"), "fleet.yaml")
    made = [cluster(ring, name, "n-2") for ring, names in RINGS.items() for name in names]
    house.clusters |= {each.name: each for each in made}
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(house.set_up, made))


def versions(house: House) -> dict[str, str]:
    """What the fleet runs, as each control plane says."""

    def version(name: str) -> str:
        return str(house.driver(house.yard.registered(name)).observe().version)

    with ThreadPoolExecutor(6) as pool:
        return dict(zip(NAMES, pool.map(version, NAMES), strict=True))


def fleet_at(rest: str, **others: str) -> dict[str, str]:
    """The same version everywhere but where it is said otherwise, by ring or by name."""
    found = {name: others.get(ring, rest) for ring, names in RINGS.items() for name in names}
    return found | {name: version for name, version in others.items() if name in NAMES}


def at(clock: ShiftedClock, moment: datetime) -> None:
    """The minute has come: the monitor looks, then maintenance runs."""
    clock.set(moment)
    monitor_fleet()
    maintain_fleet()


def planned(house: House) -> Schedule:
    """What would be decided now, without doing it."""
    return decide(RULES, fleet_state(house.yard, RULES).state, house.yard.clock.now())


def reasons(house: House) -> Mapping[str, str]:
    return {each.name: each.reason for each in planned(house).verdicts}


def utc(*moment: int) -> datetime:
    return datetime(2031, *moment, tzinfo=UTC)  # type: ignore[arg-type]


def test_nothing_starts_on_a_freeze_date(house: House, clock: ShiftedClock) -> None:
    at(clock, utc(3, 23, 1, 10))
    assert versions(house) == fleet_at("1.33")
    assert "spring sale" in reasons(house)["c1"]


def test_where_summer_time_skips_the_start_of_the_window_it_opens_with_the_new_time(
    house: House, clock: ShiftedClock
) -> None:
    at(clock, utc(3, 30, 0, 50))  # 01:50, and the next minute but nine is 03:00
    assert versions(house) == fleet_at("1.33")
    at(clock, utc(3, 30, 1, 5))
    assert versions(house) == fleet_at("1.33", canary="1.34")
    at(clock, utc(3, 30, 1, 15))
    assert versions(house) == fleet_at("1.33", canary="1.34")
    assert "soaks 1.34 for 2d" in reasons(house)["s1"]


def test_a_canary_that_breaks_halts_everything_behind_it(house: House, clock: ShiftedClock) -> None:
    pid = house.home / "kwok/clusters/c2/pids/kube-apiserver.pid"
    os.kill(int(pid.read_text()), signal.SIGKILL)
    for minute in (20, 24):
        clock.set(utc(3, 30, 1, minute))
        monitor_fleet()
    at(clock, utc(4, 6, 0, 10))
    assert versions(house) | {"c2": "1.34"} == fleet_at("1.33", canary="1.34")
    assert "ring canary is halted" in reasons(house)["s1"]
    assert [halted.failed for halted in planned(house).halted] == [("c2",)]

    house.set_up(house.yard.registered("c2"))
    at(clock, utc(4, 6, 0, 20))
    assert versions(house) == fleet_at("1.33", canary="1.34")
    assert "soaks 1.34 for 2d, until 2031-04-08" in reasons(house)["s1"]


def test_after_an_outage_over_the_window_a_late_run_does_not_overrun_it(house: House, clock: ShiftedClock) -> None:
    at(clock, utc(4, 13, 1, 40))  # 03:40, ten minutes after it closed
    assert versions(house) == fleet_at("1.33", canary="1.34")


def test_two_that_must_not_be_upgraded_together_go_one_after_the_other(house: House, clock: ShiftedClock) -> None:
    at(clock, utc(4, 20, 0, 10))
    assert versions(house) == fleet_at("1.33", canary="1.34", s1="1.34")
    at(clock, utc(4, 20, 0, 20))
    assert versions(house) == fleet_at("1.33", canary="1.34", staging="1.34")


def test_a_ring_whose_approval_is_refused_stays_as_it_is(house: House, clock: ShiftedClock) -> None:
    at(clock, utc(4, 27, 0, 10))
    assert planned(house).asks == (Ask("production", "1.34"),)
    answer("production", "1.34", approve=False, note="not before the fair")
    assert planned(house).asks == ()
    at(clock, utc(5, 4, 0, 10))
    assert versions(house) == fleet_at("1.34", production="1.33")


def test_an_approved_ring_goes_and_one_that_sleeps_is_woken_and_put_back(house: House, clock: ShiftedClock) -> None:
    clock.set(utc(5, 10, 12, 0))
    monitor_fleet()
    hibernate_cluster("p1")
    answer_at_the_terminal(house)
    at(clock, utc(5, 11, 0, 10))
    assert versions(house) == fleet_at("1.34", p2="1.33")
    assert house.driver(house.yard.registered("p1")).observe().phase is Phase.HIBERNATED
    at(clock, utc(5, 11, 0, 20))
    assert versions(house) == fleet_at("1.34")


def test_two_versions_are_under_way_at_once_and_where_winter_time_repeats_an_hour_the_window_is_longer(
    house: House, clock: ShiftedClock
) -> None:
    for ring, names in RINGS.items():
        for name in names:
            house.yard.store.clusters.put(cluster(ring, name, "rapid").model_dump(mode="json"))
    at(clock, utc(10, 19, 0, 10))
    assert versions(house) == fleet_at("1.34", canary="1.35")
    at(clock, utc(10, 26, 2, 10))  # 03:10 for the first time, after 02:10 came twice
    assert versions(house) == fleet_at("1.34", canary="1.36", s1="1.35")
    at(clock, utc(10, 26, 2, 20))
    assert versions(house) == fleet_at("1.34", canary="1.36", staging="1.35")
    at(clock, utc(10, 26, 2, 40))
    assert versions(house) == fleet_at("1.34", canary="1.36", staging="1.35")


def test_the_fleet_remembers_every_upgrade(house: House) -> None:
    kept = house.yard.store.rollout.upgrades()
    assert {each.outcome for each in kept} == {"done"}
    assert [each.version for each in kept if each.cluster == "c1"] == ["1.34", "1.35", "1.36"]
    assert [each.asleep for each in kept if each.cluster == "p1"] == [True]


def answer_at_the_terminal(house: House) -> None:
    house.yard.store.rollout.answer("production", "1.34", granted=True, who="ann")


def answer(ring: str, version: str, **given: Any) -> None:
    """The question is asked by its flow, and answered as the UI would."""
    run = threading.Thread(target=approve_upgrade, args=(ring, version))
    run.start()
    name = FlowRunFilter.model_validate({"name": {"any_": [f"may {ring} take {version}?"]}})

    def answered() -> bool:
        """Not yet, as long as the run does not wait."""
        with get_client(sync_client=True) as client, suppress(Permanent):
            for asking in client.read_flow_runs(flow_run_filter=name):
                answer_approval(asking.id, **given)
                return True
        return False

    until(answered, "the question")
    run.join(60)
    assert not run.is_alive()
