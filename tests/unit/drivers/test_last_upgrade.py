"""The condition that says in the morning why nothing moved at night."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from boatyard.drivers.last_upgrade import upgrade_condition
from boatyard.store.records import Upgrade

NOW = datetime(2026, 3, 7, 8, tzinfo=UTC)


def tried(outcome: Any, to: str = "1.36", days: float = 1) -> Upgrade:
    ended = None if outcome == "running" else NOW - timedelta(days=days)
    begun = NOW - timedelta(days=days, hours=1)
    return Upgrade(1, "shop", to, False, False, begun, ended, outcome, "budget shop/web allows nothing", "", 0, "")


@pytest.mark.parametrize(
    ("upgrades", "version", "reason"),
    [
        ([], "1.35", "NoneFailed"),
        ([tried("done")], "1.36", "NoneFailed"),
        ([tried("blocked")], "1.35", "UpgradeRefused"),
        ([tried("blocked")], "1.36", "Reached"),
        ([tried("failed")], "1.36", "UpgradeFailed"),
        ([tried("failed"), tried("blocked")], "1.35", "UpgradeRefused"),
        ([tried("failed"), tried("done")], "1.36", "NoneFailed"),
        ([tried("failed"), tried("seen")], "1.36", "UpgradeFailed"),
        ([tried("blocked"), tried("interrupted")], "1.35", "UpgradeRefused"),
        ([tried("blocked"), tried("running")], "1.35", "UpgradeRefused"),
        ([tried("cancelled")], "1.35", "UpgradeCancelled"),
        ([tried("cancelled", days=300)], "1.36", "UpgradeCancelled"),
        ([tried("cancelled"), tried("blocked"), tried("running")], "1.35", "UpgradeCancelled"),
        ([tried("cancelled"), tried("done")], "1.36", "NoneFailed"),
        ([tried("blocked", days=7)], "1.35", "UpgradeRefused"),
        ([tried("blocked", days=9)], "1.35", "NoneFailed"),
    ],
)
def test_it_says_what_became_of_the_newest_that_ended(upgrades: list[Upgrade], version: str, reason: str) -> None:
    found = upgrade_condition(upgrades, version, NOW)
    assert found.reason == reason
    assert found.status == ("False" if reason.startswith("Upgrade") else "True")
    assert ("budget shop/web" in found.message) is (found.status == "False")


def test_what_was_cancelled_says_how_to_go_on_and_which_nodes_stand_cordoned() -> None:
    kept = [tried("cancelled")]
    assert upgrade_condition(kept, "1.35", NOW, ring="canary", cordoned=["a", "b", "c", "d"]).message == (
        "its upgrade to 1.36 was cancelled budget shop/web allows nothing; it stays so until somebody goes on with it"
        " (boatyard upgrade shop --to 1.36) or leaves it to maintenance again (boatyard fleet go-on canary)"
        "; cordoned: a, b, c and 1 more"
    )
    assert upgrade_condition(kept, "1.35", NOW, lifted=NOW).reason == "NoneFailed"
