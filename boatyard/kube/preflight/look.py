"""All checks on one pass over a cluster."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from boatyard.kube.apps import Sources
from boatyard.kube.client import Client
from boatyard.kube.objects import Ref
from boatyard.kube.preflight.addons import addons, api_servers
from boatyard.kube.preflight.apis import apis
from boatyard.kube.preflight.budgets import budgets
from boatyard.kube.preflight.certificates import certificates
from boatyard.kube.preflight.culprit import Culprit
from boatyard.kube.preflight.nodes import nodes, requests
from boatyard.kube.preflight.owners import Owners
from boatyard.kube.preflight.pods import pods
from boatyard.kube.preflight.room import room
from boatyard.kube.preflight.seen import Seen, Unread, see
from boatyard.kube.preflight.stuck import stuck
from boatyard.kube.preflight.webhooks import api_services, conversions, webhooks
from boatyard.spec.models import App

Check = Callable[[Seen, Owners], Iterable[Culprit]]

CHECKS: tuple[Check, ...] = (
    budgets,
    pods,
    webhooks,
    conversions,
    api_services,
    api_servers,
    nodes,
    requests,
    addons,
    stuck,
)
"""Each names culprits of one subject from what was seen. Pure."""


@dataclass(frozen=True)
class Beside:
    """What beside the cluster's objects is looked at. surge: a node can be added before one is drained."""

    kubeconfig: Mapping[str, Any] = field(default_factory=dict)
    apps: tuple[App, ...] = ()
    sources: Sources | None = None
    surge: bool = True


def look(client: Client, to: str, now: datetime, beside: Beside) -> list[Culprit]:
    """Everything about the cluster itself that would break or block its upgrade to `to`. Reads only.

    Raises what is `Temporary`; what may not be read becomes a culprit.
    """
    seen = see(client, to, now)
    return judge(seen, beside) + list(certificates(client.server, beside.kubeconfig, now))


def judge(seen: Seen, beside: Beside) -> list[Culprit]:
    """Every check on what was seen; starts programs only where an app's source needs one to be rendered."""
    owners = Owners(document for found in seen.kinds.values() for document in found)
    found = [culprit for check in CHECKS for culprit in check(seen, owners)]
    found += apis(seen, owners, beside.apps, beside.sources)
    if not beside.surge:
        found += room(seen, owners)
    return found + list(_not_looked_at(seen.unread))


def _not_looked_at(unread: Iterable[Unread]) -> Iterator[Culprit]:
    """What a check needs blocks when it could not be read; of the rest only the API versions in use stay unknown."""
    for each in unread:
        why = f"It could not be read: {str(each.error).rstrip('.')}."
        fix = "Give the kubeconfig's user the right to read it."
        yield Culprit("not-looked-at", Ref("", "Resource", "", each.what), "", why, fix, blocks=each.needed)
