"""A kOps channel: which Kubernetes versions and images it recommends, and which kOps goes with which Kubernetes.

Read from kOps' own address, from a web server or from a file; kept on disk with its date, so that work goes on while
the address cannot be reached.
"""

import hashlib
import json
import operator
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from boatyard.clock import Clock
from boatyard.errors import BoatyardError, InvalidSpec
from boatyard.tools.page import Fetch, download
from boatyard.versions.minor import Minor
from boatyard.versions.offer import Offer
from boatyard.versions.skew import Tool

BASE = "https://raw.githubusercontent.com/kubernetes/kops/master/channels/"
"""Where `stable` and `alpha` are: kOps' DefaultChannelBase."""

SUPPORTED_BEHIND = 3
"""Minors behind kOps' own that are supported (recorded: kOps 1.36.2 names 1.33 as the oldest)."""

ALLOWED_BEHIND = 5
"""Minors behind kOps' own that it still takes, deprecated (from kOps 1.37's source: 1.32)."""

_FRESH = timedelta(hours=1)
_AGAIN = timedelta(minutes=1)
_failures: dict[Path, tuple[datetime, BoatyardError]] = {}
"""Copy's file → when this process last asked for it in vain, and what came of it."""
_PART = re.compile(r"(>=|<=|>|<|=|==|!=)?v?([0-9][0-9A-Za-z.+-]*)")


@dataclass(frozen=True)
class Rule:
    """What a channel says of versions within `range`. Empty texts: it says nothing. kubernetes: of a range of kOps'."""

    range: str
    recommended: str = ""
    required: str = ""
    kubernetes: str = ""


@dataclass(frozen=True)
class Image:
    """A machine image. provider: `aws`; architecture: `amd64`, `arm64`, empty for any; range: Kubernetes versions."""

    name: str
    provider: str
    architecture: str
    range: str


@dataclass(frozen=True)
class Channel:
    """`stale` says why this is an old copy, with its date; empty when it is a fresh one."""

    address: str
    read_at: datetime
    kubernetes: tuple[Rule, ...]
    kops: tuple[Rule, ...]
    images: tuple[Image, ...]
    stale: str = ""

    def recommended(self, minor: str) -> str | None:
        """The version of `minor` (`1.35`, `1.35.2`) to run; None when the channel names none."""
        wanted = Minor.parse(minor)
        for rule in self.kubernetes:
            if rule.recommended and Minor.parse(rule.recommended) == wanted:
                return rule.recommended
        return None

    def offers(self, kops: str) -> tuple[Offer, ...]:
        """What clusters can be brought to with this kOps, oldest first: the version recommended of each minor that it
        takes. Those that it only takes to help people out of them are deprecated."""
        newest, default = Minor.parse(kops), self.default(kops)
        found = []
        for behind in range(ALLOWED_BEHIND, -1, -1):
            version = self.recommended(str(newest.plus(-behind)))
            if version is None or not self.allowed(version, kops):
                continue
            deprecated = behind > SUPPORTED_BEHIND
            found += [Offer(version, version == default, deprecated, source=self.address, as_of=self.read_at.date())]
        return tuple(found)

    def default(self, kops: str) -> str | None:
        """The Kubernetes version that this kOps gives a new cluster."""
        rule = _rule(self.kops, kops)
        return rule.kubernetes or None if rule else None

    def refusal(self, version: str, kops: str) -> str:
        """Why `kops create` and `update` refuse this full version; empty when they do not. kops: its own version."""
        if too := program(kops).refusal(version):
            return too
        own, rule = _rule(self.kops, kops), _rule(self.kubernetes, version)
        if own and own.required and order(own.required) > order(kops):
            return f"the channel requires kOps {own.required} or newer; this is {kops}"
        if rule and rule.required and order(rule.required) > order(version):
            newer = f"; it recommends {rule.recommended}" if rule.recommended else ""
            return f"the channel does not allow Kubernetes {version} any more, only {rule.required} or newer{newer}"
        return ""

    def allowed(self, version: str, kops: str) -> bool:
        """Will kOps make or update a cluster of this full version?"""
        return not self.refusal(version, kops)

    def image(self, version: str, architecture: str = "amd64") -> str | None:
        """AWS image of nodes of this Kubernetes version, as `owner/name`."""
        for image in self.images:
            fits = image.provider == "aws" and image.architecture in ("", architecture)
            if fits and (not image.range or within(version, image.range)):
                return image.name
        return None


def program(kops: str) -> Tool:
    """kOps of this version, and the Kubernetes it takes: https://kops.sigs.k8s.io/welcome/releases/."""
    return Tool("kOps", kops, behind=ALLOWED_BEHIND)


def load(
    name: str,
    *,
    folder: Path,
    clock: Clock,
    report: Callable[[str], None] = lambda line: None,
    timeout: float = 10.0,
    fetch: Fetch | None = None,
) -> Channel:
    """`stable`, `alpha`, `https://…` or `file:///…`. folder: where copies are kept; timeout: seconds for all of it.

    A copy younger than an hour is taken as it is; an older one when the address does not answer, which `report` hears
    and `Channel.stale` says. `Temporary` when there is no copy either; `InvalidSpec` for an address or a text that is
    no channel. An address that did not answer is not asked again for a minute: a fleet has hundreds of clusters of one
    channel.
    """
    address = resolve(name)
    if address.startswith("file://"):
        return parse(_file(address), address, clock.now())
    kept = folder / f"{hashlib.sha256(address.encode()).hexdigest()[:16]}.json"
    copy = _copy(kept, address)
    if copy is not None and clock.now() - copy.read_at < _FRESH:
        return copy
    failed = _failures.get(kept)
    try:
        if failed is not None and timedelta() <= clock.now() - failed[0] < _AGAIN:
            raise failed[1]
        text = (fetch or download)(address, timeout).decode(errors="replace")
        channel = parse(text, address, clock.now())
    except BoatyardError as error:
        if failed is None or error is not failed[1]:
            _failures[kept] = (clock.now(), error)
        if copy is None:
            raise
        said = f"the kOps channel of {copy.read_at:%Y-%m-%d %H:%M} UTC is used, for now: {error.message}"
        report(said)
        return replace(copy, stale=said)
    _keep(kept, address, channel.read_at, text)
    return channel


def resolve(name: str) -> str:
    """The address of a channel. `InvalidSpec` when it is none."""
    scheme = urlsplit(name).scheme
    if scheme in ("https", "file"):
        return name
    if scheme or not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise InvalidSpec([f"{name!r} is no kOps channel: stable, alpha, an https:// or a file:// address is allowed."])
    return BASE + name


def parse(text: str, address: str, read_at: datetime) -> Channel:
    """The channel's YAML. `InvalidSpec` when it is none."""
    try:
        read = yaml.safe_load(text)
        spec: Mapping[str, Any] = read["spec"]
        kubernetes = tuple(map(_read_rule, spec.get("kubernetesVersions") or ()))
        kops = tuple(map(_read_rule, spec.get("kopsVersions") or ()))
        images = tuple(
            Image(
                str(one["name"]),
                str(one.get("providerID", "")),
                str(one.get("architectureID", "")),
                str(one.get("kubernetesVersion", "")),
            )
            for one in spec.get("images") or ()
        )
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise InvalidSpec([f"{address} holds no kOps channel."]) from None
    if not kubernetes:
        raise InvalidSpec([f"{address} holds no kOps channel: it names no Kubernetes version."])
    return Channel(address, read_at, kubernetes, kops, images)


def order(version: str) -> tuple[tuple[int, ...], tuple[tuple[int, int, str], ...]]:
    """A key that sorts versions as semantic versioning does: 1.36.0-alpha.2 < 1.36.0-beta.1 < 1.36.0."""
    numbers, _, early = version.removeprefix("v").partition("+")[0].partition("-")
    release = tuple(int(part) for part in numbers.split("."))
    release += (0,) * (3 - len(release))
    if not early:
        return release, ((2, 0, ""),)
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in early.split("."))
    return release, parts


def within(version: str, ranges: str) -> bool:
    """Is the version in a range such as `>=1.35.0 <1.36.0 || >=1.40.0`?"""
    return any(_all(version, part) for part in ranges.split("||"))


def _all(version: str, conditions: str) -> bool:
    found = _PART.findall(conditions)
    have = order(version)
    return all(_ANSWERS[sign or "="](have, order(wanted)) for sign, wanted in found)


_ANSWERS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}


def _rule(rules: Sequence[Rule], version: str) -> Rule | None:
    return next((rule for rule in rules if not rule.range or within(version, rule.range)), None)


def _read_rule(one: Mapping[str, Any]) -> Rule:
    keys = ("range", "recommendedVersion", "requiredVersion", "kubernetesVersion")
    return Rule(*(str(one.get(key) or "") for key in keys))


def _file(address: str) -> str:
    path = Path(unquote(urlsplit(address).path))
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSpec([f"The kOps channel {path} cannot be read: {error}."]) from None


def _copy(kept: Path, address: str) -> Channel | None:
    try:
        read = json.loads(kept.read_text())
        return parse(read["text"], address, datetime.fromisoformat(read["read_at"]))
    except (OSError, ValueError, KeyError, TypeError, InvalidSpec):
        return None


def _keep(kept: Path, address: str, read_at: datetime, text: str) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
    part.write_text(json.dumps({"address": address, "read_at": read_at.isoformat(), "text": text}))
    part.replace(kept)
