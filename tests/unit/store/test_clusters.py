"""What is wanted and what was seen of each cluster."""

from datetime import timedelta

import pytest

from boatyard.clock import ManualClock
from boatyard.errors import Fenced, NotFound, Permanent
from boatyard.store.store import Store

SHOP = {"name": "shop", "pools": [{"name": "web", "max": 3}], "note": "naïve ☸"}


def test_put_gives_back_what_was_put(store: Store, clock: ManualClock) -> None:
    record = store.clusters.put(SHOP, source="shop.yaml", base="/fleet")

    assert record == store.clusters.get("shop")
    assert (record.desired, record.observed, record.source, record.base) == (SHOP, None, "shop.yaml", "/fleet")
    assert (record.state, record.created_at, record.updated_at) == ("managed", clock.now(), clock.now())


def test_an_unknown_cluster_is_none(store: Store) -> None:
    assert store.clusters.get("nobody") is None


def test_one_that_was_absent_and_is_there_again_is_a_new_cluster(store: Store, clock: ManualClock) -> None:
    begun = store.clusters.put(SHOP).created_at
    for observed, age in (
        ({"phase": "running", "version": "1.35"}, 1),
        ({"phase": "broken", "version": None}, 2),
        ({"phase": "absent", "version": None}, 3),
        ({"phase": "partial", "version": "1.36"}, 0),
        ({"phase": "running", "version": "1.36"}, 1),
    ):
        clock.advance(timedelta(hours=1))
        store.clusters.set_observed("shop", observed, fence=None)
        record = store.clusters.get("shop")
        assert record is not None
        assert clock.now() - record.created_at == timedelta(hours=age)
    assert record.created_at > begun


def test_what_was_known_of_its_use_does_not_outlive_it(store: Store, clock: ManualClock) -> None:
    """An old note of a sleep for idleness would have the new cluster deleted when its schedule puts it to sleep."""
    store.clusters.put(SHOP)
    store.clusters.set_observed("shop", {"phase": "hibernated"}, fence=None)
    store.activity.warned("shop")
    store.activity.hibernated("shop")
    store.clusters.set_observed("shop", {"phase": "hibernated"}, fence=None)
    assert store.activity.get("shop") is not None

    store.clusters.set_observed("shop", {"phase": "absent"}, fence=None)
    store.clusters.set_observed("shop", {"phase": "running"}, fence=None)

    assert store.activity.get("shop") is None


def test_a_second_put_keeps_what_was_observed_and_since_when_it_exists(store: Store, clock: ManualClock) -> None:
    first = store.clusters.put(SHOP)
    store.clusters.set_observed("shop", {"phase": "running"}, fence=None)
    store.clusters.mark("shop", state="deleting")
    clock.advance(timedelta(hours=1))

    second = store.clusters.put({**SHOP, "note": "new"})

    assert (second.desired["note"], second.observed) == ("new", {"phase": "running"})
    assert (second.state, second.created_at, second.updated_at) == ("deleting", first.created_at, clock.now())


def test_a_deleted_cluster_begins_anew(store: Store, clock: ManualClock) -> None:
    store.clusters.put(SHOP)
    store.clusters.set_observed("shop", {"phase": "running"}, fence=None)
    store.conditions.set("shop", "Ready", "True")
    store.activity.record("shop", clock.now(), "a pod", "pods")
    store.clusters.mark("shop", state="deleted")
    assert store.clusters.list() == []
    assert [(it.name, it.deleted_at) for it in store.clusters.list(deleted=True)] == [("shop", clock.now())]
    clock.advance(timedelta(days=1))

    record = store.clusters.put(SHOP)

    assert (record.state, record.observed, record.created_at, record.deleted_at) == ("managed", None, clock.now(), None)
    assert (store.conditions.list("shop"), store.activity.get("shop")) == ([], None)


def test_forget_drops_everything_but_journal_and_fencing_number(store: Store, clock: ManualClock) -> None:
    store.clusters.put(SHOP)
    store.conditions.set("shop", "Ready", "True")
    store.activity.record("shop", clock.now(), "a pod", "pods")
    with store.leases.hold("shop", "ann", "delete") as lease:
        store.journal.begin(
            "shop",
            operation="delete",
            run_id=None,
            verb="delete",
            target="shop",
            reason="asked",
            who="ann",
            fence=lease.number,
        )
        store.clusters.forget("shop", fence=lease.number)
        store.clusters.forget("shop", fence=lease.number)

    assert store.clusters.list(deleted=True) == []
    assert (store.conditions.list(), store.activity.list()) == ([], [])
    assert len(store.journal.list("shop")) == 1
    assert store.leases.acquire("shop", "bob", "create").number == lease.number + 1


def test_list_is_in_order_of_names(store: Store) -> None:
    for name in ("b", "c", "a"):
        store.clusters.put({"name": name})

    assert [record.name for record in store.clusters.list()] == ["a", "b", "c"]


@pytest.mark.parametrize("write", ["observed", "mark", "condition", "activity"])
def test_writing_about_an_unknown_cluster_is_not_found(store: Store, write: str) -> None:
    writes = {
        "observed": lambda: store.clusters.set_observed("nobody", {}, fence=None),
        "mark": lambda: store.clusters.mark("nobody", state="deleting"),
        "condition": lambda: store.conditions.set("nobody", "Ready", "True"),
        "activity": lambda: store.activity.warned("nobody"),
    }

    with pytest.raises(NotFound, match="nobody"):
        writes[write]()


@pytest.mark.parametrize(
    "write", ["put", "observed", "mark", "forget", "condition", "clear", "record", "warned", "begin"]
)
def test_a_stale_number_changes_nothing(store: Store, clock: ManualClock, write: str) -> None:
    store.clusters.put(SHOP)
    store.conditions.set("shop", "Ready", "True")
    stale = store.leases.acquire("shop", "ann", "upgrade", ttl=60).number
    clock.advance(timedelta(seconds=61))
    store.leases.acquire("shop", "bob", "delete")
    before = _everything(store)
    writes = {
        "put": lambda: store.clusters.put({**SHOP, "note": "stale"}, fence=stale),
        "observed": lambda: store.clusters.set_observed("shop", {"a": 1}, fence=stale),
        "mark": lambda: store.clusters.mark("shop", state="deleted", fence=stale),
        "forget": lambda: store.clusters.forget("shop", fence=stale),
        "condition": lambda: store.conditions.set("shop", "Ready", "False", fence=stale),
        "clear": lambda: store.conditions.clear("shop", "Ready", fence=stale),
        "record": lambda: store.activity.record("shop", clock.now(), "x", "pods", fence=stale),
        "warned": lambda: store.activity.warned("shop", fence=stale),
        "begin": lambda: store.journal.begin(
            "shop", operation="o", run_id=None, verb="v", target="t", reason="r", who="w", fence=stale
        ),
    }

    with pytest.raises(Fenced, match="delete by bob"):
        writes[write]()

    assert _everything(store) == before


def _everything(store: Store) -> list[object]:
    parts = (store.clusters, store.conditions, store.activity, store.journal)
    return [part.list() for part in parts]


def test_a_value_that_is_no_json_is_refused_in_words(store: Store) -> None:
    for value in (object(), float("nan")):
        with pytest.raises(Permanent, match="cluster shop cannot be kept in the store"):
            store.clusters.put({"name": "shop", "value": value})

    assert store.clusters.get("shop") is None
