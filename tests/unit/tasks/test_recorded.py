"""What is remembered of an upgrade, however it ended."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from boatyard.clock import SystemClock
from boatyard.drivers.operation import Operation
from boatyard.errors import Permanent
from tasks import waves
from tests.unit.fleet import HOUR, Fleet, small_fleet


@pytest.fixture
def told() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[tuple[str, str]]) -> Iterator[Fleet]:
    def tell(cluster: str, what: str, payload: dict[str, Any]) -> None:
        told.append((what, payload["error"]))

    monkeypatch.setattr(waves, "tell", tell)
    with small_fleet(tmp_path) as made:
        monkeypatch.setattr(waves, "yard", lambda: made.yard)
        yield made


def ended_by(fleet: Fleet, error: BaseException) -> None:
    """Its upgrade meets an error before its first change."""
    with fleet.yard.store.leases.hold("early", "ann", "upgrade") as lease:
        here = replace(fleet.yard, machine=SystemClock())
        op = Operation(here, here.registered("early"), "upgrade", "ann", "1", lease)
        with pytest.raises(type(error)), waves.recorded(op, "1.36"):
            raise error


def outcome(fleet: Fleet) -> tuple[str, str]:
    (kept,) = fleet.yard.store.rollout.upgrades("early")
    return kept.outcome, kept.message


def test_a_bug_is_a_failed_upgrade_that_halts_its_ring(fleet: Fleet, told: list[tuple[str, str]]) -> None:
    ended_by(fleet, KeyError("status"))
    kept, why = outcome(fleet)
    assert kept == "failed"
    assert why.startswith("it met an error that Boatyard did not expect (KeyError: 'status', in tasks/waves.py line ")
    assert told == [("upgrade.failed", why)]
    fleet.later(HOUR)
    assert fleet.starts() == []
    assert [each.failed for each in fleet.decide().halted] == [("early",)]


def test_without_rules_a_bug_has_its_hour_of_rest(fleet: Fleet) -> None:
    fleet.yard.store.rollout.set_rules(None)
    ended_by(fleet, AttributeError("'NoneType' object has no attribute 'get'"))
    assert "early" not in fleet.starts()
    assert "failed at" in fleet.reason("early")
    assert "NoneType" in fleet.reason("early")
    fleet.later(HOUR)
    assert "early" in fleet.starts()


def test_a_refusal_before_the_first_change_is_none_and_counts_against_nobody(fleet: Fleet) -> None:
    ended_by(fleet, Permanent("a budget allows nothing."))
    assert outcome(fleet) == ("blocked", "a budget allows nothing.")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), httpx.ConnectError("no answer")], ids=["Ctrl-C", "no server"])
def test_what_is_nobody_s_fault_stays_open(fleet: Fleet, error: BaseException) -> None:
    ended_by(fleet, error)
    assert outcome(fleet)[0] == "running"


def test_a_bug_on_the_way_to_a_reserved_upgrade_counts_as_well(fleet: Fleet, told: list[tuple[str, str]]) -> None:
    fleet.yard.store.rollout.begin("early", "1.36")
    with pytest.raises(KeyError), waves.accounted("early", "1.36"):
        raise KeyError("instances")
    assert outcome(fleet)[0] == "failed"
    assert [what for what, _ in told] == ["upgrade.failed"]


def test_what_the_upgrade_has_said_itself_is_not_said_again(fleet: Fleet, told: list[tuple[str, str]]) -> None:
    ended_by(fleet, KeyError("status"))
    with pytest.raises(KeyError), waves.accounted("early", "1.36"):
        raise KeyError("status")
    assert len(told) == 1
