"""A rehearsal's report for people: plain text for a terminal 80 columns wide, Markdown for the Prefect UI."""

import textwrap

from boatyard.plan import model
from boatyard.sandbox.rehearsal.report import Hold, LeftOut, Report, StepTime, Unloadable, Waiting
from boatyard.spec.types import format_duration
from boatyard.words import some

WIDTH = 80
_SHOWN = 20
"""Of each list; the whole of it stands in the JSON document."""


def verdict(report: Report) -> str:
    """One sentence."""
    what = f"{report.cluster} from Kubernetes {report.version} to {report.to}"
    if report.well:
        return f"{what} was rehearsed; nothing stands in the way."
    if not report.blockers:
        return f"{what} was rehearsed in part only."
    count = len(report.blockers)
    return f"{what} was rehearsed; {count} {'thing stands' if count == 1 else 'things stand'} in the way."


def sections(report: Report) -> dict[str, list[str]]:
    """Title → lines; what stands in the way comes first. Parts that have nothing to say are left out."""
    for_ever = [each for each in report.holds if each.for_ever]
    afterwards = [_waiting(each) for each in report.waiting if each.at_the_end]
    meanwhile = [_waiting(each) for each in report.waiting if not each.at_the_end]
    found = {
        "Objects that do not load on the new version": [_unloadable(each) for each in report.unloadable],
        "PodDisruptionBudgets that hold for ever": [_for_ever(each) for each in for_ever if not each.forced],
        "Pods without a node afterwards": afterwards,
        "Steps that failed": [f"{each.what}: {each.error}" for each in report.steps if each.error],
        "Steps, on the twin and estimated for the cluster": [_step(each) for each in report.steps],
        "Steps that were left out, and the time they add": [_left_out(each) for each in report.left_out],
        "PodDisruptionBudgets that the policy acts against": [_for_ever(each) for each in for_ever if each.forced],
        "PodDisruptionBudgets that held pods for a while": _for_a_while(report),
        "Nodes drained": _drained(report),
        "Pods that waited for a node meanwhile": meanwhile,
        "Pods that nobody brings back": list(report.gone),
        "Deprecated, and still served": list(report.deprecated),
        "Where the twin differs from the cluster": list(report.notes),
    }
    return {title: lines for title, lines in found.items() if lines}


def as_text(report: Report, width: int = WIDTH) -> str:
    """Verdict, parts, and where the numbers come from."""
    lines = _wrapped(verdict(report), width)
    for title, found in sections(report).items():
        lines += ["", f"{title}:"]
        for each in _cut(found):
            lines += _wrapped(each, width, "  ", "      ")
    lines.append("")
    return "\n".join(lines + _wrapped(_origin(report), width))


def as_markdown(report: Report) -> str:
    """The same, as an artifact."""
    parts = [f"**{verdict(report)}**"]
    for title, found in sections(report).items():
        parts.append(f"### {title}\n" + "\n".join(f"- {each}" for each in _cut(found)))
    return "\n\n".join([*parts, _origin(report)])


def _origin(report: Report) -> str:
    return (
        f"Rehearsed at {report.at:%Y-%m-%d %H:%M} UTC in {report.seconds:.0f} s on a twin with"
        f" {report.objects} objects, {model.nodes(report.nodes)} and {_pods(report.pods)}. The cluster itself was only"
        f" read. It would take about {format_duration(report.estimate)}: an estimate by what its driver usually takes,"
        " without what budgets hold."
    )


def _unloadable(each: Unloadable) -> str:
    by = f", as {some(each.written_by)} writes it" if each.written_by else ""
    return f"{each}{by}: {each.reason.rstrip('.')}."


def _for_ever(hold: Hold) -> str:
    where = f" on {some(hold.nodes)}" if hold.nodes else ""
    return f"{hold.namespace}/{hold.name}, for {some(hold.owners)}{where}: {hold.why}."


def _for_a_while(report: Report) -> list[str]:
    """A line each; those of less than a second, which are budgets at their work, in one."""
    held = [each for each in report.holds if not each.for_ever]
    long = [each for each in held if each.seconds >= 1]
    lines = [f"{e.namespace}/{e.name} ({e.rule}): {e.seconds:g} s for {some(e.owners)}" for e in long]
    short = len(held) - len(long)
    return lines + ([f"{short}{' more' if long else ''} for less than a second each"] if short else [])


def _waiting(each: Waiting) -> str:
    pods = _pods(each.pods) if each.at_the_end else f"up to {_pods(each.pods)} for {each.seconds:g} s"
    return f"{each.workload}, {pods}: {each.reason.rstrip('.')}."


def _step(step: StepTime) -> str:
    took = "not done" if step.seconds is None else f"{step.seconds:g} s"
    return f"{step.what}: {took}, estimate {format_duration(step.estimate)}"


def _left_out(each: LeftOut) -> str:
    return (
        f"{each.what}: {format_duration(each.time)}"
        if each.known
        else f"{each.what}: estimate {format_duration(each.time)}"
    )


def _drained(report: Report) -> list[str]:
    """A line a pool."""
    found = []
    for pool in dict.fromkeys(each.pool for each in report.drained):
        nodes = [each for each in report.drained if each.pool == pool]
        slowest = max(nodes, key=lambda each: each.seconds)
        pods = _pods(sum(each.pods for each in nodes))
        found.append(
            f"pool {pool}: {model.nodes(len(nodes))} with {pods}, the slowest {slowest.node} in {slowest.seconds:g} s"
        )
    return found


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"


def _cut(lines: list[str]) -> list[str]:
    return lines if len(lines) <= _SHOWN else [*lines[:_SHOWN], f"and {len(lines) - _SHOWN} more"]


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
