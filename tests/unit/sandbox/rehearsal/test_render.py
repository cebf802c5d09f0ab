"""What a person reads: everything that stands in the way first, 80 columns wide, and never more than fits a screen."""

from datetime import UTC, datetime, timedelta
from typing import Any

from boatyard.sandbox.rehearsal.render import as_markdown, as_text, verdict
from boatyard.sandbox.rehearsal.report import Drained, Hold, LeftOut, Report, StepTime, Unloadable, Waiting

STEPS = (
    StepTime(key="a", what="upgrade control plane shop", seconds=11.4, estimate=timedelta(minutes=6)),
    StepTime(key="b", what="upgrade pool web", seconds=16.8, estimate=timedelta(minutes=12)),
)
BETA = "admissionregistration.k8s.io/v1beta1"


def report(**changes: Any) -> Report:
    whole = Report(
        cluster="shop.k8s.example.com",
        provider="kops",
        version="1.33",
        to="1.34",
        plan="p",
        spec="s",
        at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
        seconds=54.3,
        estimate=timedelta(minutes=18),
        objects=500,
        nodes=4,
        pods=50,
        steps=STEPS,
    )
    return whole.model_copy(update=changes)


def bad() -> Report:
    return report(
        unloadable=(
            Unloadable(
                kind="ValidatingAdmissionPolicy",
                name="few-replicas",
                api_version=BETA,
                version="1.34",
                written_by=("kubectl",),
                replacement="admissionregistration.k8s.io/v1",
                reason=f"Kubernetes 1.34 does not serve {BETA} any more; write it in admissionregistration.k8s.io/v1",
            ),
        ),
        holds=(
            Hold(
                namespace="team",
                name="stubborn",
                rule="minAvailable 2",
                seconds=10,
                for_ever=True,
                owners=("Deployment team/stubborn",),
                nodes=("web-1",),
                why="it allows no disruption",
            ),
            Hold(namespace="team", name="slow", rule="maxUnavailable 1", seconds=4.2, owners=("Deployment team/slow",)),
            Hold(namespace="team", name="quick", rule="maxUnavailable 1", seconds=0.4, owners=("Deployment team/q",)),
        ),
        waiting=(
            Waiting(workload="Deployment team/big", pods=2, reason="3 Insufficient cpu.", at_the_end=True),
            Waiting(workload="Deployment team/brief", pods=1, reason="1 Insufficient memory.", seconds=2.5),
        ),
        drained=(
            Drained(pool="web", node="web-1", pods=30, seconds=10.1),
            Drained(pool="web", node="web-2", pods=17, seconds=3),
        ),
        gone=("Pod team/lonely",),
        notes=("webhooks are loaded and never called: closed",),
    )


def test_a_good_one_says_so_in_one_sentence_with_its_times_and_where_they_are_from() -> None:
    assert report().well
    text = as_text(report())
    assert text.splitlines()[0].startswith("shop.k8s.example.com from Kubernetes 1.33 to 1.34 was rehearsed;")
    assert "upgrade pool web: 16.8 s, estimate 12m" in text
    assert "about 18m: an estimate" in " ".join(text.split())


def test_everything_that_stands_in_the_way_is_counted_and_comes_first() -> None:
    text = as_text(bad())
    assert verdict(bad()).endswith("3 things stand in the way.")
    order = ["do not load", "hold for ever", "without a node afterwards", "Steps,", "for a while", "meanwhile"]
    assert [text.index(each) for each in order] == sorted(text.index(each) for each in order)
    words = " ".join(text.split())
    for said in (
        "ValidatingAdmissionPolicy few-replicas, as kubectl writes it: Kubernetes 1.34 does not serve",
        "team/stubborn, for Deployment team/stubborn on web-1: it allows no disruption.",
        "Deployment team/big, 2 pods: 3 Insufficient cpu.",
        "team/slow (maxUnavailable 1): 4.2 s for Deployment team/slow 1 more for less than a second each",
        "pool web: 2 nodes with 47 pods, the slowest web-1 in 10.1 s",
        "Deployment team/brief, up to 1 pod for 2.5 s: 1 Insufficient memory.",
        "Pod team/lonely",
    ):
        assert said in words


def test_a_budget_that_the_policy_acts_against_is_told_and_stands_in_nobody_s_way() -> None:
    forced = tuple(each.model_copy(update={"forced": True}) for each in bad().holds)
    told = report(holds=forced)
    assert told.well
    assert "that the policy acts against:\n  team/stubborn, for" in as_text(told)
    assert "hold for ever" not in as_text(told)


def test_it_fits_80_columns_and_one_screen_a_part() -> None:
    many = bad().unloadable * 300
    text = as_text(bad().model_copy(update={"unloadable": many}))
    assert max(map(len, text.splitlines())) <= 80
    assert "and 280 more" in text
    assert as_markdown(bad()).count("### ") == 9


def test_a_step_that_was_not_reached_is_neither_good_nor_forgotten() -> None:
    part = report(steps=(STEPS[0], STEPS[1].model_copy(update={"seconds": None})))
    assert not part.well
    assert "in part only" in verdict(part)
    assert "upgrade pool web: not done" in as_text(part)
    failed = report(steps=(STEPS[0].model_copy(update={"seconds": None, "error": "it broke."}), STEPS[1]))
    assert failed.blockers == ("upgrade control plane shop failed: it broke.",)


def test_what_was_left_out_is_told_with_the_time_it_adds() -> None:
    aside = (
        LeftOut(what="run hook announce", time=timedelta(minutes=1)),
        LeftOut(what="2 rests", time=timedelta(minutes=20), known=True),
    )
    text = as_text(report(left_out=aside))
    assert "Steps that were left out, and the time they add:" in text
    assert "  run hook announce: estimate 1m\n  2 rests: 20m\n" in text
    assert "left out" not in as_text(report())
