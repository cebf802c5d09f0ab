"""Clusters that nobody knows: resources of clusters that stand neither in Boatyard's store nor in a state store.

What a known cluster has is never called an orphan, also when another cluster's tags claim it too. A state store that
cannot be read is an error, not an empty store: without it, living clusters would look like orphans.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from boatyard.aws.account import Account
from boatyard.aws.inventory import Found, account_resources
from boatyard.aws.ownership import is_cluster
from boatyard.aws.scan import GLOBAL, View


@dataclass(frozen=True)
class Orphan:
    """A cluster that nobody knows, and everything it still has; at least one resource."""

    cluster: str
    resources: tuple[Found, ...]

    @property
    def regions(self) -> tuple[str, ...]:
        """Where it has resources; IAM, Route 53 and S3 have no region."""
        return tuple(sorted({each.region for each in self.resources} - {GLOBAL}))

    @property
    def owner(self) -> str:
        """Whom most of its resources name; "" when none does."""
        named = [each.owner for each in self.resources if each.owner]
        return max(sorted(set(named)), key=named.count, default="")

    @property
    def oldest(self) -> datetime | None:
        """When the oldest was made, of those of which AWS tells it."""
        return min((each.created for each in self.resources if each.created), default=None)

    @property
    def monthly_cost(self) -> float:
        """US dollars of those whose price is known."""
        return sum(each.monthly_cost or 0.0 for each in self.resources)

    @property
    def unpriced(self) -> int:
        """How many cost something that is not known."""
        return sum(each.monthly_cost is None for each in self.resources)


def orphans(account: Account, known: Collection[str], *, regions: Collection[str] = ()) -> list[Orphan]:
    """Clusters not in `known`, the dearest first. regions: all enabled ones when left out. Reads only."""
    return unknown(account_resources(account, regions=regions), known)


def unknown(resources: Mapping[str, Iterable[Found]], known: Collection[str]) -> list[Orphan]:
    """The same from a scan; pure."""
    theirs = {(each.region, each.kind, each.identity) for name in known for each in resources.get(name, ())}
    found = []
    for cluster, all_of_it in resources.items():
        left = tuple(each for each in all_of_it if (each.region, each.kind, each.identity) not in theirs)
        if cluster not in known and left:
            found.append(Orphan(cluster, left))
    return sorted(found, key=lambda each: (-each.monthly_cost, each.cluster))


def clusters_in(account: Account, state_store: str) -> frozenset[str]:
    """Names of the clusters that kOps has in a state store: folders with a `config`.

    state_store: `s3://bucket[/prefix]`. `AwsNotFound` when there is no such bucket, `AwsDenied` when it is not ours
    to read.
    """
    bucket, _, above = state_store.removeprefix("s3://").partition("/")
    root = f"{above.strip('/')}/" if above.strip("/") else ""
    view = View(account, account.region)
    folders = view.pages("s3", "list_objects_v2", "CommonPrefixes[]", Bucket=bucket, Prefix=root, Delimiter="/")
    names = [str(each["Prefix"]).removeprefix(root).rstrip("/") for each in folders]
    return frozenset(name for name in names if is_cluster(name) and _registered(view, bucket, f"{root}{name}/config"))


def _registered(view: View, bucket: str, key: str) -> bool:
    answer = view.ask("s3", "list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1)
    return any(each["Key"] == key for each in answer.get("Contents") or ())
