"""Turns of phrase that sentences for people share."""

from collections.abc import Sequence


def some(things: Sequence[object], most: int = 3) -> str:
    """`a, b, c and 2 more`: the first of them by name, and how many others there are."""
    rest = f" and {len(things) - most} more" if len(things) > most else ""
    return ", ".join(map(str, things[:most])) + rest
