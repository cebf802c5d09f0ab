"""Events come twice, late and in any order; the last one by time wins."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boatyard.store import Claim, Todo
from boatyard.store.store import Store

KEY = "pull_request/org/repo/12"
START = datetime(2026, 3, 1, tzinfo=UTC)

Events = list[tuple[str, int]]
EVENTS = st.lists(st.tuples(st.sampled_from(["open", "close"]), st.integers(0, 6)), min_size=1, max_size=8)


def _at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def _last_event_opens(events: Events) -> bool:
    """The rule in its plainest form; a closing wins against an opening of the same time."""
    return max(events, key=lambda event: (event[1], event[0] == "close"))[0] == "open"


def _hear(claim: Claim, event: tuple[str, int]) -> Claim:
    kind, minute = event
    return claim.opening("pr-12", _at(minute)) if kind == "open" else claim.closing(_at(minute))


@settings(max_examples=500, deadline=None)
@given(EVENTS, st.randoms())
def test_any_order_and_any_repetition_ends_with_the_last_event_by_time(events: Events, random: object) -> None:
    shuffled = [*events, *events[: len(events) // 2]]
    random.shuffle(shuffled)
    claim = Claim(KEY, None, None, None, settled=True)
    exists = False
    for event in shuffled:
        before, claim = claim, _hear(claim, event)
        if claim.open != before.open:
            assert claim.open != exists, "told to create what is there, or to delete what is not"
            exists = claim.open

    assert claim.open == exists == _last_event_opens(events)
    assert claim.due is (Todo.CREATE if exists else Todo.DELETE if not claim.settled else Todo.NONE)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Store:
    path: Path = tmp_path_factory.mktemp("claims") / "boatyard.db"
    return Store.open(f"sqlite:///{path}")


@settings(max_examples=60, deadline=None)
@given(EVENTS)
def test_the_store_keeps_to_the_rule(shared: Store, events: Events) -> None:
    key = f"{KEY}/{datetime.now(UTC).timestamp()}"
    exists = False
    for kind, minute in events:
        result = (
            shared.claims.open(key, "pr-12", _at(minute)) if kind == "open" else shared.claims.close(key, _at(minute))
        )
        assert result.claim == shared.claims.get(key)
        exists = {Todo.CREATE: True, Todo.DELETE: False, Todo.NONE: exists}[result.todo]

    assert exists == shared.claims.get(key).open == _last_event_opens(events)


def test_every_order_of_opened_closed_reopened(store: Store) -> None:
    events = [("open", 0), ("close", 1), ("open", 2), ("close", 3)]
    for number, order in enumerate(permutations(events)):
        key = f"{KEY}/{number}"
        for kind, minute in order:
            if kind == "open":
                store.claims.open(key, "pr-12", _at(minute))
            else:
                store.claims.close(key, _at(minute))
        assert not store.claims.get(key).open, order


def test_closing_first_leaves_a_tombstone_that_no_older_opening_passes(store: Store) -> None:
    assert store.claims.close(KEY, _at(5)).todo is Todo.NONE
    for minute in (4, 5):
        assert store.claims.open(KEY, "pr-12", _at(minute)).due is Todo.NONE
    assert store.claims.pending() == []

    assert store.claims.open(KEY, "pr-12", _at(6)).todo is Todo.CREATE
    assert store.claims.get(KEY).open


def test_duplicates_ask_for_nothing_new(store: Store) -> None:
    assert store.claims.open(KEY, "pr-12", _at(0)).todo is Todo.CREATE
    assert store.claims.open(KEY, "pr-12", _at(0)).todo is Todo.NONE
    assert store.claims.close(KEY, _at(1)).todo is Todo.DELETE
    assert store.claims.close(KEY, _at(1)).todo is Todo.NONE


def test_what_was_asked_for_stays_due_until_it_is_done(store: Store) -> None:
    opened = store.claims.open(KEY, "pr-12", _at(0))
    again = store.claims.open(KEY, "pr-12", _at(0))
    assert (again.todo, again.due, again.cluster) == (Todo.NONE, Todo.CREATE, "pr-12")
    assert store.claims.pending() == store.claims.of("pr-12") == [opened.claim]

    assert store.claims.settle(opened.claim)

    assert store.claims.pending() == []
    assert store.claims.open(KEY, "pr-12", _at(0)).due is Todo.NONE


def test_a_creation_that_ends_after_the_closing_settles_nothing(store: Store) -> None:
    opened = store.claims.open(KEY, "pr-12", _at(0))
    closed = store.claims.close(KEY, _at(1))

    assert not store.claims.settle(opened.claim)

    assert [claim.due for claim in store.claims.pending()] == [Todo.DELETE]
    assert store.claims.settle(closed.claim)
    assert store.claims.pending() == []


def test_the_cluster_keeps_its_name_until_it_is_gone(store: Store) -> None:
    store.claims.open(KEY, "old", _at(0))
    assert store.claims.open(KEY, "new", _at(1)).cluster == "old"
    closed = store.claims.close(KEY, _at(2))
    assert store.claims.open(KEY, "new", _at(3)).cluster == "old"
    closed = store.claims.close(KEY, _at(4))
    store.claims.settle(closed.claim)

    assert store.claims.open(KEY, "new", _at(5)).cluster == "new"


def test_only_old_tombstones_that_were_carried_out_are_pruned(store: Store) -> None:
    for key, minute in (("old", 1), ("young", 9), ("due", 1), ("reopened", 1)):
        store.claims.open(key, key, _at(0))
        result = store.claims.close(key, _at(minute))
        if key != "due":
            store.claims.settle(result.claim)
    store.claims.settle(store.claims.open("reopened", "reopened", _at(2)).claim)

    assert store.claims.prune(_at(5)) == 1

    assert [store.claims.get(key) is None for key in ("old", "young", "due", "reopened")] == [True, False, False, False]


def test_of_many_deliveries_at_once_one_is_told_to_create(store: Store) -> None:
    results: list[Todo] = []
    ready = threading.Barrier(6)

    def deliver() -> None:
        ready.wait()
        results.append(store.claims.open(KEY, "pr-12", _at(0)).todo)

    threads = [threading.Thread(target=deliver) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == [Todo.CREATE] + [Todo.NONE] * 5
