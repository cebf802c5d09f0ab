"""API versions that the target, or a later minor, does not serve: which objects use them, whose, and who calls them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain

from boatyard.kube.apps import Sources
from boatyard.kube.discovery import Resource
from boatyard.kube.objects import Ref
from boatyard.kube.preflight.culprit import Culprit
from boatyard.kube.preflight.owners import Owners
from boatyard.kube.preflight.removals import Removal, Removals, removals
from boatyard.kube.preflight.seen import Seen
from boatyard.kube.preflight.uses import Opaque, Use, in_apps, in_objects, in_releases
from boatyard.spec.models import App
from boatyard.versions import Minor

_MIGRATION = "https://kubernetes.io/docs/reference/using-api/deprecation-guide/"


def apis(seen: Seen, owners: Owners, apps: Iterable[App] = (), sources: Sources | None = None) -> Iterator[Culprit]:
    """One culprit for each object and each API version it is used in, and one for each that the server saw called."""
    table = removals()
    if seen.target > table.known:
        yield _unknown(seen.target, table)
    uses = list(in_objects(seen, owners))
    for each in chain(in_apps(apps, sources, seen) if sources else (), in_releases(seen)):
        if isinstance(each, Use):
            uses.append(each)
        else:
            yield _opaque(each)
    uses += _stored(seen, owners, table)
    yield from _judged(uses, seen, table)
    yield from _called(seen, table, uses)


def _stored(seen: Seen, owners: Owners, table: Removals) -> Iterator[Use]:
    """Objects of kinds that the API server serves in no version that the target has, whoever wrote them."""
    versions: dict[tuple[str, str], list[Resource]] = defaultdict(list)
    for each in seen.served:
        versions[each.group, each.kind].append(each)
    for kind, documents in seen.kinds.items():
        known = versions.get(kind, [])
        if known and all(table.gone(each.api_version, each.kind, seen.target) for each in known):
            for document in documents:
                yield Use(
                    known[0].api_version, Ref.of(document), owners.of(document), "it is served in no other version"
                )


def _judged(uses: Iterable[Use], seen: Seen, table: Removals) -> Iterator[Culprit]:
    together: dict[tuple[Ref, str], list[Use]] = defaultdict(list)
    for use in uses:
        removal = table.find(use.api_version, use.object.kind)
        if removal is not None and removal.deprecated <= seen.target:
            together[use.object, use.api_version].append(use)
    served = {(each.api_version, each.kind) for each in seen.served}
    for (ref, api_version), same in together.items():
        removal = table.by_kind[api_version, ref.kind]
        hows = "; ".join(dict.fromkeys(use.how for use in same))
        owners = ", ".join(dict.fromkeys(use.owner for use in same if use.owner))
        removed = removal.removed <= seen.target
        now = (api_version, ref.kind) in served
        if removed and not now:
            when = "the API server does not serve even now"
        else:
            when = f"Kubernetes {removal.removed} {'no longer serves' if removed else 'is to remove'}"
        yield Culprit(
            "api-removed" if removed else "api-deprecated",
            ref,
            owners,
            f"It is used as {api_version}, which {when}: {hows}.",
            _instead(removal),
            blocks=removed and now,  # what fails already fails no more for an upgrade
        )


def _instead(removal: Removal) -> str:
    if not removal.instead:
        return f"It has no successor; see {_MIGRATION}"
    return f"Write it as {removal.instead} wherever it comes from, and apply it anew."


def _called(seen: Seen, table: Removals, uses: Iterable[Use]) -> Iterator[Culprit]:
    """What the server's own metric tells. Versions that its controllers themselves must call say nothing of others."""
    first: dict[tuple[str, str], Resource] = {}
    for each in seen.served:
        first.setdefault((each.group, each.plural), each)
    kinds = {(each.group, each.version, each.plural): each.kind for each in seen.served}
    for call in seen.requested:
        kind = kinds.get((call.group, call.version, call.resource), "")
        only = first.get((call.group, call.resource))
        if not call.removed or (only is not None and only.version == call.version):
            continue
        removed = Minor.parse(call.removed) <= seen.target
        found = table.find(call.api_version, kind)
        same = [use for use in uses if (use.api_version, use.object.kind) == (call.api_version, kind)]
        writers = sorted({who for use in same for who in use.writers})
        told = f"its writers: {', '.join(writers)}" if writers else "no object tells by whom"
        since = f"{datetime.fromtimestamp(call.since, UTC):%Y-%m-%d %H:%M} UTC" if call.since else "its start"
        yield Culprit(
            "api-removed" if removed else "api-deprecated",
            Ref("", "API", "", f"{call.api_version}/{call.resource}"),
            ", ".join(writers),
            f"It was called since the API server's start ({since}); Kubernetes {call.removed} "
            f"{'no longer serves' if removed else 'is to remove'} it; {told}.",
            f"Find the callers by the audit log's annotation k8s.io/deprecated, and move them to "
            f"{found.instead if found and found.instead else 'its successor'}; the server's next start forgets them.",
            blocks=removed,
        )


def _unknown(target: Minor, table: Removals) -> Culprit:
    return Culprit(
        "not-looked-at",
        Ref("", "Resource", "", "removed APIs"),
        "",
        f"What Kubernetes {target} removes is not known to this Boatyard, whose table of {table.as_of} ends with "
        f"{table.known}.",
        f"Take a newer Boatyard, or read {_MIGRATION}",
        blocks=False,
    )


def _opaque(what: Opaque) -> Culprit:
    return Culprit(
        "not-looked-at",
        what.object,
        what.owner,
        what.why,
        "Mend it, so that the API versions in it can be read.",
        blocks=False,
    )
