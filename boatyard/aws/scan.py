"""Looks at everything in an account that a Kubernetes cluster can leave behind: what is there, not whose it is.

The listing is our own, service by service, and never kOps'; so it finds what kOps forgets. Nothing is filtered by tags
on AWS's side, because what lost its tags has to be found too. Services are asked side by side; each request passes the
account's budget.

AWS's answers are eventually consistent: what was made a moment ago may be missing, and what was deleted may be listed
for some minutes more. One scan is one look; whoever needs a proof looks again.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from boatyard.aws.account import Account
from boatyard.aws.errors import AwsNotFound, told

GLOBAL = "global"
"""Region of what belongs to none: IAM, Route 53."""
WORKERS = 24
"""Requests under way at once: a scan mostly waits for answers from far regions, and each region has its own limit."""


@dataclass(frozen=True)
class Seen:
    """One resource. `identity` is what AWS's calls take (id, ARN, name, URL), unique within its kind and region.

    vpc: the one it lies in. within: identities of resources that all have one owner when this belongs to that owner
    (a volume's instances). uses: identities of resources that are this one's own when nobody else uses them.
    monthly_cost: US dollars; None when not known.
    """

    kind: str
    identity: str
    name: str = ""
    region: str = GLOBAL
    tags: Mapping[str, str] = field(default_factory=dict)
    vpc: str | None = None
    within: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    state: str = ""
    created: datetime | None = None
    monthly_cost: float | None = 0.0
    told: frozenset[str] = frozenset()
    """Clusters that the resource itself names, beyond its tags and name (a DNS record, an object's folder)."""


@dataclass(frozen=True)
class View:
    """An account seen from one region. `clusters`: only what may be these clusters' is of interest; None is all."""

    account: Account
    region: str
    clusters: frozenset[str] | None = None

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[Any]:
        """Every element of a list, page by page. key: JMESPath to the list."""
        return self.account.pages(service, operation, key, self.region, **parameters)

    def ask(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """One answer; `AwsNotFound` when what is asked about is gone."""
        client = self.account.client(service, region=self.region)
        with told(f"asking {service} for {operation.replace('_', ' ')} in {self.region}"):
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
            return answer

    def may_be(self, name: str, *, cut_at: int) -> bool:
        """Whether a name that ends with the cluster's may be of interest; those that were cut may all be."""
        if self.clusters is None:
            return "." in name
        return len(name) >= cut_at or any(cluster in name for cluster in self.clusters)


Look = Callable[[View], Iterator[Seen]]


def regional(view: View) -> list[Callable[[], list[Seen]]]:
    """Everything that lies in one region, as jobs."""
    from boatyard.aws import scan_ec2, scan_services

    looks: tuple[Look, ...] = (*scan_ec2.LOOKS, *scan_services.REGIONAL)
    return [_job(look, view) for look in looks]


def worldwide(view: View, *, zone: str | None = None) -> list[Callable[[], list[Seen]]]:
    """Everything that belongs to no region, as jobs. zone: name or id of one more hosted zone to look at."""
    from boatyard.aws import scan_dns, scan_services

    jobs = [_job(look, view) for look in scan_services.WORLDWIDE]
    return [*jobs, lambda: list(scan_dns.hosted_zones(view, also=zone))]


def _job(look: Look, view: View) -> Callable[[], list[Seen]]:
    return lambda: list(look(view))


def side_by_side(jobs: Sequence[Callable[[], list[Seen]]]) -> list[Seen]:
    """What all jobs found, in the order of the jobs. The first error ends the scan: half a scan proves nothing."""
    with ThreadPoolExecutor(min(WORKERS, len(jobs) or 1), thread_name_prefix="aws-scan") as pool:
        futures = [pool.submit(job) for job in jobs]
        done, waiting = wait(futures, return_when=FIRST_EXCEPTION)
        for future in waiting:
            future.cancel()
        failed = [error for future in futures if future in done and (error := future.exception()) is not None]
        if failed:
            raise failed[0]
        return [seen for future in futures for seen in future.result()]


def tags_of(pairs: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """`[{Key, Value}…]` as a mapping."""
    return {pair["Key"]: pair.get("Value", "") for pair in pairs or ()}


def if_there(ask: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """An answer about something that was listed; None when it went in between."""
    try:
        return ask()
    except AwsNotFound:
        return None


def in_batches(
    ids: Sequence[str], size: int, ask: Callable[[Sequence[str]], Mapping[str, dict[str, str]]]
) -> dict[str, dict[str, str]]:
    """Tags of many, asked for in batches; what went in between is left out."""
    found: dict[str, dict[str, str]] = {}
    for at in range(0, len(ids), size):
        batch = ids[at : at + size]
        try:
            found.update(ask(batch))
        except AwsNotFound:
            if len(batch) > 1:
                found.update(in_batches(batch, 1, ask))
    return found


def moment(value: Any) -> datetime | None:
    """AWS's times: as boto3 parses them, as ISO 8601 text, as seconds since 1970."""
    if isinstance(value, str) and value.replace(".", "", 1).isdecimal():
        return datetime.fromtimestamp(float(value), UTC)
    if isinstance(value, str) and value:
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def ends_with(name: str, clusters: Collection[str]) -> Iterator[str]:
    """Those clusters whose DNS names lie at or above `name`."""
    return (cluster for cluster in clusters if name == cluster or name.endswith("." + cluster))
