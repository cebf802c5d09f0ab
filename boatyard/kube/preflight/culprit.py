"""What would break or block an upgrade, as a value: which object, whose it is, why, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from boatyard.errors import Unsafe
from boatyard.kube.objects import Ref

_NAMED = 3
"""Culprits that an error names before it only counts the rest."""


@dataclass(frozen=True, order=True)
class Culprit:
    """One finding.

    check: a stable id of `CHECKS`, for waivers and programs. object: what is to be mended; what is no object of the
    API has a kind of our own (`API`, `App`, `Certificate`, `HelmRelease`). owner: who can mend it, "" when nobody can
    be told. waived: the reason of the waiver in force, "" without one.
    """

    check: str
    object: Ref
    owner: str
    why: str
    fix: str
    blocks: bool = True
    waived: str = ""

    @property
    def stops(self) -> bool:
        """Must an upgrade not start because of it?"""
        return self.blocks and not self.waived

    @property
    def verdict(self) -> str:
        """`waived`, `blocks` or `warns`."""
        return "waived" if self.waived else "blocks" if self.blocks else "warns"

    def document(self) -> dict[str, Any]:
        """For programs."""
        thing = {"kind": self.object.kind, "namespace": self.object.namespace, "name": self.object.name}
        told = {"owner": self.owner, "why": self.why, "fix": self.fix, "verdict": self.verdict}
        return {"check": self.check, "object": thing, **told, "waived": self.waived or None}


CHECKS = {
    "pdb-blocks": "a PodDisruptionBudget that never lets a pod go",
    "pdb-blocks-now": "a PodDisruptionBudget that lets no pod go as things are",
    "pdb-overlaps": "a pod that two PodDisruptionBudgets cover: the server refuses to evict it",
    "pdb-empty": "a PodDisruptionBudget that covers no pod",
    "pod-unmanaged": "a pod that no controller would replace",
    "pod-unschedulable": "a pod that finds no node even now",
    "pod-stuck": "a pod that is being deleted and does not go",
    "local-storage": "the only replica keeps data on its node",
    "local-volume": "a pod's volume exists on one node alone",
    "single-stateful": "the only replica of something that keeps data",
    "api-removed": "an API version that the target does not serve is in use",
    "api-deprecated": "an API version that a later release removes is in use",
    "webhook-down": "a webhook that refuses what it cannot judge, and has no endpoint",
    "webhook-broad": "a webhook that can keep system pods, pods or nodes from being made",
    "webhook-certificate": "a webhook's CA bundle ends soon, or has ended",
    "conversion-down": "a CustomResourceDefinition whose versions nobody converts",
    "apiservice-down": "an API of an extension server that does not answer",
    "node-unhealthy": "a node that is not Ready, or short of something",
    "node-cordoned": "a node that has been cordoned for long",
    "node-skew": "a kubelet that the target's API server would not support",
    "api-server-skew": "API servers that would be too far apart",
    "addon-skew": "an add-on too old or too new for the target",
    "certificate-expires": "a certificate of the API server or its user ends soon, or has ended",
    "csr-pending": "a node waits for its certificate",
    "no-room": "the pods of a node would find no room on the others",
    "finalizer-stuck": "an object or namespace that is being deleted and does not go",
    "backup-old": "no recent backup to go back to",
    "provider": "the provider's own preflight",
    "not-looked-at": "something could not be read, so nothing is known of it",
    "waiver-expired": "a waiver whose day has passed",
    "waiver-unused": "a waiver that matches nothing",
}
"""Every check by its id: what it looks for."""


def in_order(culprits: Iterable[Culprit]) -> tuple[Culprit, ...]:
    """What stops an upgrade first, then what warns, then what is waived; inside of each by check and object."""
    rank = {"blocks": 0, "warns": 1, "waived": 2}
    return tuple(sorted(culprits, key=lambda each: (rank[each.verdict], each)))


def require_none(cluster: str, to: str, culprits: Iterable[Culprit]) -> None:
    """Raise `Unsafe`, one sentence that names the first few that stop the upgrade; warnings and waived ones pass."""
    stopping = [each for each in in_order(culprits) if each.stops]
    if not stopping:
        return
    named = "; ".join(f"{each.object} ({each.check}): {each.why.rstrip('.')}" for each in stopping[:_NAMED])
    rest = f"; and {len(stopping) - _NAMED} more" if len(stopping) > _NAMED else ""
    raise Unsafe(
        f"{cluster} must not be upgraded to {to}: {named}{rest}.",
        hint=f"`boatyard preflight {cluster} --to {to}` lists all of them with what to do; a waiver lets one pass.",
    )
