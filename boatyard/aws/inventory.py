"""What a cluster has in an AWS account, and what every cluster has: found by our own scan, never by kOps' listing.

A resource is a cluster's when, in this order: its tags say so; it has no such tag and a name that only this cluster
gives; it lies in a VPC that is the cluster's; everything it is attached to is the cluster's (a volume's instances, the
security groups of a load balancer); or only the cluster's resources use it (DHCP options, launch templates). Tags
`shared` and resources of AWS's own making that go with their VPC (main route table, default security group) count
for nothing. What another cluster's tags claim is never taken.

AWS's answers are eventually consistent: a scan right after a change may miss what is new and still show what is gone.
Nothing here repeats a scan; the caller decides how often to look before believing an empty answer.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from boatyard.aws import scan_services
from boatyard.aws.account import Account
from boatyard.aws.ownership import Claim, Names, claim, is_cluster, owner, told_by
from boatyard.aws.scan import Seen, View, regional, side_by_side, worldwide


@dataclass(frozen=True)
class Found:
    """A resource that belongs to a cluster.

    kind: kOps' own word where it has one (`vpc`, `nat-gateway`, `iam-role`, `route53-record` …). identity: what AWS's
    calls take. name: "" when it has none. owner: who the tags name, "" when nobody. region: "global" for IAM, Route 53
    and S3. monthly_cost: US dollars at list price, 0 for what is free, None when not known. state: AWS's word for it,
    never one for gone.
    """

    kind: str
    identity: str
    name: str
    cluster: str
    owner: str
    region: str
    tags: Mapping[str, str] = field(hash=False)
    monthly_cost: float | None
    state: str
    created: datetime | None


def cluster_resources(
    account: Account,
    cluster: str,
    *,
    state_store: str | None,
    dns_zone: str | None,
    discovery_store: str | None = None,
) -> list[Found]:
    """Everything of one cluster in the account's region, in IAM, in Route 53 and in these buckets; [] when nothing.

    state_store, discovery_store: `s3://bucket[/prefix]`; a bucket that is not there holds nothing. dns_zone: name or id
    of a hosted zone to look at besides those at or above the cluster's name. Reads only. One look, see the module:
    just after a deletion, look again before believing either answer. Raises `AwsDenied` when something may not be
    listed, for what cannot be seen cannot be called gone.
    """
    view = View(account, account.region, frozenset({cluster}))
    jobs = [*regional(view), *worldwide(view, zone=dns_zone)]
    if state_store:
        jobs.append(lambda: list(scan_services.objects(view, "state-store", state_store, cluster)))
    if discovery_store:
        jobs.append(lambda: list(scan_services.objects(view, "oidc-discovery", discovery_store, cluster)))
    found = _attributed(side_by_side(jobs), {cluster})
    return sorted(found.get(cluster, ()), key=_order)


def account_resources(account: Account, *, regions: Collection[str] = ()) -> Mapping[str, list[Found]]:
    """Cluster → everything it has in the account: in these regions (all enabled ones when left out), IAM and Route 53.

    The clusters are those that tags, or names that only kOps gives, tell of; each named as kOps requires, with a dot,
    so that EKS clusters are none. What is in state stores is not looked at here. Reads only, one look as above.
    """
    jobs = worldwide(View(account, account.region))  # first: few requests a second for all regions together
    for region in sorted(regions) or enabled_regions(account):
        jobs += regional(View(account, region))
    found = _attributed(side_by_side(jobs), ())
    return {cluster: sorted(found[cluster], key=_order) for cluster in sorted(found) if is_cluster(cluster)}


def enabled_regions(account: Account) -> list[str]:
    """Regions that are switched on for the account."""
    regions = View(account, account.region).pages("ec2", "describe_regions", "Regions[]")
    return sorted(each["RegionName"] for each in regions if each.get("OptInStatus") != "not-opted-in")


def _order(found: Found) -> tuple[str, str, str, str]:
    return found.region, found.kind, found.name, found.identity


def _attributed(seen: Sequence[Seen], asked: Collection[str]) -> dict[str, list[Found]]:
    """Cluster → its resources."""
    by_cluster: dict[str, list[Found]] = defaultdict(list)
    for each, clusters in zip(seen, owners(seen, asked), strict=True):
        for cluster in clusters:
            by_cluster[cluster].append(_found(each, cluster))
    return by_cluster


def _found(seen: Seen, cluster: str) -> Found:
    return Found(
        seen.kind,
        seen.identity,
        seen.name,
        cluster,
        owner(seen.tags),
        seen.region,
        dict(seen.tags),
        seen.monthly_cost,
        seen.state,
        seen.created,
    )


def owners(seen: Sequence[Seen], asked: Collection[str]) -> list[frozenset[str]]:
    """Whose each is, in the same order; pure. asked: clusters to know of besides those that tags and names tell."""
    claims = [claim(each.tags) for each in seen]
    names = Names(_clusters(seen, claims, asked))
    result = [_direct(each, claims[at], names) for at, each in enumerate(seen)]
    users = _users(seen)
    known = {each.identity: result[at] for at, each in enumerate(seen)}
    changed = True
    while changed:
        changed = False
        for at, each in enumerate(seen):
            if result[at]:
                continue
            inherited = _inherited(each, known, users.get(each.identity, ())) - claims[at].shared
            if inherited:
                result[at] = known[each.identity] = inherited
                changed = True
    return result


def _clusters(seen: Iterable[Seen], claims: Iterable[Claim], asked: Collection[str]) -> frozenset[str]:
    """Every cluster that anything tells of."""
    clusters = set(asked)
    for each, said in zip(seen, claims, strict=True):
        clusters |= said.owners | said.shared | each.told
        told = told_by(each.kind, each.name)
        if told is not None:
            clusters.add(told)
    return frozenset(clusters)


def _direct(seen: Seen, said: Claim, names: Names) -> frozenset[str]:
    return said.owners or (seen.told or names.of(seen.kind, seen.name)) - said.shared


def _users(seen: Iterable[Seen]) -> dict[str, list[str]]:
    users: dict[str, list[str]] = defaultdict(list)
    for each in seen:
        for used in each.uses:
            users[used].append(each.identity)
    return users


def _inherited(seen: Seen, known: Mapping[str, frozenset[str]], users: Sequence[str]) -> frozenset[str]:
    """Owners by the VPC, by what it is attached to, by who uses it: the first of these that gives any."""
    for others in ((seen.vpc,) if seen.vpc else (), seen.within, users):
        common = _common(known.get(other, frozenset()) for other in others)
        if common:
            return common
    return frozenset()


def _common(sets: Iterator[frozenset[str]]) -> frozenset[str]:
    first = next(sets, frozenset())
    return first.intersection(*sets)
