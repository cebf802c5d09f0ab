"""Version order, and the minors between two versions."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatyard.errors import Unsafe
from boatyard.versions import Minor, newest, path

MINORS = st.integers(1, 60).map("1.{}".format)


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
    ("minor", "best"), [("1.34", "1.34.11"), ("1.35.1", "1.35.4"), ("1.36", "1.36"), ("1.37", None), ("1.38", None)]
)
def test_the_newest_patch_is_never_a_pre_release(minor: str, best: str | None) -> None:
    assert newest(["1.34.2", "1.34.11", "1.35", "1.35.4", "1.36", "1.37.0-rc.1"], minor) == best
