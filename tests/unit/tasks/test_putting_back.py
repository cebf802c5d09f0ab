"""A cluster that was woken for its upgrade only is put back; whoever else woke it has it awake."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from boatyard.drivers.kwok.driver import Driver
from boatyard.drivers.operation import Operation
from boatyard.errors import Fenced, Temporary
from boatyard.plan.model import Observed, Phase, Verb
from tasks import waves
from tasks.yard import MAINTENANCE
from tests.unit.fleet import DAY, HOUR, Fleet, small_fleet

MOMENT = timedelta(seconds=1)


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    monkeypatch.setattr(Driver, "observe", lambda self: Observed(phase=Phase.RUNNING, version="1.35"))
    with small_fleet(tmp_path) as made:
        monkeypatch.setattr(waves, "yard", lambda: made.yard)
        yield made


def did(fleet: Fleet, operation: str, *verbs: Verb) -> None:
    """Steps in the journal, each a moment after the one before."""
    journal = fleet.yard.store.journal
    for verb in verbs:
        fleet.clock.advance(MOMENT)
        entry = journal.begin(
            "early", operation=operation, run_id="1", verb=verb, target="early", reason="", who="ann", fence=None
        )
        journal.end(entry, "done")
    fleet.clock.advance(MOMENT)


def put_back(fleet: Fleet) -> bool:
    with fleet.yard.store.leases.hold("early", "schedule", MAINTENANCE) as lease:
        return waves.to_put_back(
            Operation(fleet.yard, fleet.yard.registered("early"), MAINTENANCE, "schedule", "1", lease)
        )


def upgrade(fleet: Fleet, version: str = "1.36") -> None:
    """Asleep, it was woken and upgraded."""
    store = fleet.yard.store.rollout
    begun = store.begin("early", version, asleep=True)
    did(fleet, MAINTENANCE, Verb.WAKE, Verb.UPGRADE_CONTROL_PLANE)
    store.end(begun.id, "done")


def test_who_was_woken_for_its_upgrade_is_put_back(fleet: Fleet) -> None:
    upgrade(fleet)
    assert put_back(fleet)


@pytest.mark.parametrize("operation", ["wake", MAINTENANCE], ids=["by a person", "by its schedule"])
def test_who_was_woken_again_later_stays_awake(fleet: Fleet, operation: str) -> None:
    upgrade(fleet)
    did(fleet, MAINTENANCE, Verb.HIBERNATE)
    fleet.clock.advance(DAY)
    did(fleet, operation, Verb.WAKE)
    assert not put_back(fleet)


def test_who_was_woken_for_an_upgrade_that_another_one_took_the_place_of_is_put_back(fleet: Fleet) -> None:
    store = fleet.yard.store.rollout
    store.begin("early", "1.36.1", asleep=True)
    did(fleet, MAINTENANCE, Verb.WAKE)
    fleet.clock.advance(HOUR)
    store.end(store.begin("early", "1.36.2").id, "done")
    assert put_back(fleet)


def test_where_waking_failed_the_upgrade_was_tried_and_is_not_under_way(fleet: Fleet) -> None:
    fleet.yard.store.rollout.begin("early", "1.36", asleep=True)
    did(fleet, MAINTENANCE, Verb.WAKE)
    with pytest.raises(Temporary), waves.reserved("early", "1.36"):
        raise Temporary("the control plane does not answer.")
    (kept,) = fleet.yard.store.rollout.upgrades("early")
    assert (kept.outcome, kept.message) == ("blocked", "the control plane does not answer.")
    assert put_back(fleet)


def test_an_upgrade_that_is_stopped_is_no_failed_one_and_stays_open(fleet: Fleet) -> None:
    """The next maintenance goes on with it, and its ring does not stand still."""
    with pytest.raises(Fenced), waves.reserved("early", "1.36"):
        raise Fenced("upgrade of cluster early was stopped.")
    with fleet.yard.store.leases.hold("early", "schedule", MAINTENANCE) as lease:
        op = Operation(fleet.yard, fleet.yard.registered("early"), MAINTENANCE, "schedule", "1", lease)
        did(fleet, MAINTENANCE, Verb.WAKE)
        with pytest.raises(Fenced), waves.recorded(op, "1.36"):
            raise Fenced("upgrade of cluster early was stopped.")
    (kept,) = fleet.yard.store.rollout.upgrades("early")
    assert kept.ended_at is None
