"""What a channel wants: how far scheduled maintenance may take a cluster by itself. Pure."""

from collections.abc import Sequence

from boatyard.versions.minor import Version, newest
from boatyard.versions.offer import Offer

PROVIDERS_OWN = ("rapid", "regular", "stable")
"""Channels that mean the provider's own of that name where its offers name channels, as GKE's do."""
BEHIND_NEWEST = {"rapid": 0, "regular": 1, "stable": 2, "n-1": 1, "n-2": 2}
"""Minors that a channel stays behind the newest one offered."""
CHANNELS = (*BEHIND_NEWEST, "patch", "pinned")


def target(channel: str, offered: Sequence[str | Offer], current: str) -> str | None:
    """What scheduled maintenance should bring the cluster to: one of `offered`, or None when it stays as it is.

    The channel sets the minor; within it the newest patch is taken. Never down, never a pre-release, and nothing at all
    for `pinned`. `rapid`, `regular` and `stable` are the provider's own channels where its offers name such; else, and
    `n-1`, `n-2` always, they are so many minors behind the newest one offered, whatever channel that is in. `patch` is
    the newest patch of the minor that runs. The result may be several minors away: `path` gives the steps. `current`
    without a patch is taken to have the newest one of its minor, since nobody can tell.
    """
    if channel not in CHANNELS:
        raise ValueError(f"{channel!r} is no channel; there are {', '.join(CHANNELS)}")
    now = Version.parse(current)
    offers = [each if isinstance(each, Offer) else Offer(each) for each in offered]
    offers = [offer for offer in offers if not Version.parse(offer.version).prerelease]
    own = channel in PROVIDERS_OWN and any(offer.channels for offer in offers)
    if own:
        offers = [offer for offer in offers if channel in offer.channels]
    if channel == "pinned" or not offers:
        return None
    top = max(offer.minor for offer in offers)
    ceiling = now.of if channel == "patch" else top if own else top.plus(-BEHIND_NEWEST[channel])
    goal = max((offer.minor for offer in offers if now.of <= offer.minor <= max(ceiling, now.of)), default=None)
    best = newest((offer.version for offer in offers), str(goal)) if goal else None
    return best if best is not None and _above(Version.parse(best), now) else None


def _above(version: Version, now: Version) -> bool:
    if version.of != now.of:
        return version.of > now.of
    return version.patch is not None and now.patch is not None and version.patch > now.patch
