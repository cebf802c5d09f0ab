"""How a cluster's last upgrade went, as a condition: what a person finds who asks in the morning why nothing moved."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from boatyard.kube.conditions import Condition
from boatyard.plan.upgrade import below
from boatyard.store.records import Upgrade

NAME = "LastUpgradeWell"
COUNTS = timedelta(days=8)
"""A weekly window has had its next try by then; older failures say nothing of today."""


def upgrade_condition(upgrades: Sequence[Upgrade], version: str, now: datetime) -> Condition:
    """False while the newest upgrade was refused or failed, for a new reason where it changed something.

    upgrades: of the cluster, oldest first. version: its control plane's.
    """
    ended = [each for each in upgrades if each.ended_at is not None and each.outcome not in ("interrupted", "seen")]
    last = ended[-1] if ended else None
    if last is None or last.ended_at is None or last.outcome == "done" or now - last.ended_at > COUNTS:
        return Condition(NAME, "True", "NoneFailed", "no upgrade of it was refused or failed lately")
    if last.outcome == "blocked" and not below(version, last.version):
        return Condition(NAME, "True", "Reached", f"it runs {version} by now")
    how, reason = ("was refused", "UpgradeRefused") if last.outcome == "blocked" else ("failed", "UpgradeFailed")
    return Condition(NAME, "False", reason, f"its upgrade to {last.version} {how}: {last.message}")
