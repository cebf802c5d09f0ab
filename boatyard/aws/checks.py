"""What a cluster needs of an AWS account, and what was found there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["public", "private", "utility"]


@dataclass(frozen=True)
class Subnet:
    """A subnet of an existing VPC that the cluster shall use."""

    id: str
    zone: str
    kind: Kind


@dataclass(frozen=True)
class Needs:
    """What a cluster needs of its account: plain data, made by the driver from the spec.

    cluster: its DNS name. state_store, discovery_store: names of buckets. vpc: an existing one, None to have one made.
    network_cidr: the VPC's range; "" for whatever an existing one has.
    dns_zone: name or id of the hosted zone; None for the nearest one above the cluster's name.
    instances, spot: instance type → how many are still to be started, on demand and as spot.
    nat: private nodes, which need a NAT gateway in each zone. load_balancers: network load balancers still to be made.
    pods_cidr: None where pods have addresses of the VPC. installer: simulate kOps' permissions too.
    """

    cluster: str
    state_store: str
    region: str
    zones: tuple[str, ...]
    vpc: str | None = None
    network_cidr: str = "172.20.0.0/16"
    subnets: tuple[Subnet, ...] = ()
    dns: Literal["public", "private", "none"] = "public"
    dns_zone: str | None = None
    instances: Mapping[str, int] = field(default_factory=dict)
    spot: Mapping[str, int] = field(default_factory=dict)
    nat: bool = False
    load_balancers: int = 1
    discovery_store: str | None = None
    pods_cidr: str | None = None
    services_cidr: str | None = None
    installer: bool = True

    @property
    def nodes(self) -> int:
        """Instances still to be started, of all kinds."""
        return sum(self.instances.values()) + sum(self.spot.values())


@dataclass(frozen=True)
class Check:
    """One point that was looked at. `problem` is "" when it is fine.

    fix: what `repair` does or, where there is none, what a person has to do. blocks: nothing may be made before it is
    mended. repair: safe to repeat, looks again first, touches nothing that is not ours or was not asked for.
    """

    subject: str
    problem: str = ""
    fix: str = ""
    repair: Callable[[], None] | None = field(default=None, compare=False)
    blocks: bool = True
    state: Literal["ok", "missing", "wrong"] = "ok"


def fine(subject: str) -> Check:
    """Nothing to do."""
    return Check(subject)


def missing(subject: str, problem: str, fix: str, repair: Callable[[], None] | None = None) -> Check:
    """It is not there, and without it nothing works."""
    return Check(subject, problem, fix, repair, state="missing")


def wrong(
    subject: str, problem: str, fix: str, repair: Callable[[], None] | None = None, *, blocks: bool = True
) -> Check:
    """It is there, but not as it has to be."""
    return Check(subject, problem, fix, repair, blocks, "wrong")


def warning(subject: str, problem: str, fix: str, repair: Callable[[], None] | None = None) -> Check:
    """It works like this, but should not stay so, or could not be looked at."""
    return wrong(subject, problem, fix, repair, blocks=False)
