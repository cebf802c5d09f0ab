"""kOps channels: versions, images, the kOps ↔ Kubernetes minor rule, and what happens while nobody answers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from boatyard.clock import ManualClock
from boatyard.drivers.kops import channel
from boatyard.drivers.kops.channel import Channel
from boatyard.errors import InvalidSpec, Temporary

CASE = Path(__file__).parents[3] / "cases/kops/channel/stable.yaml"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KOPS = "1.36.2"


@pytest.fixture
def stable() -> Channel:
    return channel.parse(CASE.read_text(), "test", NOW)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


def test_what_is_offered(stable: Channel) -> None:
    offers = stable.offers(KOPS)
    assert [offer.version for offer in offers] == ["1.31.14", "1.33.12", "1.34.8", "1.35.5", "1.36.1"]  # none of 1.32
    assert [offer.version for offer in offers if offer.deprecated] == ["1.31.14"]
    assert [offer.version for offer in offers if offer.default] == ["1.36.1"]
    assert {(offer.source, offer.as_of) for offer in offers} == {("test", NOW.date())}
    assert [offer.version for offer in stable.offers("1.35.3")][-1] == "1.35.5"
    assert stable.offers("1.35.0") == ()  # the channel requires a newer kOps
    assert stable.recommended("1.35") == stable.recommended("1.35.2") == "1.35.5"
    assert stable.recommended("1.30") is None
    assert stable.default(KOPS) == "1.36.1"
    assert stable.default("1.20.0") is None


@pytest.mark.parametrize(
    ("version", "kops", "why"),
    [
        ("1.35.5", KOPS, ""),
        ("1.35.2", KOPS, ""),
        ("1.31.1", KOPS, ""),
        ("1.35.1", KOPS, "only 1.35.2 or newer; it recommends 1.35.5"),
        ("1.30.9", KOPS, "kOps 1.36.2 takes Kubernetes 1.31 to 1.36"),
        ("1.37.0", KOPS, "needs a kOps 1.37"),
        ("1.36.0", "1.35.3", "kOps 1.35.3 takes Kubernetes up to 1.35"),
        ("1.35.5", "1.35.0", "requires kOps 1.35.1 or newer"),
    ],
)
def test_what_is_refused(stable: Channel, version: str, kops: str, why: str) -> None:
    assert why in stable.refusal(version, kops)
    assert stable.allowed(version, kops) is (why == "")


def test_images(stable: Channel) -> None:
    assert stable.image("1.35.5") == ("099720109477/ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260218")
    assert "arm64" in (stable.image("1.35.5", "arm64") or "")
    assert "jammy" in (stable.image("1.31.9") or "")
    assert stable.image("1.31.9", "arm64") is None


@pytest.mark.parametrize(
    ("version", "ranges", "inside"),
    [
        ("1.36.0", ">=1.36.0-alpha.1", True),
        ("1.36.0-alpha.1", ">=1.36.0-alpha.2", False),
        ("1.36.0-beta.1", ">=1.36.0-alpha.11", True),
        ("1.36.0-alpha.9", ">=1.36.0-alpha.11", False),
        ("1.9.9", "<1.10.0", True),
        ("1.10.0", ">=1.4.0 <1.10.0", False),
        ("1.40.0", "<1.10.0 || >=1.40.0", True),
        ("1.5.0", "!=1.5.0", False),
        ("1.5.0", "1.5.0", True),
        ("v1.5.0+build.3", "=1.5.0", True),
    ],
)
def test_ranges(version: str, ranges: str, inside: bool) -> None:
    assert channel.within(version, ranges) is inside


@pytest.mark.parametrize("name", ["http://example.com/stable", "../stable", "", "s3://bucket/stable", "Stable"])
def test_an_address_that_is_none(name: str) -> None:
    with pytest.raises(InvalidSpec, match="is no kOps channel"):
        channel.resolve(name)


def test_addresses() -> None:
    assert channel.resolve("alpha") == "https://raw.githubusercontent.com/kubernetes/kops/master/channels/alpha"
    assert channel.resolve("https://example.com/c") == "https://example.com/c"


@pytest.mark.parametrize("text", ["", "[]", "spec: 3", "a: [", "spec: {kubernetesVersions: []}", "spec: {images: [3]}"])
def test_a_text_that_is_no_channel(tmp_path: Path, clock: ManualClock, text: str) -> None:
    (tmp_path / "c").write_text(text)
    with pytest.raises(InvalidSpec, match="holds no kOps channel"):
        channel.load(f"file://{tmp_path}/c", folder=tmp_path / "kept", clock=clock)


def test_a_file(tmp_path: Path, clock: ManualClock) -> None:
    assert channel.load(f"file://{CASE}", folder=tmp_path, clock=clock).recommended("1.36") == "1.36.1"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InvalidSpec, match="cannot be read"):
        channel.load(f"file://{tmp_path}/none", folder=tmp_path, clock=clock)


class Web:
    """Answers with the case, or with a failure; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked, self.fails = 0, False

    def __call__(self, address: str, timeout: float) -> bytes:
        self.asked += 1
        if self.fails:
            raise Temporary(f"{address} cannot be read: no route.")
        return CASE.read_bytes()


def test_an_outage_does_not_stop_work_and_is_said(tmp_path: Path, clock: ManualClock) -> None:
    web, lines = Web(), list[str]()

    def load() -> Channel:
        return channel.load("stable", folder=tmp_path / "c", clock=clock, report=lines.append, fetch=web)

    assert load().stale == ""
    web.fails = True
    clock.advance(timedelta(minutes=59))
    assert (load().stale, web.asked) == ("", 1)
    clock.advance(timedelta(days=3))
    old = load()
    assert old.recommended("1.36") == "1.36.1"
    assert old.read_at == NOW
    assert "2026-11-22 12:00 UTC is used" in old.stale
    assert lines == [old.stale]
    web.fails = False
    clock.advance(timedelta(minutes=1))
    assert load().stale == ""


def test_a_page_of_somebody_else_is_no_channel(tmp_path: Path, clock: ManualClock) -> None:
    def portal(address: str, timeout: float) -> bytes:
        return b"<html>Please log in</html>"

    channel.load("stable", folder=tmp_path, clock=clock, fetch=Web())
    clock.advance(timedelta(hours=2))
    assert "holds no kOps channel" in channel.load("stable", folder=tmp_path, clock=clock, fetch=portal).stale


def test_without_a_copy_it_is_an_error(tmp_path: Path, clock: ManualClock) -> None:
    web = Web()
    web.fails = True
    with pytest.raises(Temporary, match="no route"):
        channel.load("stable", folder=tmp_path, clock=clock, fetch=web)
    channel.load("alpha", folder=tmp_path, clock=clock, fetch=Web())
    with pytest.raises(Temporary, match="no route"):  # a copy of another channel is none
        channel.load("stable", folder=tmp_path, clock=clock, fetch=web)


def test_an_address_that_does_not_answer_is_not_asked_again_for_a_minute(tmp_path: Path, clock: ManualClock) -> None:
    asked: list[str] = []

    def away(address: str, timeout: float) -> bytes:
        asked.append(address)
        raise Temporary("nobody answers.")

    def ask() -> None:
        with pytest.raises(Temporary):
            channel.load("stable", folder=tmp_path, clock=clock, fetch=away)

    for _ in range(3):
        ask()
        clock.advance(timedelta(seconds=25))
    assert len(asked) == 1
    ask()
    assert len(asked) == 2
    assert channel.load("alpha", folder=tmp_path, clock=clock, fetch=Web()).stale == ""


def test_a_damaged_copy_is_read_anew(tmp_path: Path, clock: ManualClock) -> None:
    channel.load("stable", folder=tmp_path, clock=clock, fetch=Web())
    (kept,) = tmp_path.iterdir()
    kept.write_text("{")
    web = Web()
    assert channel.load("stable", folder=tmp_path, clock=clock, fetch=web).stale == ""
    assert web.asked == 1
