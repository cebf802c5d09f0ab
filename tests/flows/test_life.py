"""A life that did not come to its end goes on where it stopped when it is said again, and only that very life."""

import itertools
from collections.abc import Callable

import pytest
from prefect import flow

from boatyard.errors import Permanent
from tasks.life import live, once, rotated, stage
from tests.faults.harness import House

pytestmark = [pytest.mark.twin, pytest.mark.server]

seen: list[str] = []
blocked: set[str] = set()
numbers = itertools.count()


@flow
def visit(place: str) -> None:
    seen.append(place)
    if place in blocked:
        raise Permanent(f"{place} is closed.")


@flow
def journey(name: str, places: list[str]) -> None:
    live(name, [stage(visit, place) for place in places], deletes=False)


def visited(name: str, places: str) -> str:
    """The places that a journey comes to; it ends at one that is closed."""
    seen.clear()
    if blocked & set(places):
        with pytest.raises(Permanent, match="is closed"):
            journey(name, list(places))
    else:
        journey(name, list(places))
    return "".join(seen)


@pytest.fixture
def stopped(house: House) -> str:
    """A cluster's name, of whose life abcd c and d are to come."""
    cluster = house.spec(f"life-{next(numbers)}", apps=False)
    house.yard.store.clusters.put(cluster.model_dump(mode="json"))
    blocked.add("c")
    assert visited(cluster.name, "abcd") == "abc"
    blocked.clear()
    return cluster.name


def test_it_goes_on_with_the_stage_that_did_not_end(stopped: str) -> None:
    assert visited(stopped, "abcd") == "cd"


def test_once_ended_it_is_a_new_life(stopped: str) -> None:
    visited(stopped, "abcd")
    assert visited(stopped, "abcd") == "abcd"


def test_with_other_arguments_it_is_another_life(stopped: str) -> None:
    assert visited(stopped, "abce") == "abce"
    assert visited(stopped, "abcd") == "cd"


def forgotten(house: House, name: str) -> None:
    house.yard.store.clusters.forget(name)


def made_anew(house: House, name: str) -> None:
    who = {"operation": "create", "run_id": None, "reason": "it does not exist", "who": "eve", "fence": None}
    house.yard.store.journal.begin(name, verb="create", target=name, **who)


@flow
def rekeyed(name: str) -> None:
    live(name, [once(stage(visit, "keys"), rotated), stage(visit, "end")], deletes=False)


@pytest.mark.parametrize(
    ("reason", "outcome", "left"),
    [
        ("the old keys are no longer trusted", "done", ["end"]),
        ("the old keys are no longer trusted", "failed", ["keys", "end"]),
        ("the new keys sign, the old ones are still trusted", "done", ["keys", "end"]),
    ],
)
def test_keys_are_not_exchanged_twice_when_the_life_was_cut_off_behind_that(
    house: House, stopped: str, reason: str, outcome: str, left: list[str]
) -> None:
    blocked.add("keys")  # the flow is cut off after its last step, as by a kill: nothing more is noted
    with pytest.raises(Permanent, match="is closed"):
        rekeyed(stopped)
    blocked.clear()
    journal, who = house.yard.store.journal, {"operation": "rotate", "run_id": None, "who": "eve", "fence": None}
    journal.end(journal.begin(stopped, verb="rotate", target=stopped, reason=reason, **who), outcome)
    seen.clear()
    rekeyed(stopped)
    assert seen == left


@pytest.mark.parametrize("since", [forgotten, made_anew])
def test_what_was_done_to_another_cluster_of_that_name_does_not_count(
    house: House, stopped: str, since: Callable[[House, str], None]
) -> None:
    since(house, stopped)
    assert visited(stopped, "abcd") == "abcd"
