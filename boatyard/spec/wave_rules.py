"""What no single field of `upgrades` can judge; like boatyard/spec/checks.py tolerant of what is wrong elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from boatyard.spec.checks import Wrong, items, zone_problem
from boatyard.spec.words import did_you_mean, shown

NO_RING = "default"
"""What `policy.maintenance.ring` says where nobody wrote anything."""


def upgrades_rules(data: Mapping[str, Any]) -> Iterator[Wrong]:
    """Rules between the fields of `upgrades`."""
    yield from _names(data)
    yield from _catch_all(data)
    for at, ring in items(data.get("rings")):
        for index, window in enumerate(ring.get("windows") or ()):
            if isinstance(window, str) and len(parts := window.split(" ")) == 3:
                yield from zone_problem(("rings", at, "windows", index), parts[2])
    for at, freeze in items(data.get("freezes")):
        yield from ((("freezes", at, *path), message) for path, message in freeze_rules(freeze))
    yield from _mutexes(data)


def _names(data: Mapping[str, Any]) -> Iterator[Wrong]:
    first: dict[str, int] = {}
    for at, ring in items(data.get("rings")):
        name = ring.get("name")
        if not isinstance(name, str):
            continue
        if name in first:
            message = f"found {shown(name)}, already the name of rings[{first[name]}]: names are unique"
            yield ("rings", at, "name"), message
        first.setdefault(name, at)


def _catch_all(data: Mapping[str, Any]) -> Iterator[Wrong]:
    """A ring without `match` takes what is left, so a ring with labels behind it would stay empty."""
    open_ring: str | None = None
    for at, ring in items(data.get("rings")):
        if open_ring is not None and ring.get("match"):
            found = f"found labels behind ring {open_ring}, which has none and takes every cluster"
            yield ("rings", at, "match"), f"{found}, allowed only before it"
        if open_ring is None and not ring.get("match"):
            open_ring = str(ring.get("name"))[:60]


def _mutexes(data: Mapping[str, Any]) -> Iterator[Wrong]:
    groups = data.get("never_together")
    for at, group in enumerate(groups if isinstance(groups, list) else ()):
        if not isinstance(group, list):
            continue
        if len(group) == 0 or (len(group) == 1 and isinstance(group[0], str)):
            found = f"found only {shown(group[0])}" if group else "found nothing"
            yield ("never_together", at), f"{found}, allowed two clusters and more, or labels that several have"
        for index, member in enumerate(group):
            if member == {}:
                yield ("never_together", at, index), "found no label, allowed a cluster's name or at least one label"


def named_rules(data: Mapping[str, Any], clusters: Sequence[str]) -> Iterator[Wrong]:
    """Names in `never_together` that no cluster of the fleet has."""
    groups = data.get("never_together")
    for at, group in enumerate(groups if isinstance(groups, list) else ()):
        for index, member in enumerate(group if isinstance(group, list) else ()):
            if isinstance(member, str) and member not in clusters:
                meant = did_you_mean(member, list(clusters))
                yield ("never_together", at, index), f"found {shown(member)}, allowed a cluster of the fleet{meant}"


def ring_problem(data: Mapping[str, Any], named: str) -> str | None:
    """What is wrong with a cluster's `policy.maintenance.ring`, where the fleet has rings; `default` names none."""
    rings = [ring["name"] for _, ring in items(data.get("rings")) if isinstance(ring.get("name"), str)]
    if not rings or named in rings or named == NO_RING:
        return None
    return f"found {shown(named)}, allowed {', '.join(rings)}{did_you_mean(named, rings)}"


def freeze_rules(freeze: Mapping[str, Any]) -> Iterator[Wrong]:
    """Rules between the fields of one freeze."""
    first, last, zone = freeze.get("from"), freeze.get("to"), freeze.get("timezone")
    try:
        if isinstance(first, str) and isinstance(last, str) and date.fromisoformat(last) < date.fromisoformat(first):
            yield ("to",), f"found {last}, allowed a day not before from ({first})"
    except ValueError:
        pass  # no days: the model says so
    if isinstance(zone, str):
        yield from zone_problem(("timezone",), zone)
