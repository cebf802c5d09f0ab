"""What each channel wants."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatyard.spec.models import Kubernetes
from boatyard.versions import Minor, Offer, Version, target
from boatyard.versions.channels import BEHIND_NEWEST, CHANNELS

OFFERED = ["1.33.9", "1.34.2", "1.34.11", "1.35.4", "1.35", "1.36.0", "1.37.0-rc.1"]
VERSIONS = st.one_of(
    st.integers(28, 40).map("1.{}".format),
    st.builds(
        lambda minor, patch, early: f"1.{minor}.{patch}{early}",
        st.integers(28, 40),
        st.integers(0, 12),
        st.sampled_from(["", "", "", "-rc.1", "-alpha.2", "-gke.100"]),
    ),
)
OFFERS = st.lists(VERSIONS, max_size=15)
ANY = st.sampled_from(CHANNELS)


@pytest.mark.parametrize(
    ("channel", "current", "wanted"),
    [
        ("rapid", "1.33.9", "1.36.0"),
        ("regular", "1.33.9", "1.35.4"),
        ("stable", "1.33.9", "1.34.11"),
        ("n-1", "1.33.9", "1.35.4"),
        ("n-2", "1.33.9", "1.34.11"),
        ("patch", "1.33.9", None),
        ("patch", "1.34.2", "1.34.11"),
        ("patch", "1.36.0", None),
        ("pinned", "1.33.0", None),
        ("stable", "1.34.2", "1.34.11"),
        ("stable", "1.34.11", None),
        ("stable", "1.35.1", "1.35.4"),
        ("n-1", "1.36.0", None),
        ("rapid", "1.36", None),
        ("rapid", "1.40", None),
    ],
)
def test_what_a_channel_wants(channel: str, current: str, wanted: str | None) -> None:
    assert target(channel, OFFERED, current) == wanted
    assert target(channel, [Offer(version) for version in OFFERED], current) == wanted


@pytest.mark.parametrize(
    ("channel", "wanted"),
    [("rapid", "1.37.0"), ("regular", "1.36.1"), ("stable", "1.36.0"), ("n-1", "1.36.1"), ("n-2", "1.35.4")],
)
def test_a_provider_with_channels_of_its_own_is_taken_at_its_word(channel: str, wanted: str) -> None:
    offers = [
        Offer("1.37.0", channels=frozenset({"rapid"})),
        Offer("1.36.1", channels=frozenset({"rapid", "regular"})),
        Offer("1.36.0", channels=frozenset({"regular", "stable"})),
        Offer("1.35.4", channels=frozenset({"stable"})),
    ]
    assert target(channel, offers, "1.35.1") == wanted


def test_the_spec_knows_the_same_channels() -> None:
    assert set(get_args(Kubernetes.model_fields["channel"].annotation)) == set(CHANNELS)


def test_an_unknown_channel_is_refused() -> None:
    with pytest.raises(ValueError, match="no channel"):
        target("edge", OFFERED, "1.35")


def _number(text: str) -> tuple[Minor, int]:
    version = Version.parse(text)
    return version.of, -1 if version.patch is None else version.patch


@given(ANY, OFFERS, VERSIONS)
def test_a_channel_never_goes_down_nor_to_what_is_not_offered_or_not_finished(
    channel: str, offered: list[str], current: str
) -> None:
    wanted = target(channel, offered, current)
    if wanted is None:
        return
    assert channel != "pinned"
    assert wanted in offered
    assert not Version.parse(wanted).prerelease
    assert _number(wanted) > _number(current)
    if channel == "patch":
        assert Minor.parse(wanted) == Minor.parse(current)
    elif Minor.parse(wanted) != Minor.parse(current):
        finished = [Minor.parse(version) for version in offered if not Version.parse(version).prerelease]
        assert max(finished).ahead_of(Minor.parse(wanted)) >= BEHIND_NEWEST[channel]


@given(ANY, OFFERS, OFFERS, VERSIONS)
def test_more_offers_never_lower_what_a_channel_wants(
    channel: str, offered: list[str], more: list[str], current: str
) -> None:
    before, after = target(channel, offered, current), target(channel, offered + more, current)
    if before is not None:
        assert after is not None
        assert _number(after) >= _number(before)


@given(ANY, OFFERS, VERSIONS)
def test_having_reached_it_a_channel_wants_no_more(channel: str, offered: list[str], current: str) -> None:
    wanted = target(channel, offered, current)
    if wanted is not None:
        assert target(channel, offered, wanted) is None
