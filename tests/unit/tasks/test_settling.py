"""Upgrades whose run a person cancelled and Prefect then killed: ended by whoever looks next."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from boatyard.clock import SystemClock
from tasks import cancelling
from tests.unit.fleet import HOUR, Fleet, small_fleet


@pytest.fixture
def told() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[dict[str, Any]]) -> Iterator[Fleet]:
    """Every run was cancelled, as Prefect says."""
    cancel = cancelling.Cancel("maintenance", SystemClock().now())
    monkeypatch.setattr(cancelling.Cancels, "look", lambda self: cancel)
    monkeypatch.setattr(cancelling, "tell", lambda cluster, what, payload: told.append(payload | {"what": what}))
    monkeypatch.setattr(cancelling, "get_run_logger", lambda: logging.getLogger(__name__))
    with small_fleet(tmp_path) as made:
        monkeypatch.setattr(cancelling, "yard", lambda: made.yard)
        made.yard.store.rollout.begin("early", "1.36", run_id="a")
        yield made


def outcome(fleet: Fleet) -> str:
    (kept,) = fleet.yard.store.rollout.upgrades("early")
    return kept.outcome


def test_it_is_ended_and_told(fleet: Fleet, told: list[dict[str, Any]]) -> None:
    fleet.later(HOUR)
    cancelling.settle_cancelled()
    cancelling.settle_cancelled()
    assert outcome(fleet) == "cancelled"
    assert [each["what"] for each in told] == ["upgrade.cancelled"]
    assert fleet.starts() == []
    assert "boatyard fleet go-on canary" in fleet.reason("early")


@pytest.mark.parametrize(("changed", "expected"), [(False, "blocked"), (True, "cancelled")])
def test_one_that_waits_for_approval_is_refused_by_a_cancel_and_holds_no_ring(
    fleet: Fleet, told: list[dict[str, Any]], changed: bool, expected: str
) -> None:
    store = fleet.yard.store
    known = fleet.yard.registered("early").model_dump(mode="json")
    known["policy"]["upgrade"]["approve"] = True
    store.clusters.put(known)
    if changed:
        words = {"operation": "upgrade", "run_id": "a", "reason": "", "who": "ann", "fence": None}
        store.journal.begin("early", verb="upgrade control plane", target="early", **words)
    fleet.later(HOUR)
    cancelling.settle_cancelled()
    assert outcome(fleet) == expected
    assert ["stays so until" in each["error"] for each in told] == [changed]
    assert bool(fleet.decide().halted) == changed


def test_one_whose_process_lives_is_left_to_it(fleet: Fleet) -> None:
    cancelling.settle_cancelled()
    assert outcome(fleet) == "running"
    fleet.later(HOUR)
    with fleet.yard.store.leases.hold("early", "ann", "upgrade"):
        cancelling.settle_cancelled()
    assert outcome(fleet) == "running"


def test_a_cluster_that_was_deleted_meanwhile_is_no_trouble(fleet: Fleet) -> None:
    fleet.later(HOUR)
    fleet.yard.store.clusters.mark("early", state="deleted")
    cancelling.settle_cancelled()
    assert outcome(fleet) == "running"
