"""One word on a cluster as a whole, over time: is it healthy, and since when. Soak days are counted by it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from boatyard.kube.conditions import Condition
from boatyard.store.records import Condition as Known

NAME = "Healthy"
COUNTED = ("Reachable", "ControlPlaneReady", "NodesReady", "SystemPodsReady", "SkewOK")
"""The conditions it is made of. Drift, certificates, backups and support say what to do next, not how it is."""
BLIP = timedelta(minutes=3)
"""Shorter trouble (one look in which a node was restarting) changes nothing."""


def healthy_condition(known: Sequence[Known], now: datetime) -> Condition | None:
    """`Healthy`, or None where it stays as it was: asleep nothing can be seen, and a blip is no illness.

    known: the cluster's conditions as they stand in the store, those of this look included.
    """
    counted = [each for each in known if each.type in COUNTED]
    if not counted or any(each.reason in ("Hibernated", "Absent") for each in counted):
        return None
    wrong = [each for each in counted if each.status != "True"]
    if not wrong:
        return Condition(NAME, "True", "AllWell", f"{', '.join(each.type for each in counted)} are True")
    lasting = [each for each in wrong if now - each.transition_at >= BLIP]
    if not lasting:
        return None
    first = min(lasting, key=lambda each: each.transition_at)
    return Condition(NAME, "False", first.type, f"{first.type} is {first.status}: {first.message}")
