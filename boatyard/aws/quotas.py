"""AWS's limits on an account, against what a cluster still needs."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from boatyard.aws.account import Account
from boatyard.aws.checks import Check, Needs, fine, missing, warning, wrong
from boatyard.aws.errors import AwsDenied, AwsNotFound, AwsRefused, told
from boatyard.aws.network import own_vpc


@dataclass(frozen=True)
class Quota:
    """One limit. default: what an account gets unless it has asked for more; only used, with a warning, where the
    account's own limit may not be read. These defaults could not be checked again against AWS's pages."""

    service: str
    code: str
    title: str
    default: int


STANDARD = Quota("ec2", "L-1216C47A", "vCPUs of on-demand A, C, D, H, I, M, R, T, Z instances", 5)
FAMILIES: Mapping[str, Quota] = {
    "f": Quota("ec2", "L-74FC7D96", "vCPUs of on-demand F instances", 0),
    "g": Quota("ec2", "L-DB2E81BA", "vCPUs of on-demand G and VT instances", 0),
    "vt": Quota("ec2", "L-DB2E81BA", "vCPUs of on-demand G and VT instances", 0),
    "p": Quota("ec2", "L-417A185B", "vCPUs of on-demand P instances", 0),
    "x": Quota("ec2", "L-7295265B", "vCPUs of on-demand X instances", 0),
    "inf": Quota("ec2", "L-1945791B", "vCPUs of on-demand Inf instances", 0),
    "trn": Quota("ec2", "L-2C3B7624", "vCPUs of on-demand Trn instances", 0),
}
"""Instance families that do not count as standard ones: letters before the generation → their quota."""
SPOT = Quota("ec2", "L-34B43A08", "vCPUs of spot A, C, D, H, I, M, R, T, Z instances", 5)
ADDRESSES = Quota("ec2", "L-0263D0A3", "Elastic IP addresses", 5)
VPCS = Quota("vpc", "L-F678F1CE", "VPCs", 5)
GATEWAYS = Quota("vpc", "L-A4707A72", "internet gateways", 5)
BALANCERS = Quota("elasticloadbalancing", "L-69A177A2", "network load balancers", 50)


def examine(account: Account, needs: Needs) -> list[Check]:
    """One check for each quota that the cluster needs something of."""
    try:
        wanted = _instances(account, needs)
    except AwsRefused as error:
        if error.code != "InvalidInstanceType":
            raise
        return [missing("instance types", error.message, "Name instance types that AWS has.")]
    if needs.vpc is None and own_vpc(account, needs.cluster) is None:
        wanted.append((VPCS, 1, lambda: _count(account, "ec2", "describe_vpcs", "Vpcs")))
        wanted.append((GATEWAYS, 1, lambda: _count(account, "ec2", "describe_internet_gateways", "InternetGateways")))
        if needs.nat:
            wanted.append(
                (ADDRESSES, len(needs.zones), lambda: _count(account, "ec2", "describe_addresses", "Addresses"))
            )
    if needs.load_balancers:
        wanted.append((BALANCERS, needs.load_balancers, lambda: _balancers(account)))
    return [_check(account, quota, need, used) for quota, need, used in wanted]


Wanted = tuple[Quota, int, Callable[[], int]]
"""A quota, how much of it is needed, and a look at how much is in use."""


def _check(account: Account, quota: Quota, need: int, used: Callable[[], int]) -> Check:
    subject = f"quota of {quota.title}"
    limit, sure = _limit(account, quota)
    if limit is None:
        return fine(subject)
    taken = used()
    if taken + need <= limit:
        return fine(subject)
    fix = (
        f"Ask for more: `aws service-quotas request-service-quota-increase --service-code {quota.service} "
        f"--quota-code {quota.code} --desired-value {taken + need}`."
    )
    problem = f"{need} more {quota.title} are needed, {taken} of {limit} are in use in {account.region}."
    if sure:
        return wrong(subject, problem, fix)
    return warning(subject, f"{problem} The limit is AWS's default; this account's own could not be read.", fix)


def _limit(account: Account, quota: Quota) -> tuple[int | None, bool]:
    """(the limit, whether it is this account's own). None where AWS has no such quota."""
    try:
        with told(f"reading the quota of {quota.title}"):
            held = account.client("service-quotas").get_service_quota(ServiceCode=quota.service, QuotaCode=quota.code)[
                "Quota"
            ]
    except AwsDenied:
        return quota.default, False
    except AwsNotFound:
        return None, False
    return int(held["Value"]), True


def _instances(account: Account, needs: Needs) -> list[Wanted]:
    """vCPUs by quota, on demand and spot."""
    sizes = _vcpus(account, {*needs.instances, *needs.spot})
    demand: dict[Quota, int] = {}
    for kind, count in needs.instances.items():
        quota = _family(kind)
        demand[quota] = demand.get(quota, 0) + sizes[kind] * count
    spot = sum(sizes[kind] * count for kind, count in needs.spot.items() if _family(kind) == STANDARD)
    wanted: list[Wanted] = [
        (quota, need, _running(account, quota, spot=False)) for quota, need in demand.items() if need
    ]
    return wanted + ([(SPOT, spot, _running(account, STANDARD, spot=True))] if spot else [])


def _vcpus(account: Account, kinds: Iterable[str]) -> dict[str, int]:
    names = sorted(kinds)
    if not names:
        return {}
    found = account.pages("ec2", "describe_instance_types", "InstanceTypes", InstanceTypes=names)
    return {kind["InstanceType"]: int(kind["VCpuInfo"]["DefaultVCpus"]) for kind in found}


def _family(kind: str) -> Quota:
    """`g5.xlarge` counts for G, `m6i.large` for the standard quota."""
    family = kind.split(".")[0]
    letters = family[: next((i for i, letter in enumerate(family) if letter.isdigit()), len(family))]
    return FAMILIES.get(letters, STANDARD)


def _running(account: Account, quota: Quota, *, spot: bool) -> Callable[[], int]:
    """vCPUs in use that count for a quota."""

    def used() -> int:
        alive = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        found = account.pages("ec2", "describe_instances", "Reservations[].Instances[]", Filters=alive)
        counted = [i for i in found if _family(i["InstanceType"]) == quota and (_is_spot(i) is spot)]
        sizes = _vcpus(account, {instance["InstanceType"] for instance in counted})
        return sum(sizes[instance["InstanceType"]] for instance in counted)

    return used


def _is_spot(instance: Mapping[str, Any]) -> bool:
    return instance.get("InstanceLifecycle") == "spot"


def _count(account: Account, service: str, operation: str, key: str) -> int:
    return sum(1 for _ in account.pages(service, operation, key))


def _balancers(account: Account) -> int:
    found = account.pages("elbv2", "describe_load_balancers", "LoadBalancers")
    return sum(1 for balancer in found if balancer.get("Type") == "network")
