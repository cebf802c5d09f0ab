"""The drain's memory: who may be asked for now, in which order, and what a refusal changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from boatyard.clock import Deadline, ManualClock
from boatyard.errors import DeadlineExceeded, Permanent
from boatyard.kube.client import Event
from boatyard.kube.drainboard import Attempt, Board

SYNCED = Event("SYNCED", {})


class World:
    """A board and the events that a cluster would send it."""

    def __init__(self, *nodes: str, **rules: Any) -> None:
        self.clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.lines: list[str] = []
        self.board = Board(nodes, self.clock, self.lines.append, **rules)
        self.version = 0

    def pod(self, name: str, node: str, *, app: str = "web", uid: str = "", kind: str = "ADDED", **status: Any) -> None:
        ready = {"type": "Ready", "status": "True"}
        document = {
            "metadata": {
                "uid": uid or name,
                "namespace": "shop",
                "name": name,
                "labels": {"app": app},
                "ownerReferences": [{"kind": "ReplicaSet", "controller": True}],
            },
            "spec": {"nodeName": node},
            "status": {"phase": "Running", "conditions": [ready], **status},
        }
        self.board.pod_changed(Event(kind, document))  # type: ignore[arg-type]

    def gone(self, name: str, node: str, **more: Any) -> None:
        self.pod(name, node, kind="DELETED", **more)

    def budget(self, allowed: int, name: str = "web", *, app: str = "web", kind: str = "MODIFIED") -> None:
        self.version += 1
        document = {
            "metadata": {"namespace": "shop", "name": name, "generation": 1, "resourceVersion": str(self.version)},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": app}}},
            "status": {"observedGeneration": 1, "disruptionsAllowed": allowed},
        }
        self.board.budget_changed(Event(kind, document))  # type: ignore[arg-type]

    def tried(self) -> list[str]:
        return [attempt.name for attempt in self.attempts()]

    def attempts(self) -> list[Attempt]:
        return self.board.attempts()


def test_pods_without_a_budget_go_all_at_once_and_are_asked_for_once() -> None:
    world = World("n1", "n2")
    world.pod("a", "n1")
    world.pod("b", "n2")
    world.pod("elsewhere", "n9")
    assert sorted(world.tried()) == ["a", "b"]
    world.pod("a", "n1", kind="MODIFIED")
    assert world.tried() == []


def test_one_pod_a_budget_at_a_time_the_first_node_first() -> None:
    world = World("n1", "n2")
    world.budget(2)
    world.pod("b", "n2")
    world.pod("a", "n1")
    [first] = world.attempts()
    assert first.name == "a"
    assert world.attempts() == [], "another attempt of the same budget is under way"
    world.board.evicted(first)
    assert world.tried() == ["b"], "the budget allowed two"


def test_a_granted_disruption_counts_until_the_budget_shows_it() -> None:
    world = World("n1")
    world.budget(1)
    world.pod("a", "n1")
    world.pod("b", "n1")
    [first] = world.attempts()
    world.board.evicted(first)
    assert world.tried() == []
    world.budget(0)
    assert world.tried() == []
    world.budget(1)
    assert world.tried() == ["b"]


def test_a_status_that_came_first_is_not_counted_twice() -> None:
    """The watch may show the spent disruption before the eviction's answer arrives."""
    world = World("n1")
    world.budget(2)
    world.pod("a", "n1")
    world.pod("b", "n1")
    [first] = world.attempts()
    world.budget(1)
    world.board.evicted(first)
    assert world.tried() == ["b"]


def test_a_refusal_waits_for_a_newer_budget_and_never_for_time() -> None:
    world = World("n1")
    world.budget(1)
    world.pod("a", "n1")
    [refused] = world.attempts()
    world.board.refused(refused)
    world.clock.advance(timedelta(hours=1))
    world.pod("a", "n1", kind="MODIFIED")
    assert world.tried() == []
    world.budget(1)
    assert world.tried() == ["a"]


def test_a_refusal_that_the_watch_has_overtaken_is_tried_again_at_once() -> None:
    world = World("n1")
    world.budget(1)
    world.pod("a", "n1")
    [refused] = world.attempts()
    world.budget(1)
    world.board.refused(refused)
    assert world.tried() == ["a"]


def test_a_refusal_by_a_budget_not_seen_yet_waits_for_it() -> None:
    world = World("n1")
    world.pod("a", "n1")
    [refused] = world.attempts()
    world.board.refused(refused)
    assert world.tried() == []
    world.budget(0)
    world.clock.advance(timedelta(seconds=5))
    assert world.tried() == []
    world.budget(1)
    assert world.tried() == ["a"]


def test_a_pressed_server_is_given_the_time_it_asks_for() -> None:
    world = World("n1")
    world.pod("a", "n1")
    [attempt] = world.attempts()
    world.board.postponed(attempt, 7)
    assert world.tried() == []
    before = world.clock.now()
    world.board.wait(60)
    world.board.wait(60)
    assert world.clock.now() - before == timedelta(seconds=7)
    assert world.tried() == ["a"]


def test_budgets_go_side_by_side() -> None:
    world = World("n1")
    world.budget(1)
    world.budget(1, "db", app="db")
    world.pod("a", "n1")
    world.pod("b", "n1", app="db")
    assert sorted(world.tried()) == ["a", "b"]


def test_pods_of_a_deleted_budget_are_free() -> None:
    world = World("n1")
    world.budget(0)
    world.pod("a", "n1")
    world.pod("b", "n1")
    assert world.tried() == []
    world.budget(0, kind="DELETED")
    assert sorted(world.tried()) == ["a", "b"]


def test_a_node_is_empty_when_its_last_pod_has_gone_and_is_told_once() -> None:
    world = World("n1", "n2")
    world.pod("a", "n1")
    assert world.board.newly_empty() == ["n2"]
    assert not world.board.done
    world.gone("a", "n1")
    assert world.board.newly_empty() == ["n1"]
    assert world.board.newly_empty() == []
    assert world.board.done


def test_a_pod_that_finishes_no_longer_counts() -> None:
    world = World("n1")
    world.pod("a", "n1")
    world.pod("a", "n1", kind="MODIFIED", phase="Succeeded")
    assert world.board.newly_empty() == ["n1"]


def test_a_pod_found_on_an_empty_node_takes_the_news_back() -> None:
    world = World("n1")
    assert world.board.newly_empty() == ["n1"]
    late = {"metadata": {"uid": "z", "namespace": "shop", "name": "z"}, "spec": {"nodeName": "n1"}}
    assert world.board.pods_found("n1", [late])
    assert not world.board.done
    assert world.tried() == ["z"]
    world.gone("z", "n1")
    assert world.board.newly_empty() == ["n1"]


def test_a_successor_of_the_same_name_elsewhere_ends_the_pod() -> None:
    """A watch that was cut off shows a StatefulSet's next pod as a change of the former one."""
    world = World("n1")
    world.pod("db-0", "n1", uid="old")
    world.pod("db-0", "n9", uid="new", kind="MODIFIED")
    assert world.board.newly_empty() == ["n1"]


def test_two_budgets_on_one_pod_are_named() -> None:
    world = World("n1")
    world.budget(1, "one")
    world.budget(1, "two")
    world.pod("a", "n1")
    assert world.board.doubly_covered() == [
        "pod shop/a on node n1 is covered by PodDisruptionBudgets one and two",
    ]


def test_what_is_left_is_explained() -> None:
    world = World("n1", "n2")
    world.budget(0)
    world.pod("a", "n2")
    world.pod("b", "n1", app="free")
    [attempt] = world.attempts()
    world.board.evicted(attempt)
    text = world.board.explain()
    assert "node n1: pod shop/b is terminating and has not gone; node n2: pod shop/a is held back: " in text
    assert "PodDisruptionBudget shop/web (maxUnavailable 1) allows 0 disruptions" in text
    for number in range(9):
        world.pod(f"more-{number}", "n2")
    assert "and 6 more pods" in world.board.explain()


def test_waiting_for_head_room_is_told_once_a_budget() -> None:
    world = World("n1")
    world.budget(0)
    world.pod("a", "n1")
    for _ in range(3):
        world.tried()
        world.budget(0)
    assert [line for line in world.lines if "head-room" in line] == world.lines
    assert len(world.lines) == 1


def test_a_failure_elsewhere_is_raised_here() -> None:
    world = World("n1")
    world.board.fail(Permanent("first"))
    world.board.fail(Permanent("second"))
    with pytest.raises(Permanent, match="first"):
        world.board.wait_synced(Deadline.after(5, "drain", world.clock))


def test_without_a_first_list_the_deadline_says_so() -> None:
    world = World("n1")
    world.board.pod_changed(SYNCED)
    with pytest.raises(DeadlineExceeded, match="first list"):
        world.board.wait_synced(Deadline.after(5, "drain", world.clock))
    world.board.budget_changed(SYNCED)
    world.board.wait_synced(Deadline.after(5, "drain", world.clock))


def test_pods_of_an_earlier_selector_are_gone_before_the_next_are_asked() -> None:
    world = World("n1", "n2", order=["app=batch", "app=web"])
    world.pod("db", "n1", app="db")
    world.pod("front", "n1", app="web")
    world.pod("night", "n2", app="batch")
    [batch] = world.attempts()
    assert batch.name == "night"
    world.board.evicted(batch)
    assert world.tried() == [], "it has been asked to go, and has not gone"
    assert "pod shop/db waits for those that leave before it" in world.board.explain()
    world.gone("night", "n2", app="batch")
    assert world.tried() == ["front"]
    world.gone("front", "n1")
    assert world.tried() == ["db"]


def test_a_pod_that_is_relabelled_changes_its_turn() -> None:
    world = World("n1", order=["app=batch"])
    world.budget(0)
    world.pod("a", "n1")
    world.pod("b", "n1", app="batch")
    assert world.tried() == ["b"]
    world.pod("c", "n1", app="batch")
    world.pod("c", "n1", app="other", kind="MODIFIED")
    world.gone("b", "n1", app="batch")
    assert world.tried() == ["c"]


def test_what_a_budget_holds_back_is_forced_after_its_time_and_not_before() -> None:
    world = World("n1", force_after=600)
    world.budget(0)
    world.pod("a", "n1")
    world.pod("b", "n1")
    assert world.tried() == []
    world.clock.advance(timedelta(seconds=599))
    world.budget(0)
    assert world.tried() == []
    before = world.clock.now()
    world.board.wait(60)
    world.board.wait(60)
    assert world.clock.now() - before == timedelta(seconds=1), "it wakes up for it"
    [first] = world.attempts()
    assert (first.name, first.forced) == ("a", True)
    world.board.evicted(first)
    assert [(each.name, each.forced) for each in world.attempts()] == [("b", True)], "the budget had its time"


def test_a_budget_that_lets_pods_go_now_and_then_is_never_passed_over() -> None:
    world = World("n1", force_after=600)
    for number in range(5):
        world.pod(f"p{number}", "n1")
    for _ in range(5):
        world.budget(0)
        assert world.tried() == []
        world.clock.advance(timedelta(seconds=500))
        world.budget(1)
        [attempt] = world.attempts()
        assert not attempt.forced
        world.board.evicted(attempt)
        world.gone(attempt.name, "n1")


def test_a_later_stage_is_not_held_back_while_it_waits_for_its_turn() -> None:
    world = World("n1", order=["app=batch"], force_after=600)
    world.budget(0)
    world.pod("night", "n1", app="batch")
    world.pod("a", "n1")
    [batch] = world.attempts()
    world.board.evicted(batch)
    world.clock.advance(timedelta(hours=2))
    assert world.tried() == []
    world.gone("night", "n1", app="batch")
    assert world.tried() == [], "its own time begins only now"
    world.clock.advance(timedelta(seconds=600))
    world.board.wait(0)
    assert world.tried() == ["a"]
