"""One word on a cluster over time: lasting trouble counts, blips and sleep do not."""

from datetime import UTC, datetime, timedelta

import pytest

from boatyard.drivers.wellbeing import BLIP, COUNTED, healthy_condition
from boatyard.store.records import Condition

NOW = datetime(2026, 11, 25, tzinfo=UTC)
LONG = timedelta(days=3)


def known(status: str = "True", *, since: timedelta = LONG, reason: str = "", **others: str) -> list[Condition]:
    """Every counted condition with one status, and some that differ."""
    return [
        Condition("shop", name, others.get(name, status), reason, "as it is", NOW - since, NOW)  # type: ignore[arg-type]
        for name in {*COUNTED, *others}
    ]


def test_all_well_is_healthy() -> None:
    word = healthy_condition(known(), NOW)
    assert word is not None
    assert (word.type, word.status) == ("Healthy", "True")


@pytest.mark.parametrize("status", ["False", "Unknown"])
@pytest.mark.parametrize("name", COUNTED)
def test_lasting_trouble_is_named(name: str, status: str) -> None:
    word = healthy_condition(known(**{name: status}), NOW)
    assert word is not None
    assert (word.status, word.reason) == ("False", name)
    assert name in word.message


@pytest.mark.parametrize("name", ["InSync", "VersionSupported", "CertificatesValid", "BackupRecent"])
def test_what_only_says_what_to_do_next_is_no_illness(name: str) -> None:
    word = healthy_condition(known(**{name: "False"}), NOW)
    assert word is not None
    assert word.status == "True"


def test_a_blip_changes_nothing() -> None:
    assert healthy_condition(known(NodesReady="False", since=BLIP - timedelta(seconds=1)), NOW) is None
    assert healthy_condition(known(NodesReady="False", since=BLIP), NOW) is not None


@pytest.mark.parametrize("reason", ["Hibernated", "Absent"])
def test_what_cannot_be_seen_stays_as_it_was(reason: str) -> None:
    assert healthy_condition(known("Unknown", reason=reason), NOW) is None


def test_nothing_is_said_before_anybody_looked() -> None:
    assert healthy_condition([], NOW) is None
