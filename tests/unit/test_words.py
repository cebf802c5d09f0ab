"""Turns of phrase that sentences share."""

import pytest

from boatyard.words import some


@pytest.mark.parametrize(
    ("things", "told"),
    [([], ""), (["a"], "a"), (["a", "b", "c"], "a, b, c"), (["a", "b", "c", 4, 5], "a, b, c and 2 more")],
)
def test_the_first_are_named_and_the_others_counted(things: list[object], told: str) -> None:
    assert some(things) == told


def test_how_many_are_named_may_be_said() -> None:
    assert some(["a", "b", "c"], 1) == "a and 2 more"
