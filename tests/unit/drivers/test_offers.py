"""What drivers offer, and what `upgrade` says of a version that cannot be reached."""

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from boatyard.clock import Deadline, ManualClock
from boatyard.drivers.base import Env, MadeByProgram, Upgradable
from boatyard.drivers.kops.driver import Driver as Kops
from boatyard.drivers.kwok.driver import Driver as Kwok
from boatyard.drivers.operation import wanting_version
from boatyard.errors import Permanent, Unsafe
from boatyard.plan.model import Observed, ObservedPool, Phase
from boatyard.spec.models import Cluster

CHANNEL = Path(__file__).parents[2] / "cases/kops/channel/stable.yaml"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@dataclass
class Place:
    """A home with a kOps of some version, and the lines that were reported."""

    home: Path
    said: list[str] = field(default_factory=list)

    def env(self) -> Env:
        clock = ManualClock(NOW)
        return Env(self.home, clock, Deadline.after(60, "test", clock), lambda name: self.home / name, self.said.append)

    def install(self, version: str) -> None:
        program = self.home / "kops"
        program.write_text("#!/bin/false\n")
        about = program.stat()
        known = {"program": f"{program} {about.st_mtime_ns} {about.st_size}", "version": version}
        (self.home / "kops-version.json").write_text(json.dumps(known))

    def kops(self, channel: Path = CHANNEL, **more: Any) -> Kops:
        provider = {"kind": "kops", "state_store": "s3://state", "zones": ["eu-central-1a"], "dns": "none"}
        document = {
            "name": "shop.example.com",
            "provider": provider | {"channel": f"file://{channel}"},
            "kubernetes": {"version": "1.34"},
            "pools": [{"name": "web"}],
        }
        return Kops(Cluster.model_validate(document | more), self.env())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_kwok_offers_what_its_binaries_serve(place: Place) -> None:
    cluster = Cluster.model_validate({"name": "demo", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.35"}})
    offers = {offer.version: offer for offer in Kwok(cluster, place.env()).offers()}
    assert list(offers) == ["1.33", "1.34", "1.35", "1.36"]
    assert [version for version, offer in offers.items() if offer.default] == ["1.36"]
    assert offers["1.35"].end_of_support == date(2027, 2, 28)
    assert offers["1.35"].as_of == NOW.date()
    assert offers["1.34"].support(NOW.date()) == "ended"


def test_kops_offers_what_its_channel_recommends_with_upstreams_dates(place: Place) -> None:
    place.install("1.36.2")
    driver = place.kops()
    assert isinstance(driver, Upgradable)
    offers = {offer.version: offer for offer in driver.offers()}
    assert list(offers) == ["1.33.12", "1.34.8", "1.35.5", "1.36.1"]  # 1.31.14 is not driven
    assert offers["1.36.1"].default
    assert offers["1.35.5"].source == f"file://{CHANNEL}"
    assert (offers["1.35.5"].end_of_support, offers["1.35.5"].dates_source) == (
        date(2027, 2, 28),
        "https://kubernetes.io/releases/",
    )


def test_kops_offers_nothing_while_its_channel_cannot_be_read_and_says_why(place: Place) -> None:
    place.install("1.36.2")
    assert list(place.kops(place.home / "none").offers()) == []
    (line,) = place.said
    assert "kOps cannot be asked now what it offers" in line
    assert "none" in line


def test_kops_that_its_channel_has_given_up_offers_nothing(place: Place) -> None:
    place.install("1.35.0")  # the channel requires 1.35.1
    assert list(place.kops().offers()) == []


def wanting(driver: Kops, observed: Observed, to: str) -> Cluster:
    return wanting_version(driver._cluster, driver, observed, to)


def running(version: str, **pools: str) -> Observed:
    seen = {name: ObservedPool(name=name, versions={f"{name}-1": kubelet}) for name, kubelet in pools.items()}
    return Observed(phase=Phase.RUNNING, version=version, pools=seen)


@pytest.mark.parametrize("to", ["1.36", "1.35.5", "1.35.3", "1.34.8", "1.34"])
def test_what_is_offered_can_be_asked_for(place: Place, to: str) -> None:
    place.install("1.36.2")
    assert wanting(place.kops(), running("1.34.8", web="1.34.8"), to).kubernetes.version == to


@pytest.mark.parametrize(
    ("to", "observed", "error", "why"),
    [
        ("1.33.12", running("1.34.8"), Unsafe, "Kubernetes 1.34.8 cannot go down to 1.33.12: its storage has no way"),
        ("1.34.2", running("1.34.8"), Unsafe, "Kubernetes 1.34.8 cannot go down to 1.34.2, an older patch."),
        ("1.37", running("1.34.8"), Permanent, "kOps 1.36.2 takes Kubernetes up to 1.36, 1.37 needs a kOps 1.37"),
        (
            "1.36",
            running("1.34.8", web="1.34.8", old="1.32.1"),
            Permanent,
            "Node old-1 stays where it is, and kubelet 1.32.1 is 4 minors behind",
        ),
    ],
)
def test_what_cannot_be_reached_is_refused_in_one_sentence(
    place: Place, to: str, observed: Observed, error: type[Exception], why: str
) -> None:
    place.install("1.36.2")
    with pytest.raises(error) as refused:
        wanting(place.kops(), observed, to)
    assert str(refused.value).startswith(why)


def test_without_its_program_the_offers_are_not_known_and_nothing_is_refused_for_them(place: Place) -> None:
    driver = place.kops()
    assert isinstance(driver, MadeByProgram)
    assert wanting(driver, running("1.34.8"), "1.36").kubernetes.version == "1.36"
