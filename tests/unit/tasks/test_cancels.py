"""An operation whose flow run a person cancels in Prefect: it is stopped, by nobody's signal."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from boatyard.clock import SystemClock
from boatyard.drivers.operation import Operation, Yard, operating
from boatyard.errors import Fenced
from tasks import cancels
from tasks.cancels import Cancel, Cancels, watched
from tests.unit.fleet import small_fleet


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    monkeypatch.setattr(cancels, "_LOOK_AGAIN", 0.01)
    with small_fleet(tmp_path) as fleet:
        yield replace(fleet.yard, machine=SystemClock())


@pytest.fixture
def op(yard: Yard) -> Iterator[Operation]:
    with operating(yard, yard.registered("early"), "scale", who="ann", run_id="the run") as held:
        yield held


def test_a_cancel_stops_the_operation_before_its_next_change(op: Operation, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def look(self: Cancels) -> Cancel | None:
        asked.append(self.run_id)
        self.found = Cancel("scale early", SystemClock().now()) if len(asked) > 1 else None
        return self.found

    monkeypatch.setattr(Cancels, "look", look)
    with watched(op):
        assert op.stopped.wait(60)
    assert asked == ["the run", "the run"]
    with pytest.raises(Fenced, match=r"was cancelled by a person in Prefect at .* \(flow run scale early\)"):
        op.fence()


def test_nobody_looks_any_more_once_the_operation_is_over(op: Operation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cancels, "look", lambda self: None)
    with watched(op):
        (looking,) = [each for each in threading.enumerate() if each.name == "cancels"]
    looking.join(60)
    assert not looking.is_alive()
    assert not op.stopped.is_set()
