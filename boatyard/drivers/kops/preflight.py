"""What would stop a cluster from being made or changed: the program, the version, the account."""

from collections import Counter
from collections.abc import Callable, Mapping

from boatyard.aws.checks import Check, Needs, Subnet
from boatyard.drivers.base import Finding
from boatyard.drivers.kops import render
from boatyard.drivers.kops.judging import judge
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.subnets import zones_of
from boatyard.drivers.kops.versioning import channel_of, full_version
from boatyard.errors import BoatyardError, InvalidSpec, Temporary
from boatyard.spec.models import Network

_CHANNEL = "Let this machine reach it, or name a copy of it in `provider.channel`, as file:///PATH."
_KOPS_PODS, _KOPS_SERVICES = "100.96.0.0/11", "100.64.0.0/13"


def preflight(reach: Reach) -> list[Finding]:
    """Everything at once; [] when all is well."""
    return [*_program(reach), *_account(reach, _running(reach))]


def _program(reach: Reach) -> list[Finding]:
    try:
        reach.env.tool("kops")
    except BoatyardError as error:
        return [Finding("kops", error.message, error.hint or "Run `boatyard doctor --fix`.")]
    try:
        channel_of(reach)
    except BoatyardError as error:
        return [Finding("provider.channel", error.message, error.hint or _CHANNEL)]
    try:
        version = full_version(reach, reach.cluster.kubernetes.version)
    except InvalidSpec as error:
        return [Finding("kubernetes.version", error.message, error.hint or "Name a version that the channel offers.")]
    except BoatyardError as error:
        return [Finding("kops", error.message, error.hint or "See that `kops version` works.")]
    try:
        judge(reach, version)
    except InvalidSpec as error:
        return [Finding("kOps' own fields", error.message, error.hint or "Name fields that kOps has.")]
    return []


def _account(reach: Reach, here: Mapping[str, int]) -> list[Finding]:
    from boatyard.aws.prerequisites import examine

    try:
        checks = examine(reach.account, needs(reach, here))
    except Temporary:
        raise  # a throttle is no finding: who asks, asks again
    except BoatyardError as error:
        return [Finding("AWS", error.message, error.hint or "try again")]
    return [_finding(reach, check) for check in checks if check.problem]


def _finding(reach: Reach, check: Check) -> Finding:
    return Finding(check.subject, check.problem, check.fix, check.blocks, _fenced(reach, check.repair))


def _fenced(reach: Reach, repair: Callable[[], None] | None) -> Callable[[], None] | None:
    if repair is None:
        return None

    def mend() -> None:
        reach.env.fence()
        repair()

    return mend


def needs(reach: Reach, here: Mapping[str, int]) -> Needs:
    """What the spec needs of the account and does not have yet. `here`: instance type → how many it has."""
    cluster, provider = reach.cluster, reach.provider
    control = {cluster.control_plane.size or render.DEFAULT_SIZE: cluster.control_plane.count}
    instances, spot = Counter(control), Counter[str]()
    for pool in cluster.pools:
        (spot if pool.spot else instances)[pool.size or render.DEFAULT_SIZE] += pool.min
    if provider.bastion is not None:
        instances[provider.bastion.size] += 1
    standard = cluster.network == Network()
    own_addresses = provider.networking == "amazonvpc"
    load_balancers = int(provider.topology == "private" or provider.dns == "none") + int(provider.bastion is not None)
    bucket = provider.state_store.removeprefix("s3://").partition("/")[0]
    irsa = provider.irsa.removeprefix("s3://").partition("/")[0] if provider.irsa is not None else None
    return Needs(
        cluster=cluster.name,
        state_store=bucket,
        region=provider.region,
        zones=tuple(zones_of(provider)),
        vpc=provider.vpc,
        network_cidr=provider.network_range or "",
        subnets=tuple(Subnet(each.id, each.zone, each.type) for each in provider.subnets),
        dns=provider.dns,
        dns_zone=provider.dns_zone,
        instances=_still(instances, here),
        spot=_still(spot, here),
        nat=provider.topology == "private",
        load_balancers=0 if here else load_balancers,
        discovery_store=irsa,
        pods_cidr=None if own_addresses else _KOPS_PODS if standard else cluster.network.pods,
        services_cidr=_KOPS_SERVICES if standard else cluster.network.services,
    )


def _running(reach: Reach) -> Counter[str]:
    """Instance type → how many the cluster has already; none where nobody can tell yet."""
    try:
        fleet = reach.fleet.read()
    except BoatyardError:
        return Counter()
    return Counter(machine.type for group in fleet.values() for machine in group.machines)


def _still(wanted: Mapping[str, int], here: Mapping[str, int]) -> dict[str, int]:
    return {size: count - here.get(size, 0) for size, count in wanted.items() if count > here.get(size, 0)}
