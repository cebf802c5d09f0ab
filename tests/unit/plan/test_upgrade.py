"""The steps of an upgrade: what comes first and alone, what each waits for, and that it can stop anywhere."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boatyard.plan.compute import compute
from boatyard.plan.model import UPGRADING, Observed, ObservedPool, Phase, Plan, Step, Verb
from boatyard.plan.render import as_markdown, as_text, critical_path
from boatyard.spec.models import Cluster

CHANGES = (Verb.UPGRADE_CONTROL_PLANE, Verb.UPGRADE_POOL, Verb.PREPARE_POOL)


def cluster(version="1.35", pools=("web", "batch", "db"), nodes=4, **upgrade) -> Cluster:
    return Cluster.model_validate(
        {
            "name": "shop",
            "provider": {"kind": "kwok"},
            "kubernetes": {"version": version},
            "pools": [{"name": name, "min": nodes} for name in pools],
            "policy": {"upgrade": upgrade},
        }
    )


def pool(name, *versions, **more) -> ObservedPool:
    return ObservedPool(name=name, versions={f"{name}-{at}": version for at, version in enumerate(versions)}, **more)


def running(version="1.34", *pools, **more) -> Observed:
    there = pools or [pool(name, *["1.34"] * 4) for name in ("web", "batch", "db")]
    return Observed(phase=Phase.RUNNING, version=version, pools={each.name: each for each in there}, **more)


def told(plan: Plan) -> list[str]:
    """A line a step of the upgrade, in order; validations as `=`."""
    words = {Verb.VALIDATE: "=", Verb.PAUSE: "rest"}
    return [
        words.get(step.verb) or f"{step.verb} {step.target}{' (canary)' if step.params.get('canary') else ''}"
        for step in plan.only(*UPGRADING).steps
    ]


CONTROL_PLANE = "upgrade control plane shop"


def test_every_change_comes_after_a_validation_and_the_last_is_followed_by_one():
    assert told(compute(cluster(), running(), {})) == [
        *("=", CONTROL_PLANE),
        *("=", "upgrade pool web"),
        *("=", "upgrade pool batch"),
        *("=", "upgrade pool db"),
        "=",
    ]


def test_an_upgrade_that_stopped_begins_with_the_validation_that_stopped_it():
    done = running("1.35", pool("web", *["1.35"] * 4), pool("batch", *["1.34"] * 4), pool("db", *["1.34"] * 4))
    assert told(compute(cluster(), done, {})) == ["=", "upgrade pool batch", "=", "upgrade pool db", "="]
    first = compute(cluster(), done, {}).steps[0]
    assert (first.params["rounds"], first.params["version"]) == (3, "1.35")


def test_the_control_planes_version_is_not_asked_about_before_it_is_whole():
    """Of several API servers some may be new already, when an upgrade of the control plane was cut off."""
    assert compute(cluster(), running(), {}).steps[0].params["version"] is None


def test_a_validation_asks_for_the_nodes_that_are_there():
    seen = running("1.34", pool("web", *["1.34"] * 2))
    (web,) = [step for step in compute(cluster(pools=["web", "new"]), seen, {}).steps if step.id == "validate-end"]
    assert web.params["pools"] == {"web": 2}, "two more, and the new pool, may come later"


def test_no_rounds_is_no_validation():
    assert told(compute(cluster(pools=["web"], rounds=0), running("1.35", pool("web", "1.34")), {})) == [
        "upgrade pool web"
    ]


def test_a_canary_node_goes_alone_and_is_validated_before_the_rest():
    plan = compute(cluster(canary="node"), running("1.35"), {})
    assert told(plan)[:4] == ["=", "upgrade pool web (canary)", "=", "upgrade pool web"]
    canary, whole = [step for step in plan.steps if step.target == "web"]
    assert (canary.params["nodes"], whole.params["nodes"]) == (1, 4)
    assert "pods of 1 node" in (canary.disrupts or "")
    assert told(plan).count("upgrade pool batch (canary)") == 0


@pytest.mark.parametrize(
    ("web", "canary"),
    [
        (pool("web", "1.35", "1.34", "1.34"), False),
        (pool("web", "1.35", "1.34", "1.34", standing_in=1), True),
        (pool("web", "1.34"), False),
        (pool("web", "1.35", "1.35", outdated=("web-0",)), False),
        (pool("web", "1.35", "1.35", outdated=("web-0", "web-1")), True),
    ],
    ids=["one is new", "one is on its way", "there is only one", "one is of the new configuration", "none is"],
)
def test_a_canary_goes_once(web, canary):
    plan = compute(cluster(pools=["web"], canary="node", nodes=1), running("1.35", web), {})
    assert ("upgrade pool web (canary)" in told(plan)) is canary


def test_a_canary_pool_goes_before_those_side_by_side():
    plan = compute(cluster(canary="pool", parallel_pools=2), running("1.35"), {})
    assert told(plan) == ["=", "upgrade pool web", "=", "upgrade pool batch", "upgrade pool db", "="]
    steps = {step.id: step for step in plan.steps}
    (before,) = steps["upgrade-pool-batch"].after
    assert steps["upgrade-pool-db"].after == (before,)
    assert steps[before].after == ("upgrade-pool-web",)
    assert set(steps["validate-end"].after) == {"upgrade-pool-batch", "upgrade-pool-db"}


def test_it_rests_between_control_plane_and_pools_and_not_before_the_first_step():
    plan = compute(cluster(pools=["web", "batch"], pause="1h"), running(), {})
    assert told(plan) == [
        *("=", CONTROL_PLANE),
        *("rest", "=", "upgrade pool web"),
        *("rest", "=", "upgrade pool batch"),
        "=",
    ]
    assert timedelta(hours=2) < critical_path(plan) < timedelta(hours=3)


def test_blue_green_brings_up_validates_and_only_then_empties():
    wanted = cluster(pools=["web"], nodes=1, strategy="blue_green", rounds=0)
    plan = compute(wanted, running("1.35", pool("web", "1.34")), {})
    assert told(plan) == ["prepare pool web", "=", "upgrade pool web"]
    assert (plan.steps[1].params["roll_back"], plan.steps[1].params["rounds"]) == ("web", 1)
    assert "if it fails, the new ones go" in plan.steps[1].reason


HOOKS = {
    "before": [{"name": "announce", "command": ["announce", "now"], "on_failure": "go_on", "retries": 2}],
    "after": [
        {"name": "first", "command": ["true"]},
        {"name": "smoke", "deployment": "smoke/all", "parameters": {"of": ["{cluster} {from}-{to} {x}"]}},
    ],
}


def test_hooks_are_steps_of_the_plan_and_say_what_they_run():
    plan = compute(cluster(pools=["web"], **HOOKS), running("1.34", pool("web", "1.34")), {})
    assert told(plan) == [
        "run hook announce",
        *("=", CONTROL_PLANE),
        *("=", "upgrade pool web"),
        *("=", "run hook first", "run hook smoke"),
    ]
    assert plan.steps[-1].params["parameters"] == {"of": ["shop 1.34-1.35 {x}"]}
    assert plan.steps[0].params["on_failure"] == "go_on"
    for text in (as_text(plan), as_markdown(plan)):
        assert "announce now" in text
        assert 'deployment smoke/all with of=["shop 1.34-1.35 {x}"]' in text


def test_without_a_change_no_hook_runs():
    whole = running("1.35", pool("web", "1.35"))
    assert compute(cluster(pools=["web"], nodes=1, **HOOKS), whole, {}).empty


def test_what_an_upgrade_owes_is_done_although_nothing_differs_any_more():
    whole = running("1.35", pool("web", "1.35"), upgrading=True)
    plan = compute(cluster(pools=["web"], nodes=1, **HOOKS), whole, {})
    assert told(plan) == ["=", "run hook first", "run hook smoke"]
    assert [step.ends_upgrade for step in plan.steps] == [False, False, True]


def test_what_cannot_be_undone_is_said_before_it_starts():
    plan = compute(cluster(), running(), {})
    marked = [step for step in plan.steps if step.no_way_back]
    assert {step.verb for step in marked} == {Verb.UPGRADE_CONTROL_PLANE, Verb.UPGRADE_POOL}
    assert "cannot return to 1.34" in (marked[0].no_way_back or "")
    assert as_text(plan).count("no way back: ") == as_markdown(plan).count("**no way back**: ") == len(marked)
    assert plan.model_dump(mode="json")["steps"][1]["no_way_back"] == marked[0].no_way_back


def test_that_budgets_may_be_passed_over_is_said_of_every_step_that_drains():
    seen = running("1.35", pool("web", *["1.34"] * 6), pool("old", "1.35"))
    plan = compute(cluster(pools=["web"], force_after="10m"), seen, {})
    for step in plan.disruptive:
        assert "pods that a budget holds back for 10m are deleted against it" in (step.disrupts or "")
    assert {step.verb for step in plan.disruptive} == {Verb.SCALE_POOL, Verb.UPGRADE_POOL, Verb.DELETE_POOL}
    never = compute(cluster(pools=["web"]), seen, {})
    assert "against it" not in as_text(never)


@pytest.mark.parametrize(("surge", "times"), [(None, 5), (1, 50), (10, 5), (100, 1)])
def test_the_expected_time_follows_how_many_go_at_once(surge, times):
    wanted = cluster(pools=["web"], nodes=50, surge=surge, rounds=0)
    plan = compute(wanted, running("1.35", pool("web", *["1.34"] * 50)), {}, {Verb.UPGRADE_POOL: timedelta(minutes=1)})
    assert plan.steps[0].expected == timedelta(minutes=times)


def test_nodes_on_top_of_an_upgrade_under_way_are_not_taken_for_too_many():
    seen = running("1.35", pool("web", *["1.34"] * 4, *["1.35"] * 4, standing_in=4))
    assert told(compute(cluster(pools=["web"]), seen, {})) == ["=", "upgrade pool web", "="]


policies = st.fixed_dictionaries(
    {},
    optional={
        "canary": st.sampled_from(["none", "node", "pool"]),
        "parallel_pools": st.integers(1, 4),
        "strategy": st.sampled_from(["rolling", "blue_green"]),
        "rounds": st.integers(0, 3),
        "pause": st.sampled_from(["0s", "5m"]),
        "surge": st.none() | st.integers(1, 5),
        "before": st.just(HOOKS["before"]),
        "after": st.just(HOOKS["after"]),
    },
)
minors = ["1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36"]


@st.composite
def behind(draw) -> tuple[Cluster, Observed]:
    names = draw(st.lists(st.sampled_from(["a", "b", "a-b", "a-canary"]), unique=True, min_size=1))
    now = draw(st.sampled_from(minors[1:]))
    known = [minor for minor in minors if minor <= now][-4:]
    pools = [pool(name, *draw(st.lists(st.sampled_from(known), min_size=1, max_size=5))) for name in names]
    wanted = cluster(draw(st.sampled_from([minor for minor in minors if minor >= now])), names, 1, **draw(policies))
    return wanted, running(now, *pools, upgrading=draw(st.booleans()))


def ancestors(plan: Plan, step: Step) -> set[str]:
    steps = {each.id: each for each in plan.steps}
    found: set[str] = set()
    left = list(step.after)
    while left:
        if (one := left.pop()) not in found:
            found.add(one)
            left += steps[one].after
    return found


@settings(max_examples=300, deadline=None)
@given(behind())
def test_whatever_the_policy_an_upgrade_keeps_its_order(case):
    wanted, seen = case
    policy = wanted.policy.upgrade
    plan = compute(wanted, seen, {}).only(*UPGRADING)
    steps = {step.id: step for step in plan.steps}
    changes = [step for step in plan.steps if step.verb in CHANGES]
    for one in changes:
        before = ancestors(plan, one)
        assert all(f"run-hook-{hook.name}" in before for hook in policy.before)
        if policy.rounds:
            waits = {steps[name].verb for name in one.after}
            assert Verb.VALIDATE in waits, f"{one} does not wait for a validation"
        if one.verb is Verb.UPGRADE_POOL:
            planes = [each for each in changes if each.verb is Verb.UPGRADE_CONTROL_PLANE]
            assert all(each.id in before for each in planes if each.params["version"] <= one.params["version"])
        if policy.strategy == "blue_green" and one.verb is Verb.UPGRADE_POOL and not one.params.get("canary"):
            (check,) = [steps[name] for name in one.after]
            assert check.params["roll_back"] == one.target
    ends = [step for step in plan.steps if step.ends_upgrade]
    assert len(ends) == bool((changes or seen.upgrading) and (policy.rounds or policy.after))
    for end in ends:
        assert {one.id for one in changes} <= ancestors(plan, end) | {end.id}
    groups = [step for step in changes if step.verb is Verb.UPGRADE_POOL and not step.params.get("canary")]
    for first, second in pairwise(groups):
        if policy.parallel_pools == 1:
            assert first.id in ancestors(plan, second), "pools of the spec's order, one after another"
    assert [step.params.get("canary", False) for step in changes].count(True) <= 2


@settings(max_examples=100, deadline=None)
@given(behind())
def test_a_plan_of_an_upgrade_depends_on_nothing_else(case):
    wanted, seen = case
    assert compute(wanted, seen, {}) == compute(wanted, seen, {})
    assert compute(wanted, seen, {}).digest == compute(wanted, seen, {}).digest
