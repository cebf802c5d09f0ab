"""`boatyard apply`."""

import sys
from typing import TYPE_CHECKING

import click

from boatyard.cli.fleet_rules import keep
from boatyard.cli.output import Out
from boatyard.cli.remember import remember
from boatyard.cli.verb import resources_option, target_argument, verb
from boatyard.errors import BoatyardError, Unsafe
from boatyard.words import some

if TYPE_CHECKING:
    from boatyard.cli.flowrun import Session
    from boatyard.cli.plans import Planned
    from boatyard.spec.fleet import Fleet

ROUNDS = 3
"""A cluster that sleeps or is broken needs a second plan once it answers, and a third after a repair."""


@verb("boatyard apply demo.yaml", "boatyard apply fleet/ --yes     # every cluster of the folder")
@target_argument("FILE|FOLDER|NAME")
@click.option("--yes", is_flag=True, help="Do not ask; needed for disruptive steps where nobody can be asked.")
@resources_option
def command(out: Out, target: str, yes: bool, resources: bool) -> None:
    """Show what differs from the spec, ask, and carry out that plan and nothing else.

    Where there is no terminal to ask on, steps that disrupt nobody go ahead, and disruptive ones need --yes.
    With --resources, nothing is touched in the cloud that the plan did not show.
    """
    documents: dict[str, dict[str, object]] = {}
    for again in range(ROUNDS):
        planned, fleet = _plan(out, target, None if again == 0 else set(documents), resources)
        todo = [each for each in planned if each.plan]
        if again == 0:
            for each in planned:
                if not each.plan:
                    remember(each.cluster)
                    documents[each.cluster.name] = _nothing(each.cluster.name)
        if todo:
            _agree(todo, yes, out)
        if again == 0:
            keep(out, fleet, target)
        if todo:
            documents |= _carry_out(out, todo)
        if not any(each.plan.incomplete for each in todo if each.plan):
            break
    out.emit({"results": [documents[name] for name in sorted(documents)]})


def _plan(out: Out, target: str, only: set[str] | None, resources: bool) -> "tuple[list[Planned], Fleet | None]":
    """Plan, and show it. only: the clusters of a second round."""
    from boatyard.cli import plans
    from boatyard.cli.looking import chosen, looking

    with looking() as yard:
        clusters, fleet = chosen(target, yard.store)
        chosen_now = [each for each in clusters if only is None or each.name in only]
        planned = plans.plan_all(yard, chosen_now, resources=resources)
    error = plans.failure(planned)
    if not out.json and not (error and len(planned) == 1):
        plans.show(out, planned)
    if error is not None:
        raise error
    return planned, fleet


def _nothing(cluster: str) -> dict[str, object]:
    return {"cluster": cluster, "operation": "apply", "outcome": "nothing to do"}


def _agree(todo: "list[Planned]", yes: bool, out: Out) -> None:
    """Go on, ask, or refuse."""
    if yes:
        return
    if sys.stdin.isatty() and out.stream.isatty():
        out.line()
        if not click.confirm("Carry this out?", default=False, err=out.json):
            raise Unsafe("nothing was changed.")
        return
    disruptive = [f"{step} of {each.cluster.name}" for each in todo if each.plan for step in each.plan.disruptive]
    if disruptive:
        raise Unsafe(
            f"the plan disrupts ({some(disruptive)}) and there is nobody to ask; nothing was changed.",
            hint="Give --yes.",
        )


def _carry_out(out: Out, todo: "list[Planned]") -> dict[str, dict[str, object]]:
    """Cluster after cluster on one server; an error of one does not keep the others from theirs."""
    from boatyard.cli.flowrun import flows

    documents: dict[str, dict[str, object]] = {}
    failed: dict[str, BoatyardError] = {}
    with flows(out) as session:
        for each in todo:
            name = each.cluster.name
            try:
                documents[name] = _one(out, session, each)
            except BoatyardError as error:
                failed[name] = error
                if len(todo) > 1:
                    session.progress.note(f"{name}: {error}")
    if failed:
        first = next(iter(failed.values()))
        if len(todo) > 1:
            first.message = f"{len(failed)} of {len(todo)} clusters failed: {', '.join(failed)}."
            first.hint = "The reasons stand above."
        raise first
    return documents


def _one(out: Out, session: "Session", planned: "Planned") -> dict[str, object]:
    from boatyard.plan.render import as_text

    cluster, plan = planned.cluster, planned.plan
    if plan is None:
        raise TypeError(f"no plan for {cluster.name}")
    given = {"cluster": cluster, "expect": plan.digest}
    if plan.foreseen is not None:
        given["expect_resources"] = plan.foreseen_digest
    ran = session.call("apply", "apply_cluster", cluster.name, given, hide=(as_text(plan),))
    session.progress.note(f"{cluster.name} is as that plan says.")
    return ran.document(cluster.name, "apply", digest=plan.digest)
