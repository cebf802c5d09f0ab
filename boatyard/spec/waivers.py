"""What somebody agreed to let pass in the preflight of upgrades."""

from typing import Annotated, Literal

from pydantic import StringConstraints

from boatyard.spec.base import Model
from boatyard.spec.types import FILLED, Day

CheckName = Literal[
    "pdb-blocks",
    "pdb-blocks-now",
    "pdb-overlaps",
    "pdb-empty",
    "pod-unmanaged",
    "pod-unschedulable",
    "pod-stuck",
    "local-storage",
    "local-volume",
    "single-stateful",
    "api-removed",
    "api-deprecated",
    "webhook-down",
    "webhook-broad",
    "webhook-certificate",
    "conversion-down",
    "apiservice-down",
    "node-unhealthy",
    "node-cordoned",
    "node-skew",
    "api-server-skew",
    "addon-skew",
    "certificate-expires",
    "csr-pending",
    "no-room",
    "finalizer-stuck",
    "backup-old",
    "provider",
    "not-looked-at",
]
"""What a waiver can let pass; `boatyard.kube.preflight.culprit.CHECKS` says what each one looks for."""


class Waiver(Model):
    """One kind of finding on one or more objects that an upgrade may ignore, why, and until when."""

    check: CheckName
    """The finding's name, like `pdb-blocks`."""
    object: Annotated[str, StringConstraints(pattern=FILLED, max_length=300)]
    """Which objects, as the preflight prints them; `*` stands for anything: `PodDisruptionBudget shop/*`."""
    reason: Annotated[str, StringConstraints(pattern=FILLED, max_length=500)]
    """Why this may be ignored; it is shown wherever the finding is."""
    until: Day
    """The last day on which it counts, like `2026-12-31`, in UTC."""
