"""The plan as text: what people read before they say yes."""

import os
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from boatyard.cli.output import Out
from boatyard.cli.plans import Planned, document, failure, plan_all, show
from boatyard.drivers.operation import Yard
from boatyard.errors import NotFound, Unsafe, Unsupported
from boatyard.plan.compute import compute, deletion, scaling
from boatyard.plan.model import Observed, ObservedPool, Phase, Touched, Verb
from boatyard.plan.render import as_markdown, as_text
from boatyard.spec.models import Cluster

FOLDER = Path(__file__).parents[2] / "cases" / "plan"
TIMES = {verb: timedelta(seconds=5) for verb in Verb}


def cluster(version="1.35", name="shop", **more):
    return Cluster.model_validate(
        {
            "name": name,
            "provider": {"kind": "kwok"},
            "kubernetes": {"version": version},
            "pools": [{"name": "web", "min": 3, "max": 6}, {"name": "batch", "min": 1}],
            **more,
        }
    )


def pool(name, count, version):
    return ObservedPool(name=name, versions={f"{name}-{i}": version for i in range(count)}, ready=count)


def running(version, *pools):
    return Observed(phase=Phase.RUNNING, version=version, pools={p.name: p for p in pools})


POLICY = {
    "upgrade": {
        "canary": "node",
        "strategy": "blue_green",
        "pause": "10m",
        "force_after": "5m",
        "before": [{"name": "announce", "command": ["/usr/local/bin/announce", "the upgrade begins"]}],
        "after": [{"name": "smoke-test", "deployment": "smoke-test/production", "parameters": {"of": "{cluster}"}}],
    }
}
LONG = ".".join(["warehouse-of-the-north"] * 4)
CASES = {
    "create": (cluster(), Observed(phase=Phase.ABSENT)),
    "nothing": (cluster(), running("1.35", pool("web", 3, "1.35"), pool("batch", 1, "1.35"))),
    "upgrade": (cluster("1.36"), running("1.34", pool("web", 9, "1.34"), pool("old", 2, "1.34"))),
    "upgrade-with-all": (
        cluster("1.36", policy=POLICY),
        running("1.35", pool("web", 9, "1.35"), pool("batch", 1, "1.35")),
    ),
    "hibernated": (cluster(), Observed(phase=Phase.HIBERNATED, version="1.35")),
    "long-name": (cluster(name=LONG), Observed(phase=Phase.ABSENT)),
}


def golden(name, text):
    file = FOLDER / f"{name}.txt"
    if os.environ.get("BOATYARD_UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


@pytest.mark.parametrize("name", CASES)
def test_a_plan_reads_like_this(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    wanted, observed = CASES[name]
    show(Out(), [Planned(wanted, plan=compute(wanted, observed, {}, TIMES))])
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    golden(name, text)


def test_a_deletion_reads_like_this(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    show(Out(), [Planned(cluster(), plan=deletion(cluster(), running("1.35"), TIMES))])
    golden("delete", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"web": 2}, "1 step, disruptive,"),
        ({"web": 2, "batch": 0}, "2 steps, all disruptive,"),
        ({"web": 4}, "1 step, none disruptive,"),
        ({"web": 4, "batch": 0}, "2 steps, 1 of them disruptive,"),
    ],
)
def test_steps_and_nodes_are_counted_in_words(counts, told):
    wanted = cluster(pools=[{"name": "web", "min": 1, "max": 6}, {"name": "batch", "min": 0, "max": 2}])
    plan = scaling(wanted, running("1.35", pool("web", 3, "1.35"), pool("batch", 1, "1.35")), counts, TIMES)
    text = as_text(plan)
    assert told in text
    assert "1 nodes" not in text


def test_a_fleet_tells_what_differs_and_counts_the_rest(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    planned = [
        Planned(wanted, plan=compute(wanted, observed, {}, TIMES)) for wanted, observed in list(CASES.values())[:2]
    ]
    planned.append(Planned(cluster(name="gone"), error=NotFound("there is no file gone/app.yaml.")))
    show(Out(), planned)
    golden("fleet", capsys.readouterr().out)


def test_an_error_of_one_keeps_its_family_and_counts():
    planned = [Planned(cluster(), error=Unsafe("no.")), Planned(cluster(name="b"), plan=None, error=NotFound("gone."))]
    error = failure(planned)
    assert isinstance(error, Unsafe)
    assert "2 of 2" in str(error)
    assert "shop" in str(error)
    assert "b" in str(error)


def test_the_document_says_the_same_as_the_text():
    wanted, observed = CASES["create"]
    plan = compute(wanted, observed, {}, TIMES)
    told = document(Planned(wanted, plan=plan))
    assert [(step["verb"], step["target"]) for step in told["steps"]] == [(s.verb.value, s.target) for s in plan.steps]
    assert told["digest"] == plan.digest
    assert told["expected_seconds"] == 10.0


def test_a_digest_follows_what_is_done_not_why_or_how_long():
    wanted, observed = CASES["create"]
    plan = compute(wanted, observed, {}, TIMES)
    other_words = plan.model_copy(
        update={"steps": tuple(s.model_copy(update={"reason": "!", "expected": timedelta(1)}) for s in plan.steps)}
    )
    other_deeds = plan.model_copy(update={"steps": plan.steps[:-1]})
    assert plan.digest == other_words.digest
    assert plan.digest != other_deeds.digest
    assert plan.digest != compute(cluster(name="b"), observed, {}, TIMES).digest


def test_what_steps_touch_is_told_below_them_and_is_no_part_of_what_is_named():
    plan = compute(*CASES["upgrade"], {}, TIMES)
    first, second, *others = plan.steps
    new = [Touched(deed="create", kind="Subnet", name=f"{at}.shop") for at in range(7)]
    old = [
        Touched(deed="modify", kind="LaunchTemplate", name="web.shop", fields=("ImageID", "UserData")),
        Touched(deed="delete", kind="Vpc", name="shop", explained=False),
    ]
    asked = [first.model_copy(update={"resources": (*new, *old)}), second.model_copy(update={"resources": ()})]
    told = plan.model_copy(update={"steps": (*asked, *others)})
    for text in (as_text(told), as_markdown(told)):
        assert "creates 7 resources: 7 Subnet" in text
        assert "modifies LaunchTemplate/web.shop (ImageID, UserData)" in text
        assert "deletes Vpc/shop, which this step does not explain: it would be refused" in text
        assert text.count("touches no further resource") == 1
    assert told.digest == plan.digest
    assert (plan.foreseen, plan.foreseen_digest) == (None, "")
    assert told.foreseen is not None
    assert "modify LaunchTemplate/web.shop" in told.foreseen
    fewer = told.model_copy(update={"steps": (asked[1], asked[1].model_copy(update={"id": "again"}))})
    assert len({fewer.foreseen_digest, told.foreseen_digest, ""}) == 3


def test_resources_are_refused_where_no_driver_can_tell_of_them():
    with pytest.raises(Unsupported, match="the kwok driver cannot tell beforehand"):
        plan_all(cast(Yard, None), [cluster()], resources=True)
