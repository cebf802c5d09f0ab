"""Plans of one cluster or a whole fleet, made side by side, and how they are shown."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boatyard.cli.output import Out
from boatyard.errors import BoatyardError, Unsupported

if TYPE_CHECKING:
    from boatyard.drivers.base import Finding
    from boatyard.drivers.operation import Yard
    from boatyard.plan.model import Plan
    from boatyard.spec.models import Cluster

CHANGES = 2
"""Exit code of `plan` when there is something to do."""
SIDE_BY_SIDE = 16


@dataclass(frozen=True)
class Planned:
    """A cluster with its plan, or with the error that stopped the planning."""

    cluster: "Cluster"
    plan: "Plan | None" = None
    error: BoatyardError | None = None
    first: "tuple[Finding, ...]" = ()
    """Of a cluster to be created: what is made or mended before."""


def plan_all(yard: "Yard", clusters: "Sequence[Cluster]", *, resources: bool = False) -> list[Planned]:
    """Plans in the order of the clusters; an error of one does not keep the others from theirs.

    resources: with what the steps touch at the provider; `Unsupported` where no driver of the clusters can ask for it.
    """
    if resources:
        _refuse_blind(clusters)
    if len(clusters) == 1:
        return [_plan(yard, clusters[0], resources)]
    with ThreadPoolExecutor(min(SIDE_BY_SIDE, len(clusters))) as pool:
        return list(pool.map(lambda cluster: _plan(yard, cluster, resources), clusters))


def _refuse_blind(clusters: "Sequence[Cluster]") -> None:
    from boatyard.drivers.base import Foresighted
    from boatyard.drivers.registry import driver_class

    kinds = sorted({cluster.provider.kind for cluster in clusters})
    if kinds and not any(issubclass(driver_class(kind), Foresighted) for kind in kinds):
        raise Unsupported(
            f"--resources: the {' and the '.join(kinds)} driver cannot tell beforehand which resources a step touches.",
            hint="The kops driver can; plan without --resources.",
        )


def _plan(yard: "Yard", cluster: "Cluster", resources: bool) -> Planned:
    from boatyard.drivers.operation import foresee, plan_for
    from boatyard.plan.model import Verb

    try:
        driver = yard.reader(cluster)
        plan = plan_for(driver, cluster, yard.look(driver, cluster.name), yard.settings.home)
        creates = any(step.verb is Verb.CREATE for step in plan.steps)
        first = tuple(each for each in driver.preflight() if each.repair) if creates else ()
        if resources:
            plan = foresee(yard, cluster, plan)
        return Planned(cluster, plan=plan, first=first)
    except BoatyardError as error:
        return Planned(cluster, error=error)


def show(out: Out, planned: Sequence[Planned]) -> None:
    """Every plan for people; of a fleet, first those with something to do, then a line that counts the others."""
    quiet = [each for each in planned if each.plan is not None and each.plan.empty]
    loud = [each for each in planned if each not in quiet]
    for at, each in enumerate(loud):
        if at:
            out.line()
        if each.plan is not None:
            _show_first(out, each)
            show_plan(out, each.plan)
        elif len(planned) > 1:
            out.say(f"{each.cluster.name}: {each.error}", indent="  ")
    if quiet and len(planned) > 1:
        if loud:
            out.line()
        out.say(f"{len(quiet)} of {len(planned)} clusters are as their specs say; nothing to do.")
    elif quiet and quiet[0].plan is not None:
        show_plan(out, quiet[0].plan)


def _show_first(out: Out, planned: Planned) -> None:
    if not planned.first:
        return
    out.line(out.paint(f"Before {planned.cluster.name} is created:", "bold"))
    for each in planned.first:
        wrapped(out, "  ", f"+ {each.subject}: {each.fix}", "green")
        wrapped(out, "      ", f"because {each.problem}", "")
    out.line()


def show_plan(out: Out, plan: "Plan") -> None:
    """The plan as `boatyard.plan.render` words it, wrapped and coloured."""
    from boatyard.plan.render import as_text

    colours = {"+": "green", "-": "red", "~": "yellow"}
    for line in as_text(plan).splitlines():
        body = line.lstrip()
        indent = " " * (len(line) - len(body))
        colour = colours.get(body[:1], "") if indent else "bold"
        wrapped(out, indent, body, colour)


def wrapped(out: Out, indent: str, body: str, colour: str = "") -> None:
    """A paragraph within the width, each line of it indented."""
    import textwrap

    from boatyard.cli.output import columns

    more = indent + ("    " if indent else "  ")
    for line in textwrap.wrap(body, columns(), initial_indent=indent, subsequent_indent=more, break_on_hyphens=False):
        out.line(out.paint(line, colour) if colour else line)


def failure(planned: Sequence[Planned]) -> BoatyardError | None:
    """What to raise in the end: the one error, or the first with how many more there are."""
    errors = [(each.cluster.name, each.error) for each in planned if each.error is not None]
    if not errors:
        return None
    if len(planned) == 1:
        return errors[0][1]
    first = errors[0][1]
    first.message = (
        f"{len(errors)} of {len(planned)} clusters could not be planned: " + ", ".join(n for n, _ in errors) + "."
    )
    first.hint = "The reasons stand above."
    return first


def document(planned: Planned) -> dict[str, Any]:
    """One plan for programs."""
    if planned.plan is None:
        error = planned.error
        return {"cluster": planned.cluster.name, "error": {"type": type(error).__name__, "message": str(error)}}
    from boatyard.plan.render import critical_path, summary

    plan = planned.plan
    return {
        "cluster": plan.cluster,
        "provider": plan.provider,
        "digest": plan.digest,
        "summary": summary(plan),
        "incomplete": plan.incomplete,
        "prerequisites": [{"subject": f.subject, "problem": f.problem, "fix": f.fix} for f in planned.first],
        "expected_seconds": critical_path(plan).total_seconds(),
        "steps": [
            step.model_dump(mode="json", exclude={"expected"}) | {"expected_seconds": step.expected.total_seconds()}
            for step in plan.steps
        ],
    }
