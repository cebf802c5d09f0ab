"""What a forecast starts from: known patches where a driver can be asked, minors alone where nobody was yet."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from boatyard.clock import ManualClock
from boatyard.drivers.kwok.driver import Driver
from boatyard.drivers.operation import Yard
from boatyard.drivers.survey import survey
from boatyard.errors import Temporary
from boatyard.plan.forecast import Move, forecast
from boatyard.plan.model import Observed, Phase
from boatyard.settings import Settings
from boatyard.spec.models import Cluster
from boatyard.store import Store
from boatyard.tools import Toolbox
from boatyard.versions import Offer

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
MONTH = timedelta(days=30)


def spec(name: str, version: str, channel: str) -> Cluster:
    return Cluster.model_validate(
        {
            "name": name,
            "provider": {"kind": "kwok"},
            "kubernetes": {"version": version, "channel": channel},
            "policy": {"maintenance": {"window": "Sat 02:00-06:00 UTC"}},
        }
    )


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    clock = ManualClock(NOW)
    settings = Settings(tmp_path, tmp_path / "cache", f"sqlite:///{tmp_path / 'boatyard.db'}")
    return Yard(settings, Store.open(settings.store_url, clock), Toolbox(settings.cache), clock)


def kept(yard: Yard, cluster: Cluster, version: str | None) -> Cluster:
    """One that Boatyard keeps, and saw running this; None for one that is yet to be made."""
    yard.store.clusters.put(cluster.model_dump(mode="json"))
    seen = Observed(phase=Phase.RUNNING, version=version) if version else Observed(phase=Phase.ABSENT)
    yard.store.clusters.set_observed(cluster.name, seen.model_dump(mode="json"), fence=None)
    return cluster


def moves(yard: Yard, *clusters: Cluster) -> list[tuple[str, str, str, str]]:
    def told(move: Move) -> tuple[str, str, str, str]:
        return move.name, move.version, move.to, f"{move.begins:%m-%d}"

    return [told(each) for each in forecast(None, survey(yard, clusters, None, NOW + MONTH), NOW, period=MONTH).moves]


@pytest.fixture
def _patches(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = [Offer(version) for version in ("1.34.9", "1.35.4", "1.36.1")]
    monkeypatch.setattr(Driver, "offers", lambda self: offered)


@pytest.mark.usefixtures("_patches")
def test_the_next_patch_is_told_where_it_is_known(yard: Yard) -> None:
    found = moves(
        yard,
        kept(yard, spec("behind", "1.35", "patch"), "1.35.2"),
        kept(yard, spec("newest", "1.35", "patch"), "1.35.4"),
        kept(yard, spec("rising", "1.35", "rapid"), "1.35.2"),
        kept(yard, spec("coming", "1.35", "patch"), None),
        spec("nobody-s-yet", "1.35", "patch"),
    )
    assert found == [("behind", "1.35.2", "1.35.4", "12-05"), ("rising", "1.35.2", "1.36.1", "12-05")]


def test_where_the_driver_cannot_be_asked_minors_are_told_all_the_same(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Driver) -> Sequence[Offer]:
        raise Temporary("the channel does not answer.")

    monkeypatch.setattr(Driver, "offers", away)
    assert moves(yard, kept(yard, spec("rising", "1.35", "rapid"), "1.35")) == [("rising", "1.35", "1.36", "12-05")]


def test_providers_that_do_not_answer_hold_a_forecast_up_once_and_not_each(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, asked = ManualClock(NOW), []

    def away(self: Driver) -> Sequence[Offer]:
        asked.append(self._env.deadline.left)
        clock.advance(timedelta(seconds=6))
        raise Temporary("the channel does not answer.")

    monkeypatch.setattr(Driver, "offers", away)
    those = [spec(f"c{at}", "1.35", "rapid") for at in range(5)]
    different = [{"kind": "kwok", "runtime_config": {f"example.com/v{at}": True}} for at in range(1, 6)]
    made = [
        Cluster.model_validate(each.model_dump(mode="json") | {"provider": provider})
        for each, provider in zip(those, different, strict=True)
    ]
    found = survey(replace(yard, machine=clock), [kept(yard, each, "1.35") for each in made], None, NOW + MONTH)
    assert asked == [10.0, 4.0]
    assert all(offer.releases for offer in found.offers.values()), "the minors are known"


def test_equal_providers_are_asked_once(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Driver, "offers", lambda self: asked.append("once") or [Offer("1.36.1")])
    survey(yard, [kept(yard, spec(f"c{at}", "1.35", "rapid"), "1.35.2") for at in range(5)], None, NOW + MONTH)
    assert asked == ["once"]
