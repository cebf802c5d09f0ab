"""Who is asked sees what the steps touch at the provider, and an answer counts for that alone."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from boatyard.errors import Unsafe
from boatyard.plan.model import Plan, Step, Touched, Verb
from boatyard.plan.render import as_markdown
from tasks import steps
from tasks.approval import Approved

STEP = Step(id="1", verb=Verb.CONFIGURE, target="shop", reason="sshAccess", disrupts="nodes are replaced")
PLAN = Plan(cluster="shop", provider="kops", steps=(STEP,))
NEW = Touched(deed="create", kind="SecurityGroupRule", name="from-192.0.2.0/24")
FORESEEN = PLAN.model_copy(update={"steps": (STEP.model_copy(update={"resources": (NEW,)}),)})


class Doing:
    """Stands for the operation. `during`: what may be touched while the steps run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, approve: bool) -> None:
        self.cluster = SimpleNamespace(name="shop", policy=SimpleNamespace(upgrade=SimpleNamespace(approve=approve)))
        self.foreseen: frozenset[str] | None = None
        self.asked: list[tuple[str, str]] = []
        self.during: list[frozenset[str] | None] = []
        self.looks = 0
        self.undecided = nullcontext
        monkeypatch.setattr(steps, "operation", lambda: self)
        monkeypatch.setattr(steps, "show_plan", lambda plan: None)
        monkeypatch.setattr(steps, "_run_steps", lambda plan: self.during.append(self.foreseen))
        monkeypatch.setattr(steps, "_ask", self.ask)

    def ask(self, text: str, key: str) -> Approved:
        self.asked.append((text, key))
        return Approved("by a test")

    def foresee(self, plan: Plan) -> Plan:
        self.looks += 1
        return FORESEEN

    def plan(self) -> Plan:
        return PLAN

    def observe(self) -> None:
        return None


def test_the_question_shows_them_and_nothing_else_is_touched_then(monkeypatch: pytest.MonkeyPatch) -> None:
    doing = Doing(monkeypatch, approve=True)
    steps.run_plan(PLAN)
    assert doing.asked == [(as_markdown(FORESEEN), PLAN.digest + FORESEEN.foreseen_digest)]
    assert "creates SecurityGroupRule/from-192.0.2.0/24" in doing.asked[0][0]
    assert doing.during == [frozenset({"create SecurityGroupRule/from-192.0.2.0/24"})]
    assert doing.foreseen is None


def test_where_nobody_is_asked_the_provider_is_not_either(monkeypatch: pytest.MonkeyPatch) -> None:
    doing = Doing(monkeypatch, approve=False)
    steps.run_plan(PLAN)
    assert (doing.looks, doing.asked, doing.during) == (0, [], [None])


def test_other_resources_than_those_that_were_agreed_to_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    doing = Doing(monkeypatch, approve=True)
    with pytest.raises(Unsafe, match="touches other resources by now"):
        steps.converge(expect=PLAN.digest, expect_resources="another")
    assert doing.during == []
    steps.converge(expect=PLAN.digest, expect_resources=FORESEEN.foreseen_digest)
    assert doing.during == [FORESEEN.foreseen]
    assert doing.asked == [], "it was agreed to"
