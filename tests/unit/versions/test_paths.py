"""The way from one version to another, and why there is none."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatyard.errors import Permanent, Unsafe
from boatyard.versions import Minor, Version, explain, kubelet_problem, route
from boatyard.versions.skew import Tool

OFFERED = ["1.33.12", "1.34.2", "1.34.8", "1.35.5", "1.36.1", "1.37.0-rc.1"]
KOPS = Tool("kOps", "1.36.2", behind=5)

VERSIONS = st.builds(lambda minor, patch: f"1.{minor}.{patch}", st.integers(28, 40), st.integers(0, 12))
OFFERS = st.lists(VERSIONS, max_size=20)
NODES = st.dictionaries(st.sampled_from("abc"), VERSIONS, max_size=3)


@pytest.mark.parametrize(
    ("current", "to", "way"),
    [
        ("1.33.9", "1.36.1", ["1.34.8", "1.35.5", "1.36.1"]),
        ("1.33.9", "1.36", ["1.34.8", "1.35.5", "1.36"]),
        ("1.35.1", "1.35.5", ["1.35.5"]),
        ("1.35.5", "1.35", []),
        ("1.35", "1.35.5", []),  # nobody can tell which patch it has
        ("1.36.1", "1.37.0-rc.1", ["1.37.0-rc.1"]),  # asked for by name
    ],
)
def test_the_way_leads_through_the_newest_patch_of_each_minor(current: str, to: str, way: list[str]) -> None:
    assert route(current, to, offered=OFFERED) == way


def test_a_cluster_that_is_not_there_yet_goes_straight_to_its_version() -> None:
    assert route(None, "1.36", offered=OFFERED) == ["1.36"]


def test_where_nothing_is_known_of_offers_the_way_is_of_minors() -> None:
    assert route("1.33", "1.35.4") == ["1.34", "1.35.4"]


@pytest.mark.parametrize(
    ("current", "to", "more", "why"),
    [
        ("1.36.1", "1.34.8", {}, "Kubernetes 1.36.1 cannot go down to 1.34.8: its storage has no way back."),
        ("1.35.5", "1.35.2", {}, "Kubernetes 1.35.5 cannot go down to 1.35.2, an older patch."),
        ("1.35.5", "1.38", {}, "Kubernetes 1.38 is not offered for kops clusters; there are 1.33.12, 1.34.2, 1.34.8,"),
        (None, "1.38", {}, "Kubernetes 1.38 is not offered for kops clusters"),
        (
            "1.31.0",
            "1.36.1",
            {},
            "Kubernetes 1.36.1 cannot be reached: 1.32 on the way is not offered for kops clusters, and no minor can be"
            " skipped.",
        ),
        ("1.36.1", "1.37.0-rc.2", {}, "Kubernetes 1.37.0-rc.2 is a pre-release that is not offered for kops clusters."),
        ("1.36.1", "1.37.0", {"tool": KOPS}, "kOps 1.36.2 takes Kubernetes up to 1.36, 1.37.0 needs a kOps 1.37"),
        ("1.29.0", "1.33.12", {"tool": KOPS}, "kOps 1.36.2 takes Kubernetes 1.31 to 1.36, not 1.30"),
        (
            "1.34.8",
            "1.36.1",
            {"kubelets": {"old": "1.32.1", "new": "1.34.8"}},
            "Node old stays where it is, and kubelet 1.32.1 is 4 minors behind the API server 1.36; it may be at most 3"
            " minors; replace or upgrade it first.",
        ),
    ],
)
def test_why_there_is_no_way_is_one_sentence(current: str | None, to: str, more: dict, why: str) -> None:
    said = explain(current, to, offered=OFFERED, kind="kops", **more)
    assert said is not None
    assert said.startswith(why)
    assert "\n" not in said
    with pytest.raises(Unsafe if "down" in why else Permanent):
        route(current, to, offered=OFFERED, **more)


def test_a_provider_without_patch_levels_says_so() -> None:
    said = explain("1.34", "1.35.2", offered=["1.34", "1.35"], kind="kwok")
    assert said == "Kubernetes 1.35.2 cannot be reached: kwok clusters have no patch levels; say 1.35."


def test_a_cluster_that_is_there_already_needs_no_offer() -> None:
    assert explain("1.30.1", "1.30.1", offered=OFFERED) is None
    assert explain("1.30.1", "1.30", offered=OFFERED, tool=KOPS) is None


@given(current=VERSIONS, to=VERSIONS, offered=OFFERS, kubelets=NODES)
def test_a_way_never_breaks_skew_never_goes_down_and_is_as_short_as_can_be(
    current: str, to: str, offered: list[str], kubelets: dict[str, str]
) -> None:
    why = explain(current, to, offered=offered, kubelets=kubelets)
    if why is not None:
        with pytest.raises((Permanent, Unsafe)):
            route(current, to, offered=offered, kubelets=kubelets)
        return
    way = [current, *route(current, to, offered=offered, kubelets=kubelets)]
    assert way[-1] == to
    for before, after in pairwise(way):
        one, other = Version.parse(before), Version.parse(after)
        assert (other.of, other.patch) > (one.of, one.patch)
        assert other.of.ahead_of(one.of) <= 1
        assert all(kubelet_problem(after, kubelet) is None for kubelet in kubelets.values() if other.of != one.of)
        assert not offered or other.of in {Minor.parse(version) for version in offered}
    distance = Minor.parse(to).ahead_of(Minor.parse(current))
    assert len(way) - 1 == (distance or (current != to))


@given(current=VERSIONS, to=VERSIONS, offered=OFFERS, more=OFFERS)
def test_more_offers_never_close_a_way(current: str, to: str, offered: list[str], more: list[str]) -> None:
    if offered and explain(current, to, offered=offered) is None:
        assert explain(current, to, offered=offered + more) is None
