"""An upgrade that a policy wants rehearsed goes ahead only after a good, fresh rehearsal of the same thing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from boatyard.errors import Unsafe
from boatyard.plan.compute import compute
from boatyard.plan.model import Observed, ObservedPool, Phase, Plan
from boatyard.sandbox.rehearsal.report import (
    Report,
    StepTime,
    Unloadable,
    check_rehearsed,
    left_out,
    spec_digest,
    step_key,
    upgrade_steps,
)
from boatyard.spec.models import Cluster

HOUR = timedelta(hours=1)
REMOVED = Unloadable(kind="Gone", name="x", api_version="example.com/v1beta1", version="1.36", reason="not served")


def cluster(**changes: Any) -> Cluster:
    data: dict[str, Any] = {
        "name": "shop",
        "provider": {"kind": "kwok"},
        "kubernetes": {"version": "1.36"},
        "pools": [{"name": "web", "min": 2}, {"name": "batch"}],
    }
    return Cluster.model_validate(data | changes)


def plan(control_plane: str, **pools: str) -> Plan:
    seen = {name: ObservedPool(name=name, versions={f"{name}-1": version}) for name, version in pools.items()}
    return compute(cluster(), Observed(phase=Phase.RUNNING, version=control_plane, pools=seen), {})


WHOLE = plan("1.35", web="1.35", batch="1.35")


def report(**changes: Any) -> Report:
    steps = tuple(
        StepTime(key=step_key(s), what=str(s), seconds=1.0, estimate=s.expected) for s in upgrade_steps(WHOLE).steps
    )
    made = Report(
        cluster="shop",
        provider="kwok",
        version="1.35",
        to="1.36",
        plan=upgrade_steps(WHOLE).digest,
        spec=spec_digest(cluster()),
        at=datetime(2026, 3, 1, tzinfo=UTC),
        seconds=60,
        estimate=timedelta(minutes=5),
        objects=10,
        nodes=2,
        pods=4,
        steps=steps,
    )
    return made.model_copy(update=changes)


def test_what_was_rehearsed_may_begin() -> None:
    check_rehearsed(report(), cluster(), "1.36", WHOLE, HOUR)


@pytest.mark.parametrize(
    "rest", [plan("1.36", web="1.35", batch="1.35"), plan("1.36", web="1.36", batch="1.35"), plan("1.36")]
)
def test_what_was_cut_off_goes_on_under_the_rehearsal_it_began_with(rest: Plan) -> None:
    check_rehearsed(report(), cluster(), "1.36", rest, HOUR)


@pytest.mark.parametrize(
    ("found", "age", "why"),
    [
        (None, HOUR, "none to 1.36 was"),
        (report(), timedelta(days=8), "8 days old"),
        (report(unloadable=(REMOVED,)), HOUR, "Gone x"),
        (report(steps=(*report().steps[:1], report().steps[1].model_copy(update={"seconds": None}))), HOUR, "its end"),
        (report(steps=report().steps[:2]), HOUR, "no step 'upgrade pool batch'"),
        (report(spec="another"), HOUR, "spec has changed"),
    ],
)
def test_everything_else_is_refused_with_what_to_do(found: Report | None, age: timedelta, why: str) -> None:
    with pytest.raises(Unsafe, match=why) as refused:
        check_rehearsed(found, cluster(), "1.36", WHOLE, age)
    assert refused.value.hint == "Run `boatyard rehearse shop --to 1.36`."


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"owner": "ann"}, True),
        ({"kubernetes": {"version": "1.35"}}, True),
        ({"policy": {"upgrade": {"rehearse": True, "approve": True}}}, True),
        ({"policy": {"maintenance": {"window": "Sat 02:00-06:00 UTC"}}}, True),
        ({"policy": {"upgrade": {"surge": 3}}}, False),
        ({"pools": [{"name": "web", "min": 3}]}, False),
    ],
)
def test_only_what_decides_how_it_goes_makes_another_spec(changes: dict[str, Any], same: bool) -> None:
    assert (spec_digest(cluster(**changes)) == spec_digest(cluster())) is same


def test_a_report_survives_the_store() -> None:
    whole = report(unloadable=(REMOVED,))
    assert Report.model_validate(whole.model_dump(mode="json")) == whole


def test_what_a_twin_cannot_show_is_counted_with_its_time() -> None:
    hooks = [{"name": "announce", "command": ["true"]}, {"name": "quick", "command": ["true"], "timeout": "5s"}]
    wanted = cluster(policy={"upgrade": {"pause": "10m", "before": hooks, "rounds": 3}})
    seen = {name: ObservedPool(name=name, versions={f"{name}-1": "1.35"}) for name in ("web", "batch")}
    whole = compute(wanted, Observed(phase=Phase.RUNNING, version="1.35", pools=seen), {})
    aside = left_out(whole)
    assert [(each.what, each.time, each.known) for each in aside[:3]] == [
        ("run hook announce", timedelta(minutes=1), False),
        ("run hook quick", timedelta(seconds=5), False),
        ("2 rests", timedelta(minutes=20), True),
    ]
    assert aside[3].what == "4 validations"
    assert left_out(upgrade_steps(whole)) == ()
