"""Kubernetes versions: reading, ordering, upgrade paths, version skew and what a channel allows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from boatyard.errors import Unsafe

KUBELET_BEHIND = 3
"""Minors a kubelet may be behind its API server: https://kubernetes.io/releases/version-skew-policy/ (since 1.28)."""
KUBECTL_APART = 1
"""Minors kubectl may be ahead of or behind the API server; same source."""

BEHIND_NEWEST = {"rapid": 0, "regular": 1, "stable": 2}
"""Minors that a channel stays behind the newest one offered; `pinned` never moves."""

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
        raise Unsafe(
            f"Kubernetes {first} cannot go down to {last}: its storage has no way back.",
            hint=f"Set kubernetes.version to {first} or newer, or make a new cluster.",
        )
    return [str(first.plus(step)) for step in range(1, distance + 1)]


def kubelet_problem(api_server: str, kubelet: str) -> str | None:
    """Why this kubelet must not run under this API server; None when it may."""
    behind = Minor.parse(api_server).ahead_of(Minor.parse(kubelet))
    if behind < 0:
        return f"kubelet {kubelet} is ahead of the API server {api_server}; it may be the same or older"
    if behind > KUBELET_BEHIND:
        apart = f"{behind} minors behind the API server {api_server}"
        return f"kubelet {kubelet} is {apart}; at most {KUBELET_BEHIND} are allowed"
    return None


def kubectl_problem(api_server: str, kubectl: str) -> str | None:
    """Why this kubectl should not be used with this API server; None when it may."""
    apart = Minor.parse(kubectl).ahead_of(Minor.parse(api_server))
    if abs(apart) <= KUBECTL_APART:
        return None
    return (
        f"kubectl {kubectl} is {abs(apart)} minors from the API server {api_server}; at most {KUBECTL_APART} is allowed"
    )


def next_allowed(api_server: str, kubelets: Mapping[str, str]) -> str | None:
    """The next minor the API server may go to; None while a node's kubelet would then be too far behind."""
    following = str(Minor.parse(api_server).plus(1))
    return None if any(kubelet_problem(following, version) for version in kubelets.values()) else following


def target(channel: str, offered: Sequence[str], current: str) -> str | None:
    """What scheduled maintenance should bring the cluster to: one of `offered`, or None when it stays as it is.

    The channel sets the minor; within it the newest patch is taken. Never down, never a pre-release, and nothing at all
    for `pinned`. The result may be several minors away: `path` gives the steps. `current` without a patch is taken to
    have the newest one of its minor, since nobody can tell.
    """
    if channel == "pinned":
        return None
    if channel not in BEHIND_NEWEST:
        raise ValueError(f"{channel!r} is no channel; there are {', '.join(BEHIND_NEWEST)} and pinned")
    versions = [version for version in map(Version.parse, offered) if not version.prerelease]
    now = Version.parse(current)
    if not versions:
        return None
    ceiling = max(version.of for version in versions).plus(-BEHIND_NEWEST[channel])
    allowed = [version for version in versions if now.of < version.of <= ceiling or version.of == now.of]
    best = max(allowed, key=lambda version: (version.of, -1 if version.patch is None else version.patch), default=None)
    if best is None:
        return None
    if best.of == now.of and (now.patch is None or best.patch is None or best.patch <= now.patch):
        return None
    return best.text
