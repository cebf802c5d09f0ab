"""Since when something is so, and when it was last looked at."""

from datetime import timedelta

from boatyard.clock import ManualClock
from boatyard.store.store import Store


def test_the_transition_time_moves_with_the_status_and_with_the_reason_of_a_false(
    store: Store, clock: ManualClock
) -> None:
    store.clusters.put({"name": "shop"})
    findings = [
        ("True", "Fine", True, 0),
        ("True", "StillFine", False, 0),
        ("False", "NodeLost", True, 2),
        ("False", "NodeLost", False, 2),
        ("False", "NodesLost", True, 4),
        ("False", "NodesLost", False, 4),
        ("Unknown", "NoAnswer", True, 6),
        ("Unknown", "NotAsked", False, 6),
    ]
    start = clock.now()
    for minute, (status, reason, changes, since) in enumerate(findings):
        assert store.conditions.set("shop", "Ready", status, reason, "why", now=clock.now()) is changes
        (found,) = store.conditions.list("shop")
        assert (found.status, found.reason, found.message) == (status, reason, "why")
        assert found.transition_at == start + timedelta(minutes=since)
        assert found.checked_at == start + timedelta(minutes=minute)
        clock.advance(timedelta(minutes=1))


def test_a_late_finding_does_not_overwrite_a_newer_one(store: Store, clock: ManualClock) -> None:
    store.clusters.put({"name": "shop"})
    store.conditions.set("shop", "Ready", "True", now=clock.now())

    assert not store.conditions.set("shop", "Ready", "False", now=clock.now() - timedelta(seconds=1))

    assert [found.status for found in store.conditions.list("shop")] == ["True"]


def test_a_finding_of_a_clock_that_was_ahead_does_not_stand_until_then(store: Store, clock: ManualClock) -> None:
    store.clusters.put({"name": "shop"})
    store.conditions.set("shop", "Ready", "True", now=clock.now() + timedelta(days=900))
    store.conditions.set("shop", "Drifted", "False", "Differs", now=clock.now() + timedelta(days=900))

    assert store.conditions.set("shop", "Ready", "False", now=clock.now())
    assert not store.conditions.set("shop", "Drifted", "False", "Differs", now=clock.now())

    found = store.conditions.list("shop")
    assert [(one.status, one.transition_at, one.checked_at) for one in found] == [
        ("False", clock.now(), clock.now())
    ] * 2


def test_types_and_clusters_are_apart(store: Store) -> None:
    for name in ("b", "a"):
        store.clusters.put({"name": name})
        for kind in ("Ready", "Drifted"):
            store.conditions.set(name, kind, "True")
    store.conditions.clear("a", "Ready")
    store.conditions.clear("a", "Ready")

    assert [(found.cluster, found.type) for found in store.conditions.list()] == [
        ("a", "Drifted"),
        ("b", "Drifted"),
        ("b", "Ready"),
    ]
