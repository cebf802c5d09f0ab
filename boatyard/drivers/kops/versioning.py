"""Which full Kubernetes version stands for a minor, and what kOps and its channel allow."""

import json
import os
import threading

from boatyard.drivers.kops import channel
from boatyard.drivers.kops.channel import Channel
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.spec import Provider
from boatyard.drivers.kops.store import Record
from boatyard.errors import BoatyardError, InvalidSpec, Unsafe
from boatyard.versions import Version, path
from boatyard.versions.catalogue import catalogue
from boatyard.versions.offer import Offer
from boatyard.versions.skew import Tool

PATIENCE = 10.0
"""Seconds that a channel may take to answer."""


def channel_of(reach: Reach) -> Channel:
    """The channel that the spec names."""
    folder, patience = reach.env.home / "kops-channels", min(PATIENCE, reach.env.deadline.left)
    return channel.load(
        reach.provider.channel, folder=folder, clock=reach.env.clock, report=reach.env.report, timeout=patience
    )


def own_version(reach: Reach) -> str:
    """Of the kOps that is here. Asked once for each program file: it is looked at every minute."""
    program = reach.env.tool("kops")
    about = program.stat()
    seen = f"{program} {about.st_mtime_ns} {about.st_size}"
    kept = reach.env.home / "kops-version.json"
    try:
        read = json.loads(kept.read_text())
        if read["program"] == seen:
            return str(read["version"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    version = reach.kops.version()
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = kept.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
    part.write_text(json.dumps({"program": seen, "version": version}))
    part.replace(kept)
    return version


def newer_kops(reach: Reach, record: Record) -> str:
    """A line when the kOps that is here is newer than the one that updated the cluster last: it has changes of its own,
    which a step of their own has to bring about. "" when not, or when there is none that works."""
    if not record.kops:
        return ""
    try:
        own = own_version(reach)
    except (BoatyardError, OSError):
        return ""
    if channel.order(own) <= channel.order(record.kops):
        return ""
    return f"kOps {record.kops} updated it last, {own} is here"


def offers(reach: Reach) -> tuple[Offer, ...]:
    """What the channel recommends of each minor that both the kOps here and this driver take.

    () where kOps or its channel cannot be asked now. kOps mends no Kubernetes itself, so the ends of support are
    upstream's.
    """
    try:
        found = channel_of(reach).offers(own_version(reach))
    except (BoatyardError, OSError) as error:
        reach.env.report(f"kOps cannot be asked now what it offers: {error}")
        return ()
    driven = [offer for offer in found if str(offer.minor) in Provider.minors]
    return catalogue(reach.env.home).upstream.dated(driven)


def program(reach: Reach) -> Tool:
    """The kOps that is here, and what it takes."""
    return channel.program(own_version(reach))


def full_version(reach: Reach, wanted: str) -> str:
    """`1.35.2` as it is, `1.35` as the channel recommends it. `InvalidSpec` when kOps would refuse it.

    kOps registers a cluster first and refuses its version after that, so it is asked here, before anything is done.
    """
    known, own = channel_of(reach), own_version(reach)
    version = wanted if Version.parse(wanted).patch is not None else known.recommended(wanted)
    if version is None:
        there = ", ".join(offer.version for offer in known.offers(own)) or "none"
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
