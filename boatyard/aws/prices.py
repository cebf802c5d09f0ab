"""What things cost a month at list price: enough to tell the dear leftovers from the free ones.

A dated table, not a bill: on-demand list prices of us-east-1 in US dollars, for whatever region; no traffic, requests,
capacity units, discounts or taxes. What the table does not know costs None, never a guess.
"""

from datetime import date

AS_OF = date(2026, 1, 19)
SOURCE = (
    "on-demand list prices of us-east-1: instances as in AWS's price list of that day (the table that Karpenter "
    "publishes); the rest checked on 2026-11-25 against public copies of AWS's pricing pages, except (not confirmed) "
    "volumes of type st1, sc1 and standard, provisioned IOPS of io1/io2, gateway load balancers, interface endpoints"
)
HOURS = 730
"""Hours of a month, as AWS counts."""

_LARGE = {
    # general purpose, burstable
    "t2": 0.0928, "t3": 0.0832, "t3a": 0.0752, "t4g": 0.0672,
    # general purpose
    "m5": 0.096, "m5a": 0.086, "m5d": 0.113, "m6a": 0.0864, "m6g": 0.077, "m6gd": 0.0904, "m6i": 0.096,
    "m6id": 0.11865, "m7a": 0.11592, "m7g": 0.0816, "m7i": 0.1008, "m7i-flex": 0.09576, "m8g": 0.08976, "m8i": 0.10584,
    # compute
    "c5": 0.085, "c5a": 0.077, "c5d": 0.096, "c5n": 0.108, "c6a": 0.0765, "c6g": 0.068, "c6i": 0.085, "c6id": 0.1008,
    "c7a": 0.10264, "c7g": 0.0725, "c7i": 0.08925, "c7i-flex": 0.08479, "c8g": 0.07976, "c8i": 0.09371,
    # memory
    "r5": 0.126, "r5a": 0.113, "r5d": 0.144, "r6a": 0.1134, "r6g": 0.1008, "r6i": 0.126, "r7a": 0.15215, "r7g": 0.1071,
    "r7i": 0.1323, "r8g": 0.11782, "r8i": 0.13892,
    # storage
    "i3": 0.156, "i4i": 0.1716,
}  # fmt: skip
"""An hour of the family's `large`. Prices within these families go with the size, to within a rounding."""

_EXACT = {
    "g4dn.xlarge": 0.526, "g4dn.2xlarge": 0.752, "g4dn.4xlarge": 1.204, "g4dn.12xlarge": 3.912,
    "g5.xlarge": 1.006, "g5.2xlarge": 1.212, "g5.4xlarge": 1.624, "g5.12xlarge": 5.672,
    "g6.xlarge": 0.8048, "g6.2xlarge": 0.9776, "g6.4xlarge": 1.3232, "g6.12xlarge": 4.6016,
}  # fmt: skip
_SIZES = {"nano": 1 / 16, "micro": 1 / 8, "small": 1 / 4, "medium": 1 / 2, "large": 1.0, "xlarge": 2.0}

# gp3, gp2 and snapshots: EBS pricing page, US East (N. Virginia), as others read it on 2026-09-29; io1's GiB: an
# example of the RDS pricing page, same day; gp3's IOPS and throughput: several public tables. The rest is unconfirmed.
_GIB = {"gp3": 0.08, "gp2": 0.10, "io1": 0.125, "io2": 0.125, "st1": 0.045, "sc1": 0.015, "standard": 0.05}
# Unconfirmed, like io1's 0.065 for each provisioned IOPS below.
_IO2_TIERS = ((32_000, 0.065), (64_000, 0.046), (None, 0.032))
_SNAPSHOT_GIB = 0.05
_S3_GIB = 0.023  # of the first 50 TB; public copies of the S3 pricing page

NAT_GATEWAY = 0.045 * HOURS
"""Several public tables for us-east-1; other regions differ (0.056 in Mumbai)."""
PUBLIC_ADDRESS = 0.005 * HOURS
"""AWS news blog, "New - AWS Public IPv4 Address Charge": all of them, in all regions, since 2024-02-01."""
NETWORK_LOAD_BALANCER = 0.0225 * HOURS
"""Also an Application Load Balancer's: the ELB pricing page's example for us-east-1, as read by others on 2026-09."""
GATEWAY_LOAD_BALANCER = 0.0125 * HOURS
"""Unconfirmed."""
CLASSIC_LOAD_BALANCER = 0.025 * HOURS
"""Public tables for us-east-1."""
INTERFACE_ENDPOINT = 0.01 * HOURS
"""In one zone. Unconfirmed."""
HOSTED_ZONE = 0.50
"""Each of the first 25; 0.10 for each further one, which is not told apart here."""


def instance(kind: str) -> float | None:
    """A month of a running on-demand Linux instance of type `m6i.large`; without its volumes."""
    if kind in _EXACT:
        return _EXACT[kind] * HOURS
    family, _, size = kind.partition(".")
    factor = _factor(size)
    if family not in _LARGE or factor is None:
        return None
    return _LARGE[family] * factor * HOURS


def _factor(size: str) -> float | None:
    """How many `large` an instance of this size is."""
    if size in _SIZES:
        return _SIZES[size]
    times = size.removesuffix("xlarge")
    return 2.0 * int(times) if times.isdecimal() and times != size else None


def volume(kind: str, gib: int, *, iops: int = 0, throughput: int = 0) -> float | None:
    """A month of an EBS volume. iops, throughput (MiB/s): as provisioned; gp3's free 3,000 and 125 are taken off."""
    if kind not in _GIB:
        return None
    cost = _GIB[kind] * gib
    if kind == "gp3":
        cost += 0.005 * max(0, iops - 3000) + 0.04 * max(0, throughput - 125)
    elif kind == "io1":
        cost += 0.065 * iops
    elif kind == "io2":
        cost += _io2(iops)
    return cost


def _io2(iops: int) -> float:
    cost, below = 0.0, 0
    for limit, price in _IO2_TIERS:
        top = iops if limit is None else min(iops, limit)
        cost += price * max(0, top - below)
        below = top
    return cost


def snapshot(stored: int | None) -> float | None:
    """A month of a snapshot of `stored` bytes; AWS does not always tell how many those are."""
    return None if stored is None else _SNAPSHOT_GIB * stored / 2**30


def objects(stored: int) -> float:
    """A month of `stored` bytes in S3's standard class."""
    return _S3_GIB * stored / 2**30
