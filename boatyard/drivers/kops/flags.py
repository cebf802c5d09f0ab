"""The flags of `kops create cluster`, read as kOps reads them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from boatyard.errors import InvalidSpec
from boatyard.spec.words import did_you_mean, shown

TEXT = [
    "name",
    "state",
    "cloud",
    "kubernetes-version",
    "ssh-public-key",
    "image",
    "node-image",
    "control-plane-image",
    "bastion-image",
    "control-plane-volume-type",
    "node-volume-type",
    "network-id",
    "networking",
    "dns-zone",
    "dns",
    "channel",
    "topology",
    "authorization",
    "cloud-labels",
    "control-plane-tenancy",
    "node-tenancy",
    "api-loadbalancer-type",
    "api-ssl-certificate",
    "api-public-name",
    "discovery-store",
    "instance-manager",
    "container-runtime",
    "target",
    "output",
    "out",
]
NUMBERS = ["control-plane-count", "node-count", "control-plane-volume-size", "node-volume-size"]
LISTS = [
    "zones",
    "control-plane-zones",
    "node-size",
    "control-plane-size",
    "subnets",
    "utility-subnets",
    "network-cidr",
    "admin-access",
    "ssh-access",
    "node-security-groups",
    "control-plane-security-groups",
    "etcd-clusters",
    "set",
    "unset",
    "kubernetes-feature-gates",
]
SWITCHES = ["yes", "bastion", "associate-public-ip", "encrypt-etcd-storage", "disable-subnet-tags", "dry-run", "ipv6"]

OLD = {
    "master-size": "control-plane-size",
    "master-count": "control-plane-count",
    "master-zones": "control-plane-zones",
    "master-image": "control-plane-image",
    "master-volume-size": "control-plane-volume-size",
    "master-security-groups": "control-plane-security-groups",
    "master-tenancy": "control-plane-tenancy",
    "master-public-name": "api-public-name",
    "vpc": "network-id",
    "override": "set",
}
"""Deprecated flags, and what kOps calls them now."""

SHORT = {"-t": "topology", "-y": "yes", "-o": "output"}

KNOWN = (*TEXT, *NUMBERS, *LISTS, *SWITCHES, *OLD)


@dataclass
class Flags:
    """What was given. `deprecated`: old names in the order they came; a list's values are those of all its flags."""

    texts: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    switches: dict[str, bool] = field(default_factory=dict)
    deprecated: list[str] = field(default_factory=list)

    def text(self, name: str) -> str | None:
        return self.texts.get(name) or None

    def number(self, name: str) -> int:
        return self.numbers.get(name, 0)

    def list(self, name: str) -> "list[str]":
        return self.lists.get(name, [])

    def switch(self, name: str) -> bool:
        return self.switches.get(name, False)


def read(words: Sequence[str]) -> Flags:
    """`InvalidSpec` with a line for each flag that is not kOps', or whose value is missing or wrong."""
    flags, wrong, rest = Flags(), [], list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):  # kops create cluster NAME
            flags.texts.setdefault("name", word)
            continue
        given, equals, value = word.partition("=")
        name = SHORT.get(given) or given.removeprefix("--")
        if (not given.startswith("--") and given not in SHORT) or name not in KNOWN:
            meant = did_you_mean(given, [f"--{known}" for known in KNOWN])
            wrong.append(f"{shown(given)}: kops create cluster has no such flag for AWS{meant}")
            continue
        if name in OLD:
            flags.deprecated.append(name)
            name = OLD[name]
        if name in SWITCHES:
            problem = _switch(flags, name, value if equals else "true")
        elif not equals and not rest:
            problem = "a value is missing"
        else:
            problem = _value(flags, name, value if equals else rest.pop(0))
        if problem:
            wrong.append(f"{given}: {problem}")
    if wrong:
        raise InvalidSpec(wrong)
    return flags


def _switch(flags: Flags, name: str, value: str) -> str:
    if value not in ("true", "false"):
        return f"found {shown(value)}, allowed true or false"
    flags.switches[name] = value == "true"
    return ""


def _value(flags: Flags, name: str, value: str) -> str:
    if name in NUMBERS:
        if not value.isascii() or not value.isdigit() or len(value) > 5:
            return f"found {shown(value)}, allowed a whole number"
        flags.numbers[name] = int(value)
    elif name in LISTS:
        flags.lists.setdefault(name, []).extend(part.strip() for part in value.split(",") if part.strip())
    else:
        flags.texts[name] = value
    return ""
