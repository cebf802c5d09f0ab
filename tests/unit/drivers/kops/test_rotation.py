"""How far a rotation has come, by the keypairs alone."""

from datetime import UTC, datetime

import pytest

from boatyard.drivers.kops.parse import Keypair
from boatyard.drivers.kops.rotation import phases

AT = datetime(2026, 11, 22, tzinfo=UTC)
ALL = ("stage", "promote", "distrust")


def keyset(name: str, state: str) -> list[Keypair]:
    """settled, staged, promoted, finished (the old one distrusted)."""

    def pair(number: int, primary: bool, distrusted: bool = False) -> Keypair:
        return Keypair(name, str(7_711_000 + number), primary, True, AT, AT, AT if distrusted else None)

    match state:
        case "settled":
            return [pair(1, True)]
        case "staged":
            return [pair(1, True), pair(2, False)]
        case "promoted":
            return [pair(1, False), pair(2, True)]
    return [pair(1, False, distrusted=True), pair(2, True)]


@pytest.mark.parametrize(
    ("one", "other", "pending", "left"),
    [
        ("settled", "settled", False, ALL),
        ("settled", "settled", True, ALL),
        ("staged", "settled", False, ALL),
        ("staged", "staged", True, ALL),
        ("staged", "staged", False, ALL[1:]),
        ("promoted", "staged", True, ALL[1:]),
        ("promoted", "staged", False, ALL[1:]),
        ("promoted", "promoted", True, ALL[1:]),
        ("promoted", "promoted", False, ALL[2:]),
        ("promoted", "finished", True, ALL[2:]),
        ("finished", "finished", True, ALL[2:]),
        ("finished", "finished", False, ALL),
    ],
)
def test_phases_that_are_left(one: str, other: str, pending: bool, left: tuple[str, ...]) -> None:
    keypairs = [*keyset("kubernetes-ca", one), *keyset("service-account", other)]
    assert tuple(phases(keypairs, pending=pending)) == left


def test_ids_are_numbers_not_texts() -> None:
    old = Keypair("ca", "999", False, True, AT, AT)
    new = Keypair("ca", "1000", True, True, AT, AT)
    assert phases([old, new], pending=False) == ALL[2:]
