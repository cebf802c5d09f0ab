"""Where the suite cuts operations off: at each kind of change, and at some that come again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance import harness
from tests.conformance.harness import AGAIN, cut_everywhere

Fence = Callable[[], None]
NODES = 5


class Upgrade:
    """Makes one change of the whole, then two of each node. done: changes made until each cut, and to the end."""

    def __init__(self) -> None:
        self.made, self.done = 0, list[int]()

    def attempt(self, fence: Fence) -> None:
        self.made = 0
        self._record(fence)
        for _ in range(NODES):
            self._drain(fence)

    def settle(self) -> None:
        self.done.append(self.made)

    def _record(self, fence: Fence) -> None:
        fence()
        self.made += 1

    def _drain(self, fence: Fence) -> None:
        fence()
        self.made += 1
        self._record(fence)


@pytest.fixture
def upgrade(monkeypatch: pytest.MonkeyPatch) -> Upgrade:
    """Its changes count as the program's."""
    monkeypatch.setattr(harness, "PROGRAM", str(Path(__file__)))
    return Upgrade()


def test_each_kind_of_change_is_cut_and_some_again(upgrade: Upgrade, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "EVERY", False)
    every = 1 + 2 * NODES
    assert cut_everywhere(upgrade.attempt, upgrade.settle) == every
    kinds = [0, 1, 2]  # the record of a node is made elsewhere than the record of the whole
    assert upgrade.done[:4] == [*kinds, every]
    again = upgrade.done[4:]
    assert len(set(again)) == AGAIN
    assert set(again) <= set(range(3, every))


def test_every_change_is_cut_when_asked_for(upgrade: Upgrade, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "EVERY", True)
    every = 1 + 2 * NODES
    assert cut_everywhere(upgrade.attempt, upgrade.settle) == every
    assert upgrade.done == list(range(every + 1))


@pytest.mark.parametrize("every", [False, True])
def test_a_cut_that_is_swallowed_is_told(upgrade: Upgrade, monkeypatch: pytest.MonkeyPatch, every: bool) -> None:
    monkeypatch.setattr(harness, "EVERY", every)

    def swallow(fence: Fence) -> None:
        try:
            upgrade.attempt(fence)
        except harness.Cut:
            return

    with pytest.raises(AssertionError, match="swallowed"):
        cut_everywhere(swallow, upgrade.settle)
