"""Only a cluster that clean-up itself put to sleep after its warning counts as hibernated for idleness."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from boatyard.drivers.kwok.driver import Driver
from boatyard.drivers.operation import Operation
from boatyard.plan.model import Observed, Phase, Verb
from boatyard.plan.upkeep import Action
from tasks import upkeep
from tasks.yard import CLEAN_UP
from tests.unit.fleet import DAY, Fleet, small_fleet

IDLE = {"after": "14d", "grace": "2d", "delete": True}


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    monkeypatch.setattr(Driver, "observe", lambda self: Observed(phase=Phase.HIBERNATED, version="1.35"))
    monkeypatch.setattr(upkeep, "get_run_logger", lambda: logging.getLogger("test"))
    with small_fleet(tmp_path) as made:
        desired = made.yard.registered("early").model_dump(mode="json")
        desired["policy"]["idle"] = IDLE
        made.yard.store.clusters.put(desired)
        yield made


def slept(fleet: Fleet, operation: str) -> None:
    journal, verb = fleet.yard.store.journal, Verb.HIBERNATE.value
    entry = journal.begin(
        "early", operation=operation, run_id="1", verb=verb, target="early", reason="", who="ann", fence=None
    )
    journal.end(entry, "done")
    fleet.clock.advance(timedelta(seconds=1))


def decided(fleet: Fleet) -> list[Action]:
    """What clean-up decides on the next nights."""
    found = []
    for _ in range(4):
        with fleet.yard.store.leases.hold("early", "schedule", CLEAN_UP) as lease:
            op = Operation(fleet.yard, fleet.yard.registered("early"), CLEAN_UP, "schedule", "1", lease)
            found.append(upkeep.idle_decision(op).action)
        fleet.clock.advance(DAY)
    return found


def test_a_clean_up_that_died_before_it_wrote_its_sleep_down_goes_on(fleet: Fleet) -> None:
    fleet.yard.store.activity.warned("early")
    slept(fleet, CLEAN_UP)

    assert decided(fleet) == [Action.KEEP, Action.KEEP, Action.DELETE, Action.DELETE]


def test_a_sleep_without_boatyard_is_no_idleness_though_clean_up_had_put_it_to_sleep_once(fleet: Fleet) -> None:
    slept(fleet, CLEAN_UP)
    fleet.yard.store.activity.woken("early", "it was woken")
    fleet.clock.advance(20 * DAY)
    fleet.yard.store.activity.warned("early")

    assert decided(fleet) == [Action.KEEP] * 4
