"""The last rehearsal of an upgrade is the one that counts."""

from datetime import timedelta

import pytest

from boatyard.clock import ManualClock
from boatyard.errors import NotFound
from boatyard.store.records import Rehearsal
from boatyard.store.store import Store


def rehearsed(store: Store, cluster: str, version: str, *, well: bool = True) -> Rehearsal:
    return store.rehearsals.add(cluster, version=version, plan="p", spec="s", well=well, report={"to": version})


def test_the_newest_one_to_a_version_is_found(store: Store, clock: ManualClock) -> None:
    for name in ("shop", "lab"):
        store.clusters.put({"name": name})
    rehearsed(store, "shop", "1.35", well=False)
    clock.advance(timedelta(hours=1))
    newest = rehearsed(store, "shop", "1.35")
    other = rehearsed(store, "shop", "1.36", well=False)
    rehearsed(store, "lab", "1.35")

    assert store.rehearsals.last("shop", "1.35") == newest
    assert store.rehearsals.last("shop") == other
    assert store.rehearsals.last("shop", "1.37") is None
    assert (newest.well, newest.report, newest.ended_at) == (True, {"to": "1.35"}, clock.now())


def test_a_cluster_that_nobody_knows_has_none(store: Store) -> None:
    with pytest.raises(NotFound):
        rehearsed(store, "nobody", "1.35")
    assert store.rehearsals.last("nobody") is None


def test_a_new_life_begins_without_the_rehearsals_of_the_former_one(store: Store) -> None:
    store.clusters.put({"name": "shop"})
    rehearsed(store, "shop", "1.35")
    store.clusters.mark("shop", state="deleted")
    store.clusters.put({"name": "shop"})
    assert store.rehearsals.last("shop") is None
    rehearsed(store, "shop", "1.35")
    store.clusters.forget("shop")
    assert store.rehearsals.last("shop") is None
