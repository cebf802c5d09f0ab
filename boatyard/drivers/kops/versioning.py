"""Which full Kubernetes version stands for a minor, and what kOps and its channel allow."""

from boatyard.drivers.kops import channel
from boatyard.drivers.kops.channel import Channel
from boatyard.drivers.kops.reach import Reach
from boatyard.errors import InvalidSpec, Unsafe
from boatyard.versions import Version, path


def channel_of(reach: Reach) -> Channel:
    """The channel that the spec names."""
    folder = reach.env.home / "kops-channels"
    return channel.load(reach.provider.channel, folder=folder, clock=reach.env.clock, report=reach.env.report)


def full_version(reach: Reach, wanted: str) -> str:
    """`1.35.2` as it is, `1.35` as the channel recommends it. `InvalidSpec` when kOps would refuse it.

    kOps registers a cluster first and refuses its version after that, so it is asked here, before anything is done.
    """
    known, own = channel_of(reach), reach.kops.version()
    version = wanted if Version.parse(wanted).patch is not None else known.recommended(wanted)
    if version is None:
        there = ", ".join(known.offered(own)) or "none"
        raise InvalidSpec([f"kubernetes.version: {known.address} names no version of {wanted}; there are: {there}."])
    if why := known.refusal(version, own):
        raise InvalidSpec([f"kubernetes.version: {why}."])
    return version


def one_step(name: str, current: str, to: str) -> bool:
    """Does the minor change? `Unsafe` when it would skip one, or go down."""
    minors = path(current, to)
    if len(minors) > 1:
        raise Unsafe(
            f"cluster {name}: going from {current} to {to} skips {', '.join(minors[:-1])}.",
            hint="A control plane goes up one minor at a time.",
        )
    have, want = Version.parse(current), Version.parse(to)
    if not minors and want.patch is not None and have.patch is not None and want.patch < have.patch:
        raise Unsafe(f"cluster {name} runs {current}: it cannot go down to {to}.")
    return bool(minors)
