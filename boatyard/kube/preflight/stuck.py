"""What is being deleted and does not go: an upgrade waits for such pods, and trips over the rest later."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from boatyard.kube.objects import Ref
from boatyard.kube.preflight.culprit import Culprit
from boatyard.kube.preflight.owners import Owners
from boatyard.kube.preflight.seen import PODS, Json, Seen
from boatyard.spec.types import format_duration

PATIENCE = timedelta(minutes=15)
"""Deletions that take longer than this, after their grace period, do not end by themselves."""
_NAMESPACE = ("", "Namespace")


def stuck(seen: Seen, owners: Owners) -> Iterator[Culprit]:
    """Every object, namespaces and pods among them, whose deletion was asked for and did not come about."""
    for kind, documents in seen.kinds.items():
        for document in documents:
            marked = document["metadata"].get("deletionTimestamp")
            since = seen.now - datetime.fromisoformat(marked) if marked else timedelta(0)
            if since < PATIENCE:
                continue
            held = ", ".join(document["metadata"].get("finalizers") or ())
            told = f"It has been going for {format_duration(_minutes(since))}"
            if kind == PODS:
                yield _pod(document, owners, told, held)
            elif kind == _NAMESPACE:
                yield _namespace(document, owners, told)
            else:
                yield Culprit(
                    "finalizer-stuck",
                    Ref.of(document),
                    owners.of(document),
                    f"{told}, held by {held or 'nothing that it names'}.",
                    "Get the controller running that takes the finalizer off; take it off if that is gone for good.",
                    blocks=False,
                )


def _minutes(span: timedelta) -> timedelta:
    return timedelta(minutes=span // timedelta(minutes=1))


def _pod(document: Json, owners: Owners, told: str, held: str) -> Culprit:
    node = (document.get("spec") or {}).get("nodeName") or "no node"
    why = f"{told} on {node}{f', held by {held}' if held else ''}; a drain of its node would wait for it."
    fix = "See whether its node's kubelet works; take the finalizer off, or delete the pod with --force."
    return Culprit("pod-stuck", Ref.of(document), owners.of(document), why, fix)


def _namespace(document: Json, owners: Owners, told: str) -> Culprit:
    conditions = (document.get("status") or {}).get("conditions") or ()
    said = [str(each.get("message")).rstrip(".") for each in conditions if each.get("status") == "True"]
    why = f"{told}: {'; '.join(said) or 'it does not say why'}."
    fix = "Mend what it waits for: objects with finalizers, or an APIService that does not answer."
    return Culprit("finalizer-stuck", Ref.of(document), owners.of(document), why, fix, blocks=False)
