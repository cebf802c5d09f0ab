"""JSON laid over JSON as RFC 7386 (JSON Merge Patch) says: mappings key by key, all else whole, null removes."""

from collections.abc import Mapping
from typing import Any


def merge(below: Any, above: Any) -> Any:
    """`above` laid over `below`; neither is changed."""
    if not isinstance(above, Mapping):
        return above
    merged = dict(below) if isinstance(below, Mapping) else {}
    for key, value in above.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def patch(below: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest mapping that, laid over `below`, gives `wanted` (which holds no null)."""
    found: dict[str, Any] = {key: None for key in below if key not in wanted}
    for key, value in wanted.items():
        old = below.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            if inner := patch(old, value):
                found[key] = inner
        elif key not in below or not same(old, value):
            found[key] = value
    return found


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: `1` and `true` are not."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
