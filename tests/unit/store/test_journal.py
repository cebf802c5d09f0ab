"""Every step is written down before it begins, and a killed one can be told."""

from datetime import timedelta

import pytest

from boatyard.clock import ManualClock
from boatyard.errors import Fenced, NotFound
from boatyard.store.store import Store


def _begin(
    store: Store, fence: int | None = None, *, cluster: str = "shop", run_id: str | None = "run-1", **more: str
) -> int:
    words = {
        "operation": "upgrade",
        "verb": "upgrade pool",
        "target": "web",
        "reason": "1.34 → 1.35",
        "who": "ann",
        **more,
    }
    return store.journal.begin(cluster, run_id=run_id, fence=fence, **words)


def test_an_entry_tells_who_why_what_when_and_how_it_ended(store: Store, clock: ManualClock) -> None:
    lease = store.leases.acquire("shop", "ann", "upgrade")
    begun = clock.now()
    number = _begin(store, lease.number)
    clock.advance(timedelta(seconds=20))
    store.journal.end(number, "failed", "no capacity")

    (entry,) = store.journal.list("shop")

    assert (entry.id, entry.cluster, entry.operation, entry.run_id) == (number, "shop", "upgrade", "run-1")
    assert (entry.verb, entry.target, entry.reason, entry.who) == ("upgrade pool", "web", "1.34 → 1.35", "ann")
    assert (entry.begun_at, entry.ended_at, entry.outcome) == (begun, clock.now(), "failed")
    assert (entry.message, entry.fence) == ("no capacity", lease.number)


def test_the_first_end_stays(store: Store) -> None:
    number = _begin(store)
    store.journal.end(number, "done", "well")
    store.journal.end(number, "failed", "no")
    assert [(entry.outcome, entry.message) for entry in store.journal.list()] == [("done", "well")]


def test_an_unknown_entry_cannot_end(store: Store) -> None:
    with pytest.raises(NotFound, match="4711"):
        store.journal.end(4711, "done")


def test_a_step_runs_while_its_lease_lives(store: Store, clock: ManualClock) -> None:
    lease = store.leases.acquire("shop", "ann", "upgrade", ttl=60, run_id="run-1")
    _begin(store, lease.number)
    _begin(store, None, run_id="run-1")
    _begin(store, None, run_id="another")
    assert [entry.outcome for entry in store.journal.list()] == ["running", "running", "interrupted"]

    clock.advance(timedelta(seconds=61))

    assert [entry.outcome for entry in store.journal.list()] == ["interrupted"] * 3
    store.leases.renew(lease)
    assert [entry.run_id for entry in store.journal.interrupted()] == ["another"]


def test_who_lost_the_lease_cannot_end_its_step(store: Store, clock: ManualClock) -> None:
    lease = store.leases.acquire("shop", "ann", "upgrade", ttl=60)
    number = _begin(store, lease.number)
    clock.advance(timedelta(seconds=61))
    store.leases.acquire("shop", "bob", "delete")

    with pytest.raises(Fenced, match="delete by bob"):
        store.journal.end(number, "done")

    assert [entry.id for entry in store.journal.interrupted("shop")] == [number]


def test_lists_are_pages_in_order(store: Store) -> None:
    ids = [_begin(store, cluster="shop" if number % 2 else "other") for number in range(10)]

    assert [entry.id for entry in store.journal.list(limit=3)] == ids[-3:]
    assert [entry.id for entry in store.journal.list(limit=3, after=ids[2])] == ids[3:6]
    assert [entry.id for entry in store.journal.list("shop", limit=2, after=ids[2])] == [ids[3], ids[5]]
    assert [entry.id for entry in store.journal.interrupted("other")] == ids[0::2]


def test_no_token_gets_into_the_journal(store: Store) -> None:
    number = _begin(store, reason="curl -H 'Authorization: Bearer abcdefghijklmnop1234567890'")
    store.journal.end(number, "failed", "url postgresql://ann:s3cretpass@db/x")

    (entry,) = store.journal.list()

    assert "abcdefghijklmnop1234567890" not in entry.reason
    assert "s3cretpass" not in entry.message
