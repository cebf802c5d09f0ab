"""Kubernetes versions: reading, ordering, and the minors between two of them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from boatyard.errors import Unsafe

_VERSION = re.compile(r"v?([0-9]{1,3})\.([0-9]{1,4})(?:\.([0-9]{1,5}))?([-+][0-9A-Za-z.+-]{1,100})?\Z")


@dataclass(frozen=True, order=True)
class Minor:
    """A Kubernetes minor such as 1.35; ordered by number, so 1.9 is below 1.10."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> "Minor":
        """From `1.35`, `1.35.2`, `v1.35.2` or `v1.35.2-eks-1a2b`; `ValueError` for anything else."""
        return Version.parse(text).of

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    def plus(self, minors: int) -> "Minor":
        return Minor(self.major, self.minor + minors)

    def ahead_of(self, other: "Minor") -> int:
        """Minors from `other` to this one; negative when this one is older."""
        if self.major != other.major:
            raise ValueError(f"{self} and {other} are different major versions")
        return self.minor - other.minor


@dataclass(frozen=True)
class Version:
    """A version as somebody wrote it; `patch` is None when only a minor is given."""

    of: Minor
    patch: int | None
    prerelease: bool
    text: str

    @classmethod
    def parse(cls, text: str) -> "Version":
        """`ValueError` when it is no Kubernetes version."""
        match = _VERSION.match(text)
        if match is None:
            raise ValueError(f"{text[:60]!r} is no Kubernetes version; expected one like 1.35 or v1.35.2")
        major, minor, patch, suffix = match.groups()
        early = bool(suffix) and re.match(r"-(alpha|beta|rc)", suffix) is not None
        return cls(Minor(int(major), int(minor)), int(patch) if patch else None, early, text)


def path(start: str, to: str) -> list[str]:
    """The minors to go through from `start` to `to`, one at a time, `to`'s own last; [] when the minor stays.

    `Unsafe` for a downgrade: Kubernetes has none.
    """
    first, last = Minor.parse(start), Minor.parse(to)
    distance = last.ahead_of(first)
    if distance < 0:
        hint = f"Set kubernetes.version to {first} or newer, or make a new cluster."
        raise Unsafe(down_problem(start, to) or "", hint=hint)
    return [str(first.plus(step)) for step in range(1, distance + 1)]


def down_problem(current: str, to: str) -> str | None:
    """Why `to` is a way down; None when it is not. Without a patch, any patch of the minor will do."""
    have, want = Version.parse(current), Version.parse(to)
    if want.of < have.of:
        return f"Kubernetes {current} cannot go down to {to}: its storage has no way back."
    if want.of == have.of and want.patch is not None and have.patch is not None and want.patch < have.patch:
        return f"Kubernetes {current} cannot go down to {to}, an older patch."
    return None


def newest(offered: Iterable[str], minor: str) -> str | None:
    """The newest patch of a minor among `offered`, as it is written there, no pre-release; None when there is none."""
    wanted = Minor.parse(minor)
    versions = [each for each in map(Version.parse, offered) if each.of == wanted and not each.prerelease]
    best = max(versions, key=lambda each: -1 if each.patch is None else each.patch, default=None)
    return best.text if best else None
