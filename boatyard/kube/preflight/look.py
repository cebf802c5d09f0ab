"""All checks on one pass over a cluster."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from boatyard.errors import BoatyardError
from boatyard.kube.client import Client
from boatyard.kube.objects import Ref
from boatyard.kube.preflight.budgets import budgets
from boatyard.kube.preflight.culprit import Culprit
from boatyard.kube.preflight.owners import Owners
from boatyard.kube.preflight.pods import pods
from boatyard.kube.preflight.seen import WHOLE, Seen, see

Check = Callable[[Seen, Owners], Iterable[Culprit]]

CHECKS: tuple[Check, ...] = (budgets, pods)
"""Each names culprits of one subject from what was seen. Pure."""


def look(client: Client, to: str, now: datetime) -> list[Culprit]:
    """Everything about the cluster's own objects that would break or block its upgrade to `to`. Reads only."""
    seen = see(client, to, now)
    return judge(seen)


def judge(seen: Seen) -> list[Culprit]:
    """Every check on what was seen. Pure."""
    owners = Owners(document for found in seen.kinds.values() for document in found)
    found = [culprit for check in CHECKS for culprit in check(seen, owners)]
    return found + list(_not_looked_at(seen.unread))


def _not_looked_at(unread: Mapping[str, BoatyardError]) -> Iterator[Culprit]:
    """What a check needs blocks when it could not be read; of the rest only the API versions in use stay unknown."""
    needed = {kind.lower() for _, kind in WHOLE}
    for what, error in sorted(unread.items()):
        singular = what.partition(".")[0].removesuffix("s")
        yield Culprit(
            "not-looked-at",
            Ref("", "Resource", "", what),
            "",
            f"It could not be read: {str(error).rstrip('.')}.",
            "Give the kubeconfig's user the right to list it.",
            blocks=singular in needed,
        )
