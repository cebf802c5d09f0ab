"""How far a rotation has come, by the keypairs, and by machines that AWS may tell of late."""

from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from boatyard.clock import Deadline, ManualClock
from boatyard.drivers.base import Env
from boatyard.drivers.kops import changes, rotation
from boatyard.drivers.kops.fleet import Machine, ScalingGroup
from boatyard.drivers.kops.parse import Change, Keypair, Preview
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.rotation import phases, rotate
from boatyard.errors import Unsafe

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


class Staged:
    """A cluster whose keys are staged. late: for how many looks AWS tells of a machine of before, or a preview of
    something to change, though all is through."""

    def __init__(self, env: Env, *, machines: int = 0, previews: int = 0) -> None:
        self.env, self.name = env, "k8s.example.com"
        self._machines, self._previews = machines, previews
        self.promoted: list[str] = []
        self.fleet = SimpleNamespace(read=self._fleet)
        self.store = SimpleNamespace(read=lambda: None)
        self.client = nullcontext
        self.kops = SimpleNamespace(
            keypairs=lambda: keyset("kubernetes-ca", "staged"),
            preview=self._preview,
            create_keypair=self.wrong,
            promote_keypair=self.promoted.append,
            distrust_keypair=self.wrong,
        )

    def wrong(self, keyset: str) -> None:
        raise AssertionError(f"{keyset} is staged, and only to be promoted")

    def _fleet(self) -> dict[str, ScalingGroup]:
        self._machines -= 1
        old = Machine("i-1", "web", outdated=self._machines >= 0)
        return {"web": ScalingGroup(f"web.{self.name}", "web", 1, 1, 1, (old,))}

    def _preview(self) -> Preview:
        self._previews -= 1
        change = Change("LaunchTemplate", f"web.{self.name}", {"UserData": "old -> new"})
        return Preview(modify=(change,) if self._previews >= 0 else ())


@pytest.fixture
def env(yard_clock: ManualClock, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Env:
    """Of rotations that need nothing but keypairs, machines and previews."""
    for name in ("registered", "refuse_ahead", "look", "roll"):
        monkeypatch.setattr(rotation, name, lambda *given: None)
    monkeypatch.setattr(changes, "changing", lambda *given: nullcontext())
    return Env(tmp_path, yard_clock, Deadline.after(600, "rotating", yard_clock), tool=lambda name: tmp_path / name)


@pytest.mark.parametrize(
    "late", [{}, {"machines": 1}, {"machines": 4}, {"previews": 2}, {"machines": 1, "previews": 1}]
)
def test_the_next_phase_comes_though_aws_tells_of_the_last_one_late(env: Env, late: dict[str, int]) -> None:
    staged = Staged(env, **late)
    rotate(cast(Reach, staged), "promote")
    assert staged.promoted == ["all"]


def test_a_phase_that_some_machine_has_not_taken_up_is_not_passed_over(env: Env) -> None:
    staged = Staged(env, machines=10**6)
    with pytest.raises(Unsafe, match="stage comes before promote and is not through"):
        rotate(cast(Reach, staged), "promote")
    assert staged.promoted == []
