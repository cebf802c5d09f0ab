"""Evidence of use, and how far clean-up has gone."""

from datetime import timedelta

import pytest

from boatyard.clock import ManualClock
from boatyard.store.store import Store

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def shop(store: Store) -> None:
    store.clusters.put({"name": "shop"})


def test_use_never_moves_back(store: Store, clock: ManualClock) -> None:
    assert store.activity.get("shop") is None
    store.activity.record("shop", clock.now() - DAY, "pod web-1", "pods")
    clock.advance(DAY)

    later = store.activity.record("shop", clock.now() - 5 * DAY, "an old write", "writes")

    assert (later.last_active_at, later.evidence, later.kind) == (clock.now() - 2 * DAY, "pod web-1", "pods")
    assert later.checked_at == clock.now()
    assert store.activity.get("shop") == later == store.activity.list()[0]


def test_having_looked_and_seen_nothing_is_no_evidence(store: Store, clock: ManualClock) -> None:
    found = store.activity.record("shop", None, "nothing seen", "none")
    assert (found.last_active_at, found.checked_at) == (None, clock.now())


def test_the_first_warning_stands(store: Store, clock: ManualClock) -> None:
    store.activity.record("shop", clock.now(), "pod web-1", "pods")
    first = clock.now() + DAY
    clock.advance(DAY)
    store.activity.warned("shop")
    clock.advance(DAY)
    store.activity.warned("shop")
    store.activity.hibernated("shop")
    found = store.activity.hibernated("shop", clock.now() + DAY)
    assert (found.warned_at, found.hibernated_at) == (first, clock.now())


@pytest.mark.parametrize(("offset", "stands"), [(-DAY, True), (timedelta(0), True), (timedelta(seconds=1), False)])
def test_only_use_after_the_warning_takes_it_back(
    store: Store, clock: ManualClock, offset: timedelta, stands: bool
) -> None:
    store.activity.record("shop", clock.now() - 9 * DAY, "pod web-1", "pods")
    warned = store.activity.warned("shop").warned_at

    found = store.activity.record("shop", clock.now() + offset, "a write by ann", "writes")

    assert found.warned_at == (warned if stands else None)
    assert found.evidence == "a write by ann"


def test_waking_counts_as_use_and_starts_over(store: Store, clock: ManualClock) -> None:
    store.activity.warned("shop")
    store.activity.hibernated("shop")
    clock.advance(DAY)

    store.activity.woken("shop", "woken by ann")

    found = store.activity.get("shop")
    assert (found.last_active_at, found.warned_at, found.hibernated_at) == (clock.now(), None, None)
    assert found.evidence == "woken by ann"
