"""Version order, upgrade paths, skew and channels."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatyard.errors import Unsafe
from boatyard.versions import Minor, kubectl_problem, kubelet_problem, next_allowed, path, target

MINORS = st.integers(1, 60).map("1.{}".format)
OFFERED = ["1.33.9", "1.34.2", "1.34.11", "1.35.4", "1.35", "1.36.0", "1.37.0-rc.1"]


@pytest.mark.parametrize("text", ["1.35", "v1.35", "1.35.2", "v1.35.2-eks-1a2b", "1.35.0+k3s1"])
def test_spellings(text: str) -> None:
    assert Minor.parse(text) == Minor(1, 35)


@pytest.mark.parametrize("text", ["", "1", "1.x", "1.35.2.1", " 1.35", "1.35\n", "9" * 5000, "1." + "9" * 50, "latest"])
def test_no_versions(text: str) -> None:
    with pytest.raises(ValueError, match="no Kubernetes version"):
        Minor.parse(text)


@given(MINORS, MINORS)
def test_paths_go_up_one_minor_at_a_time(start: str, to: str) -> None:
    if Minor.parse(to) < Minor.parse(start):
        with pytest.raises(Unsafe):
            path(start, to)
        return
    steps = [start, *path(start, to)]
    assert steps[-1] == to
    assert all(Minor.parse(b).ahead_of(Minor.parse(a)) == 1 for a, b in pairwise(steps))


def test_a_path_of_patches_has_no_minors() -> None:
    assert path("1.35.1", "1.35.9") == []
    assert path("1.9", "1.11") == ["1.10", "1.11"]


@pytest.mark.parametrize(
    ("api", "kubelet", "fits"),
    [("1.36", "1.36", True), ("1.36", "1.33.9", True), ("1.36", "1.32", False), ("1.35.9", "1.36.0", False)],
)
def test_kubelet_skew(api: str, kubelet: str, fits: bool) -> None:
    assert (kubelet_problem(api, kubelet) is None) is fits


@pytest.mark.parametrize(
    ("kubectl", "fits"), [("1.34", True), ("1.35", True), ("1.36", True), ("1.33", False), ("1.37", False)]
)
def test_kubectl_skew(kubectl: str, fits: bool) -> None:
    assert (kubectl_problem("1.35", kubectl) is None) is fits


def test_the_api_server_waits_for_old_kubelets() -> None:
    assert next_allowed("1.35", {"a": "1.35", "b": "1.33"}) == "1.36"
    assert next_allowed("1.36", {"a": "1.36", "b": "1.33"}) is None


@pytest.mark.parametrize(
    ("channel", "current", "wanted"),
    [
        ("rapid", "1.33.9", "1.36.0"),
        ("regular", "1.33.9", "1.35.4"),
        ("stable", "1.33.9", "1.34.11"),
        ("pinned", "1.33.0", None),
        ("stable", "1.34.2", "1.34.11"),
        ("stable", "1.34.11", None),
        ("stable", "1.35.1", "1.35.4"),
        ("stable", "1.36.0", None),
        ("rapid", "1.36", None),
        ("rapid", "1.40", None),
    ],
)
def test_what_a_channel_wants(channel: str, current: str, wanted: str | None) -> None:
    assert target(channel, OFFERED, current) == wanted


@given(st.sampled_from(["rapid", "regular", "stable", "pinned"]), st.lists(MINORS), MINORS)
def test_a_channel_never_goes_down_and_never_beyond_its_minor(channel: str, offered: list[str], current: str) -> None:
    wanted = target(channel, offered, current)
    if wanted is not None:
        newest = max(map(Minor.parse, offered))
        assert wanted in offered
        assert Minor.parse(wanted) > Minor.parse(current)
        assert newest.ahead_of(Minor.parse(wanted)) >= {"rapid": 0, "regular": 1, "stable": 2}[channel]


def test_an_unknown_channel_is_refused() -> None:
    with pytest.raises(ValueError, match="no channel"):
        target("edge", OFFERED, "1.35")
