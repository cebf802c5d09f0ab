"""How long a budget held pods, and when it is said to hold for ever: by what does not change, not by a time limit."""

from typing import Any

import pytest

from boatyard.kube.eviction import read_budget, read_pod
from boatyard.sandbox.rehearsal.holds import STILL, STUCK, Holds
from tests.unit.sandbox.rehearsal.documents import budget, pod

Json = dict[str, Any]
TIGHT = {"allowed": 0, "healthy": 2, "desired": 2, "expected": 2}
SHORT = {"allowed": 0, "healthy": 1, "desired": 2, "expected": 3}
LOOSE = {"allowed": 1, "healthy": 2, "desired": 1, "expected": 2}


class Watched:
    """Two pods of an app, one of them on a node that is being drained."""

    def __init__(self) -> None:
        self.holds = Holds()
        self.leaving = [pod("a-1", node="old", app="a")]
        self.others = [pod("a-2", node="new", app="a")]

    def look(self, now: float, **numbers: int) -> list[str]:
        """Names of the pods that would be held for ever by then."""
        leaving = [read_pod(each) for each in self.leaving]
        everything = leaving + [read_pod(each) for each in self.others]
        owners = {each.uid: "Deployment team/a" for each in everything}
        self.holds.look(now, leaving, [read_budget(budget("a", **numbers))], everything, owners)
        return [each.name for each in self.holds.judge(now)]


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_a_budget_that_allows_it_holds_nothing(watched: Watched) -> None:
    assert watched.look(0, **LOOSE) == []
    assert watched.holds.due(0) is None
    watched.holds.end(100)
    assert watched.holds.found() == []


def test_what_lets_go_held_for_as_long_as_it_did(watched: Watched) -> None:
    assert watched.look(0, **SHORT) == []
    assert watched.look(4, **LOOSE) == []
    assert watched.look(10, **SHORT) == []
    watched.holds.end(12)
    (found,) = watched.holds.found()
    assert (found.seconds, found.for_ever, found.owners, found.nodes) == (6.0, False, ("Deployment team/a",), ("old",))


def test_a_whole_budget_that_allows_nothing_holds_for_ever_once_nothing_moves(watched: Watched) -> None:
    assert watched.look(0, **TIGHT) == []
    assert watched.holds.due(0) == STILL
    assert watched.look(STILL - 0.1, **TIGHT) == []
    assert watched.look(STILL, **TIGHT) == ["a-1"]
    (found,) = watched.holds.found()
    assert found.for_ever
    assert found.why == (
        "it allows no disruption although all its pods are healthy: 2 of 2 pods healthy, 2 must stay (minAvailable 2)"
    )


def test_the_next_pod_of_such_a_budget_needs_no_second_proof(watched: Watched) -> None:
    watched.look(0, **TIGHT)
    watched.look(STILL, **TIGHT)
    watched.leaving = [pod("a-3", node="old", app="a")]
    assert watched.look(STILL + 1, **TIGHT) == ["a-3"]


def test_a_budget_that_misses_pods_is_given_more_time_and_each_time_anew(watched: Watched) -> None:
    assert watched.look(0, **SHORT) == []
    assert watched.look(STILL, **SHORT) == []
    assert watched.look(STUCK, **SHORT) == ["a-1"]
    watched.leaving = [pod("a-3", node="old", app="a")]
    assert watched.look(STUCK + 1, **SHORT) == []
    assert watched.look(2 * STUCK + 1, **SHORT) == ["a-3"]
    (found,) = watched.holds.found()
    assert "nothing changed for 30 s: 1 of 3 pods healthy" in found.why


@pytest.mark.parametrize("change", ["numbers", "another pod", "readiness"])
def test_any_change_begins_the_proof_anew(watched: Watched, change: str) -> None:
    watched.look(0, **TIGHT)
    numbers = TIGHT | {"healthy": 1} if change == "numbers" else TIGHT
    if change == "another pod":
        watched.others.append(pod("a-3", node="new", app="a"))
    if change == "readiness":
        watched.others = [pod("a-2", node="new", ready=False, app="a")]
    assert watched.look(STILL - 1, **numbers) == []
    assert watched.look(STILL, **TIGHT) == []
    assert watched.look(2 * STILL, **TIGHT) == ["a-1"]


@pytest.mark.parametrize("owner", ["DaemonSet", ""])
def test_pods_that_stay_or_go_already_are_held_by_nobody(watched: Watched, owner: str) -> None:
    watched.leaving = [pod("a-1", node="old", owner=owner, app="a")]
    if not owner:
        watched.leaving[0]["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    assert watched.look(0, **TIGHT) == []
    assert watched.look(STUCK, **TIGHT) == []
    assert watched.holds.found() == []
