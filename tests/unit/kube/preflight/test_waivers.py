"""A waiver lets pass what it names until its last day, and is heard of when it is over or idle."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatyard.errors import Unsafe
from boatyard.kube.objects import Ref
from boatyard.kube.preflight.culprit import CHECKS, Culprit, in_order, require_none
from boatyard.kube.preflight.waivers import apply_waivers
from boatyard.spec.waivers import CheckName, Waiver

TODAY = date(2026, 3, 1)
NAMES = CheckName.__args__  # type: ignore[attr-defined]


def culprit(check: str = "pdb-blocks", name: str = "web", *, blocks: bool = True) -> Culprit:
    return Culprit(check, Ref("policy", "PodDisruptionBudget", "shop", name), "app shop", "why.", "fix.", blocks)


def waiver(check: str = "pdb-blocks", thing: str = "* shop/*", until: date = TODAY) -> Waiver:
    return Waiver.model_validate({"check": check, "object": thing, "reason": "agreed", "until": until.isoformat()})


culprits = st.builds(
    culprit, st.sampled_from(["pdb-blocks", "pdb-empty", "node-skew"]), st.sampled_from("abc"), blocks=st.booleans()
)
waivers = st.builds(
    waiver,
    st.sampled_from(["pdb-blocks", "pdb-empty", "node-skew"]),
    st.sampled_from(["*", "PodDisruptionBudget shop/a", "* shop/[bc]", "Node *"]),
    st.integers(-3, 3).map(lambda days: TODAY + timedelta(days=days)),
)


def about_waivers(found: list[Culprit]) -> list[Culprit]:
    return [each for each in found if each.check.startswith("waiver-")]


@given(st.lists(culprits), st.lists(waivers))
def test_nothing_is_lost_and_nothing_but_the_mark_changes(found: list[Culprit], given_: list[Waiver]) -> None:
    after = apply_waivers(found, given_, TODAY)
    kept = after[: len(found)]
    assert [(c.check, c.object, c.blocks, c.why) for c in kept] == [(c.check, c.object, c.blocks, c.why) for c in found]
    assert about_waivers(after) == after[len(found) :]


@given(st.lists(culprits), st.lists(waivers))
def test_waivers_only_let_more_pass_and_each_is_used_or_heard_of(found: list[Culprit], given_: list[Waiver]) -> None:
    after = apply_waivers(found, given_, TODAY)
    assert {c for c in after if c.stops} <= {c for c in found if c.stops}
    heard = {each.object.name for each in about_waivers(after)}
    for each in given_:
        used = any(c.waived and c.check == each.check for c in after)
        assert used or f"{each.check} {each.object}" in heard


@given(st.lists(culprits), st.lists(waivers))
def test_expired_waivers_are_as_if_they_were_not_there(found: list[Culprit], given_: list[Waiver]) -> None:
    valid = [each for each in given_ if each.until >= TODAY]
    assert apply_waivers(found, given_, TODAY)[: len(found)] == apply_waivers(found, valid, TODAY)[: len(found)]


@given(st.lists(culprits), st.lists(waivers))
def test_the_order_is_what_stops_what_warns_what_is_waived(found: list[Culprit], given_: list[Waiver]) -> None:
    after = in_order(apply_waivers(found, given_, TODAY))
    ranks = [("blocks", "warns", "waived").index(each.verdict) for each in after]
    assert ranks == sorted(ranks)
    assert after == in_order(reversed(after))


def test_the_last_day_counts_and_the_next_does_not() -> None:
    [waived] = apply_waivers([culprit()], [waiver()], TODAY)
    assert waived.waived == "agreed (until 2026-03-01)"
    require_none("shop", "1.36", [waived])
    still, over = apply_waivers([culprit()], [waiver()], TODAY + timedelta(days=1))
    assert still.stops
    assert (over.check, over.blocks) == ("waiver-expired", False)
    assert "until 2026-03-01" in over.why


def test_a_waiver_that_matches_nothing_is_said_with_its_reason() -> None:
    [idle] = apply_waivers([], [waiver()], TODAY)
    assert (idle.check, str(idle.object), idle.blocks) == ("waiver-unused", "Waiver pdb-blocks * shop/*", False)
    assert "agreed" in idle.why


def test_case_counts_and_other_checks_are_not_covered() -> None:
    found = [culprit(), culprit("pdb-empty")]
    after = apply_waivers(found, [waiver(thing="poddisruptionbudget *")], TODAY)
    assert [each.waived for each in after[:2]] == ["", ""]
    after = apply_waivers(found, [waiver(thing="*")], TODAY)
    assert [bool(each.waived) for each in after] == [True, False]


def test_every_check_can_be_waived_but_those_about_waivers() -> None:
    assert set(NAMES) == {each for each in CHECKS if not each.startswith("waiver-")}


def test_the_refusal_names_the_first_few_and_counts_the_rest() -> None:
    found = [culprit(name=name) for name in "edcba"] + [culprit("pdb-empty", blocks=False)]
    with pytest.raises(Unsafe) as refused:
        require_none("shop", "1.36", found)
    said = refused.value.message
    assert said == (
        "shop must not be upgraded to 1.36: PodDisruptionBudget shop/a (pdb-blocks): why; PodDisruptionBudget shop/b"
        " (pdb-blocks): why; PodDisruptionBudget shop/c (pdb-blocks): why; and 2 more."
    )


def test_warnings_refuse_nothing() -> None:
    require_none("shop", "1.36", [culprit(blocks=False)])
