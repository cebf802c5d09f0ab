"""What is remembered of an upgrade, however it ended."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from boatyard.clock import SystemClock
from boatyard.drivers.operation import END, Operation
from boatyard.errors import Permanent
from boatyard.plan.model import Plan, Step, Verb
from boatyard.spec.waves import Waves
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


def rising(to: str) -> Plan:
    step = Step(id="up", verb=Verb.UPGRADE_CONTROL_PLANE, target="early", reason="", params={"version": to})
    return Plan(cluster="early", provider="kwok", steps=(step,))


@contextmanager
def applied(fleet: Fleet) -> Iterator[tuple[Operation, Callable[[Plan], None]]]:
    """A person's apply that is under way."""
    with fleet.yard.store.leases.hold("early", "ann", "apply") as lease:
        here = replace(fleet.yard, machine=SystemClock())
        op = Operation(here, here.registered("early"), "apply", "ann", "1", lease)
        with waves.counted(op) as gate:
            yield op, gate


def test_an_apply_that_upgrades_has_its_place_in_the_limits(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waves, "require_leave", lambda plan: None)
    rules = Waves.model_validate({"upgrades": {"max_parallel": 1}})
    fleet.yard.store.rollout.set_rules(rules.model_dump(mode="json"))
    with applied(fleet) as (_, gate):
        gate(Plan(cluster="early", provider="kwok", steps=()))
        assert fleet.starts() == ["late"], "it upgrades nothing"
        gate(rising("1.36"))
        gate(rising("1.36"))
        assert fleet.starts() == []
        assert fleet.reason("late") == "the fleet already has 1 upgrade under way, and no more are allowed"
    assert outcome(fleet) == ("done", "")


def test_no_limit_holds_an_apply_back(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waves, "require_leave", lambda plan: None)
    rules = Waves.model_validate({"upgrades": {"max_parallel": 1}})
    fleet.yard.store.rollout.set_rules(rules.model_dump(mode="json"))
    fleet.yard.store.rollout.begin("late", "1.36")
    with applied(fleet) as (_, gate):
        gate(rising("1.36"))
        assert {each.name for each in fleet.seen().state.running} == {"early", "late"}


def test_what_else_fails_in_an_apply_is_no_failed_upgrade(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waves, "require_leave", lambda plan: None)

    def upgrade_and_fail() -> None:
        with applied(fleet) as (op, gate):
            gate(rising("1.36"))
            op.note(END, "early", "to 1.36")
            raise Permanent("an app is not there.")

    with pytest.raises(Permanent, match="an app"):
        upgrade_and_fail()
    assert outcome(fleet) == ("done", "")


def test_an_apply_that_is_refused_is_remembered_as_an_upgrade_that_was(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(plan: Plan) -> None:
        raise Permanent("a budget allows nothing.")

    monkeypatch.setattr(waves, "require_leave", refuse)
    with pytest.raises(Permanent), applied(fleet) as (_, gate):
        gate(rising("1.36"))
    assert outcome(fleet) == ("blocked", "a budget allows nothing.")


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
