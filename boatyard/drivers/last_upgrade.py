"""How a cluster's last upgrade went, as a condition: what a person finds who asks in the morning why nothing moved."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from boatyard.kube.conditions import Condition
from boatyard.plan.fleet import stays_cancelled
from boatyard.plan.upgrade import below
from boatyard.spec.wave_rules import NO_RING
from boatyard.store.records import Upgrade
from boatyard.words import some

NAME = "LastUpgradeWell"
COUNTS = timedelta(days=8)
"""A weekly window has had its next try by then; older failures say nothing of today."""


def cancelled(upgrades: Sequence[Upgrade], lifted: datetime | None = None) -> Upgrade | None:
    """The newest upgrade, if a person cancelled it and nobody has let the cluster's ring go on since."""
    ended = [each for each in _ended(upgrades) if each.outcome != "blocked"]
    if not ended or ended[-1].outcome != "cancelled":
        return None
    at = ended[-1].ended_at
    return ended[-1] if lifted is None or at is None or at > lifted else None


def upgrade_condition(
    upgrades: Sequence[Upgrade],
    version: str,
    now: datetime,
    *,
    ring: str = NO_RING,
    lifted: datetime | None = None,
    cordoned: Sequence[str] = (),
) -> Condition:
    """False while the newest upgrade was cancelled, refused or failed, for a new reason where it changed something.

    upgrades: of the cluster, oldest first. version: its control plane's. lifted: when a person last let its ring go on.
    cordoned: nodes that take no pods now.
    """
    if (stands := cancelled(upgrades, lifted)) is not None:
        held = stays_cancelled(stands.cluster, stands.version, stands.message, ring)
        return Condition(NAME, "False", "UpgradeCancelled", held + cordons(cordoned))
    ended = [each for each in _ended(upgrades) if each.outcome != "cancelled"]
    last = ended[-1] if ended else None
    if last is None or last.ended_at is None or last.outcome == "done" or now - last.ended_at > COUNTS:
        return Condition(NAME, "True", "NoneFailed", "no upgrade of it was refused or failed lately")
    if last.outcome == "blocked" and not below(version, last.version):
        return Condition(NAME, "True", "Reached", f"it runs {version} by now")
    how, reason = ("was refused", "UpgradeRefused") if last.outcome == "blocked" else ("failed", "UpgradeFailed")
    return Condition(NAME, "False", reason, f"its upgrade to {last.version} {how}: {last.message}")


def cordons(nodes: Sequence[str]) -> str:
    """Nodes that an upgrade may have left without new pods, as the end of a sentence."""
    return f"; cordoned: {some(nodes)}" if nodes else ""


def _ended(upgrades: Sequence[Upgrade]) -> list[Upgrade]:
    return [each for each in upgrades if each.ended_at is not None and each.outcome not in ("interrupted", "seen")]
