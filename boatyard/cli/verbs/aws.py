"""`boatyard aws`: what concerns a whole AWS account."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from boatyard.cli.failure import shown
from boatyard.cli.group import group
from boatyard.cli.output import Cell, Out, ago
from boatyard.cli.verb import verb

if TYPE_CHECKING:
    from boatyard.aws.account import Account
    from boatyard.aws.inventory import Found
    from boatyard.aws.orphans import Orphan

SCAN_SECONDS = 1800.0
"""How long a scan of a whole account may take, all regions together."""
ORPHANS = 2
"""Exit code when there are some."""
EXAMPLE = 22
"""Letters of a name in the table; --json has the whole."""
PARTITIONS = ("aws", "aws-cn", "aws-us-gov")


@group("aws", "boatyard aws policy reader --state s3://example-kops", "boatyard aws orphans --region eu-central-1")
def command() -> None:
    """What concerns a whole AWS account: the permissions to give, and clusters that nobody knows."""


@verb(
    "boatyard aws policy installer --cluster shop.k8s.example.com",
    "boatyard aws policy reader --state s3://example-kops > reader.json",
    "boatyard aws policy nodes",
)
@click.argument("who", type=click.Choice(["installer", "nodes", "reader"]))
@click.option("--cluster", "clusters", multiple=True, metavar="NAME", help="Only for this cluster; may be repeated.")
@click.option("--state", metavar="s3://BUCKET", help="The state store, where the clusters' specs do not name it.")
@click.option("--discovery", metavar="s3://BUCKET", help="The public bucket for IAM roles of service accounts.")
@click.option("--partition", type=click.Choice(PARTITIONS), default="aws", show_default=True)
@click.option("--group", metavar="NAME", help="Make an IAM group with this policy, or bring it up to date.")
@click.option("--role", metavar="NAME", help="Make an IAM role with this policy, or bring it up to date.")
@click.option("--trust", metavar="ARN", help="Who may take on that role.")
def policy(
    out: Out,
    who: str,
    clusters: Sequence[str],
    state: str | None,
    discovery: str | None,
    partition: str,
    group: str | None,
    role: str | None,
    trust: str | None,
) -> None:
    """Print the IAM policy with the least that will do, as JSON.

    For the installer (whoever runs Boatyard and kOps), the nodes, or a reader.
    The state stores are those of the named clusters, --state, or KOPS_STATE_STORE.
    With --group or --role it is given to one, made when it is not there.
    """
    if (role is None) != (trust is None):
        raise click.UsageError("a role needs somebody who may take it on: give --role and --trust together.")
    if who == "nodes" and (group or role):
        raise click.UsageError("kOps itself makes the nodes' roles; --group and --role are for installer and reader.")
    document = _policy(who, clusters, state, discovery, partition)
    if not (group or role):
        click.echo(json.dumps(document, indent=2))
        return
    from boatyard.aws.permissions import make_group, make_role

    account = _Accounts(None, None, None).mine
    made = {}
    if group:
        made["policy"] = make_group(account, document, group)
        out.say(f"The group {group} has the policy {made['policy']}; add users to it.")
    if role and trust:
        made["role"] = make_role(account, document, trust, role)
        out.say(f"{trust} may take on {made['role']}: put it into provider.role.")
    out.emit(made)


def _policy(
    who: str, clusters: Sequence[str], state: str | None, discovery: str | None, partition: str
) -> dict[str, Any]:
    from boatyard.aws import policy as policies

    if who == "nodes":
        return policies.nodes()
    documents = []
    for cluster, store, public in _buckets(clusters, state, discovery):
        where: dict[str, Any] = {"state_store": store, "discovery_store": public, "partition": partition}
        documents.append(
            policies.installer(cluster=cluster, **where) if who == "installer" else policies.reader(**where)
        )
    return _merged(documents)


command.add("policy", policy)


def _buckets(
    clusters: Sequence[str], state: str | None, discovery: str | None
) -> Iterable[tuple[str, str, str | None]]:
    """Cluster or pattern, bucket of its state store, bucket of its discovery documents."""
    specs = _kops_specs()
    for cluster in clusters or ("*",):
        provider = specs.get(cluster, {})
        store = state or provider.get("state_store") or os.environ.get("KOPS_STATE_STORE")
        if not store:
            raise click.UsageError(
                f"the state store of {shown(cluster)} is not known; name it: --state s3://BUCKET, or KOPS_STATE_STORE."
            )
        public = discovery or provider.get("irsa")
        yield cluster, _bucket(store), _bucket(public) if public else None


def _bucket(store: str) -> str:
    return _checked(store).removeprefix("s3://").partition("/")[0]


def _checked(store: str) -> str:
    if not store.startswith("s3://") or len(store) < len("s3://abc"):
        raise click.UsageError(f"{shown(store)} is no state store; write s3://BUCKET or s3://BUCKET/FOLDER.")
    return store.rstrip("/")


def _merged(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One policy of several of the same make: each statement with all their resources."""
    statements: dict[str, dict[str, Any]] = {}
    for document in documents:
        for statement in document["Statement"]:
            first = statements.setdefault(statement["Sid"], dict(statement))
            first["Resource"] = list(dict.fromkeys([*first["Resource"], *statement["Resource"]]))
    return {"Version": documents[0]["Version"], "Statement": list(statements.values())}


def _kops_specs() -> dict[str, dict[str, Any]]:
    """Cluster → its `provider`, of those in Boatyard's store that kOps drives."""
    return {name: given for name, given in _providers().items() if given.get("kind") == "kops"}


def _providers() -> dict[str, dict[str, Any]]:
    from boatyard.settings import Settings
    from boatyard.store import reader

    with reader(Settings.load().store_url) as store:
        return {each.name: dict(each.desired.get("provider") or {}) for each in store.clusters.list()}


@verb(
    "boatyard aws orphans",
    "boatyard aws orphans --region eu-central-1 --region us-east-1",
    "boatyard aws orphans --state s3://example-kops --state s3://other-kops",
    "boatyard aws orphans --json",
)
@click.option(
    "--region", "regions", multiple=True, metavar="REGION", help="Only this region; all enabled ones if none."
)
@click.option("--state", "stores", multiple=True, metavar="s3://BUCKET", help="A state store whose clusters are known.")
@click.option("--known", multiple=True, metavar="NAME", help="A cluster that is known, wherever that is written.")
@click.option("--profile", metavar="NAME", help="Profile of ~/.aws/config.")
@click.option("--role", metavar="ARN", help="IAM role to take on.")
def orphans(
    out: Out,
    regions: Sequence[str],
    stores: Sequence[str],
    known: Sequence[str],
    profile: str | None,
    role: str | None,
) -> int:
    """List clusters in the AWS account that nobody knows, with what they cost.

    Known is what stands in Boatyard's store, in the state stores that its specs
    name, in KOPS_STATE_STORE, and in those given with --state. Reads only.
    Exit code 2 when there are orphans, 0 when there are none.
    """
    from boatyard.aws.inventory import account_resources, enabled_regions
    from boatyard.aws.orphans import unknown

    accounts = _Accounts(regions[0] if regions else None, profile, role)
    account = accounts.mine
    ours = frozenset(known) | frozenset(_providers()) | _in_state_stores(accounts, stores)
    where = sorted(regions) or enabled_regions(account)
    if not out.json:
        click.echo(f"Looking through account {account.id}: {', '.join(where)} …", err=True)
    resources = account_resources(account, regions=where)
    lost = unknown(resources, ours)
    now = datetime.now(UTC)
    out.emit(_document(account.id, where, resources, lost))
    if not out.json:
        for orphan in lost:
            _show(out, orphan, now)
        _sum_up(out, len(resources), lost)
    return ORPHANS if lost else 0


command.add("orphans", orphans)


class _Accounts:
    """The account that is scanned, and those that specs name, all with one deadline."""

    def __init__(self, region: str | None, profile: str | None, role: str | None) -> None:
        from boatyard.clock import Deadline, SystemClock

        environment = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        self.region = region or environment or "us-east-1"
        self.deadline = Deadline.after(SCAN_SECONDS, "The scan of the account", SystemClock())
        self.mine = self.of(profile, role)

    def of(self, profile: str | None, role: str | None) -> "Account":
        from boatyard.aws.account import Account
        from boatyard.settings import Settings

        home = Settings.load().home
        return Account(self.region, home=home, deadline=self.deadline, profile=profile, role=role)


def _in_state_stores(accounts: _Accounts, given: Sequence[str]) -> frozenset[str]:
    """Clusters in the stores that were given, in KOPS_STATE_STORE, and in those of the specs by the specs' credentials.

    A spec's store that does not exist yet holds nothing; one that was given has to be there.
    """
    from boatyard.aws.errors import AwsNotFound
    from boatyard.aws.orphans import clusters_in

    named = [*given, *filter(None, [os.environ.get("KOPS_STATE_STORE")])]
    names = {name for store in dict.fromkeys(map(_checked, named)) for name in clusters_in(accounts.mine, store)}
    specs = _kops_specs().values()
    wanted = {(each.get("profile"), each.get("role"), each["state_store"]) for each in specs if each.get("state_store")}
    for profile, role, store in sorted(wanted, key=str):
        try:
            names |= clusters_in(accounts.of(profile, role), store)
        except AwsNotFound:
            continue
    return frozenset(names)


def _document(
    account: str, regions: Sequence[str], resources: Mapping[str, "Sequence[Found]"], lost: "Sequence[Orphan]"
) -> dict[str, Any]:
    from boatyard.aws import prices

    return {
        "account": account,
        "regions": list(regions),
        "clusters": list(resources),
        "monthly_cost": round(sum(each.monthly_cost for each in lost), 2),
        "prices": f"{prices.SOURCE}; {prices.AS_OF}",
        "orphans": [_orphan(each) for each in lost],
    }


def _orphan(orphan: "Orphan") -> dict[str, Any]:
    return {
        "cluster": orphan.cluster,
        "owner": orphan.owner or None,
        "regions": list(orphan.regions),
        "count": len(orphan.resources),
        "oldest": orphan.oldest,
        "monthly_cost": round(orphan.monthly_cost, 2),
        "unpriced": orphan.unpriced,
        "advice": _advice(orphan),
        "resources": [
            {
                "kind": each.kind,
                "identity": each.identity,
                "name": each.name,
                "region": each.region,
                "state": each.state,
                "owner": each.owner or None,
                "created": each.created,
                "monthly_cost": None if each.monthly_cost is None else round(each.monthly_cost, 2),
            }
            for each in orphan.resources
        ],
    }


def _show(out: Out, orphan: "Orphan", now: datetime) -> None:
    owner = f" Its tags name {orphan.owner}." if orphan.owner else ""
    place = ", ".join(orphan.regions) or "no region"
    out.line(out.paint(orphan.cluster, "bold"))
    out.say(
        f"  {_many(len(orphan.resources), 'resource')} in {place}, {_money(orphan)}"
        + (f", the oldest {ago(orphan.oldest, now)} old." if orphan.oldest else ".")
        + owner,
        indent="  ",
    )
    kinds = {kind: [each for each in orphan.resources if each.kind == kind] for kind in _kinds(orphan)}
    rows = [_row(kind, found, now) for kind, found in kinds.items()]
    out.table(("KIND", "COUNT", "OLDEST", "USD/MONTH", "SUCH AS"), rows, indent=2)
    for line in _advice(orphan):
        out.say(f"  {line}", indent="  ")
    out.line()


def _kinds(orphan: "Orphan") -> list[str]:
    """The kinds of its resources, dear ones first."""
    dear: Counter[str] = Counter()
    for each in orphan.resources:
        dear[each.kind] += 1 if each.monthly_cost is None else round(100 * each.monthly_cost)
    return sorted(dear, key=lambda kind: (-dear[kind], kind))


def _row(kind: str, found: "Sequence[Found]", now: datetime) -> tuple[Cell, ...]:
    born = min((each.created for each in found if each.created), default=None)
    example = found[0].name or found[0].identity
    if len(example) > EXAMPLE:
        example = f"{example[: EXAMPLE - 1]}…"
    return (kind, f"{len(found):>5}", ago(born, now) if born else "-", _price(found), example)


def _advice(orphan: "Orphan") -> list[str]:
    """What to do, in the order to do it."""
    advice = ["If it is alive, its state store is not among those looked at: name it with --state s3://BUCKET."]
    for region in orphan.regions:
        advice.append(
            f"If nobody needs it: `kops delete cluster {orphan.cluster} --external --region {region}` lists what kOps "
            "finds by its tags; with --yes it deletes that."
        )
    advice.append("Then run this again: what is still listed has to be deleted by hand.")
    return advice


def _money(orphan: "Orphan") -> str:
    dear = f"about {orphan.monthly_cost:,.2f} USD a month"
    return f"{dear} and {orphan.unpriced} of unknown price" if orphan.unpriced else dear


def _price(found: "Sequence[Found]") -> str:
    known = sum(each.monthly_cost or 0.0 for each in found)
    if any(each.monthly_cost is None for each in found):
        return f"{f'{known:,.2f} + ?' if known else '?':>9}"
    return f"{f'{known:,.2f}' if known else '-':>9}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _sum_up(out: Out, clusters: int, lost: "Sequence[Orphan]") -> None:
    if not lost:
        out.say(f"No orphans: {_many(clusters, 'cluster')} found, all known.")
        return
    total = sum(each.monthly_cost for each in lost)
    out.say(
        f"{_many(len(lost), 'cluster')} of {clusters} found {'is' if len(lost) == 1 else 'are'} known to nobody: about "
        f"{total:,.2f} USD a month at list price."
    )
