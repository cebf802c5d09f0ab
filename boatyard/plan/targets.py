"""Which versions a cluster may take next by its channel. Pure."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from boatyard.versions import Minor, Version, path, target

Rank = tuple[int, int, int]
"""A version as a number to compare; without a patch it counts as the newest of its minor, since nobody can tell."""

_NO_PATCH = 10**6


@functools.lru_cache(maxsize=4096)
def rank(version: str) -> Rank:
    """`1.35.2` as (1, 35, 2)."""
    parsed = Version.parse(version)
    return parsed.of.major, parsed.of.minor, _NO_PATCH if parsed.patch is None else parsed.patch


@functools.lru_cache(maxsize=4096)
def finished(version: str) -> bool:
    """No pre-release."""
    return not Version.parse(version).prerelease


@dataclass(frozen=True, slots=True)
class Way:
    """What a channel allows a cluster that runs one version.

    steps: versions that it may take next, newest first: a patch of its own minor or of the next one. goal: where the
    channel leads in the end. reason: why the first step, or why there is none.
    """

    steps: tuple[str, ...]
    goal: str | None
    reason: str


def way(channel: str, offered: Sequence[str], current: str) -> Way:
    """The steps that are open from `current`; `offered` is what the provider can run."""
    if not offered:
        return Way((), None, "its provider cannot be asked now what it offers")
    goal = target(channel, offered, current)
    if goal is None:
        return Way((), None, f"{current} is the newest that channel {channel} allows")
    minors = path(current, goal)
    inside = {str(Minor.parse(current)), *minors[:1]}
    steps = tuple(
        sorted(
            (v for v in offered if finished(v) and rank(current) < rank(v) <= rank(goal) and _minor(v) in inside),
            key=lambda version: (rank(version), version),
            reverse=True,
        )
    )
    if minors and (not steps or _minor(steps[0]) != minors[0]):
        return Way((), goal, f"channel {channel} leads to {goal}, but {minors[0]} on the way there is not offered")
    return Way(steps, goal, because(channel, current, steps[0], goal))


def because(channel: str, current: str, step: str, goal: str) -> str:
    """Why a step is taken, in one clause."""
    if _minor(step) == _minor(current):
        return f"{step} is the newest patch of {_minor(current)}"
    return f"channel {channel} allows {step}" + (f", on the way to {goal}" if _minor(step) != _minor(goal) else "")


def next_minor(steps: Sequence[str], current: str) -> str | None:
    """The newest of the steps that leaves the minor; None when none does."""
    return steps[0] if steps and _minor(steps[0]) != _minor(current) else None


@functools.lru_cache(maxsize=4096)
def _minor(version: str) -> str:
    return str(Minor.parse(version))
