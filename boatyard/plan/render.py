"""A plan for people: plain text for a terminal 80 columns wide, Markdown for the Prefect UI. Both say the same."""

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

from boatyard.plan.model import Plan, Step, Touched, Verb, nodes
from boatyard.spec.types import format_duration

SIGNS = {"create": "+", "wake": "+", "repair": "~", "hibernate": "-", "delete": "-", "remove": "-", "deploy": "+"}
_NAMED = 6
"""So many new resources of a step are named; of more, only their kinds are counted."""
SIGNS |= {"prepare": "+", "validate": "=", "pause": "="}


def sign(step: Step) -> str:
    """`+` adds, `-` takes away, `~` changes, `=` leaves all as it is."""
    return SIGNS.get(step.verb.split()[0], "~")


def critical_path(plan: Plan) -> timedelta:
    """Expected time of the whole plan when independent steps run side by side."""
    ends: dict[str, timedelta] = {}
    for step in plan.steps:
        ends[step.id] = max((ends[name] for name in step.after), default=timedelta()) + step.expected
    return max(ends.values(), default=timedelta())


def summary(plan: Plan) -> str:
    """One sentence."""
    if plan.empty:
        return f"{plan.cluster} is as the spec says; nothing to do."
    disruptive = len(plan.disruptive)
    steps = "1 step" if len(plan.steps) == 1 else f"{len(plan.steps)} steps"
    rest = "none disruptive" if not disruptive else f"{disruptive} of them disruptive"
    if disruptive == len(plan.steps):
        rest = "disruptive" if disruptive == 1 else "all disruptive"
    return f"{plan.cluster}: {steps}, {rest}, about {format_duration(critical_path(plan))}."


def as_text(plan: Plan) -> str:
    """A line a step, and under it why and whom it disturbs."""
    lines = [summary(plan)]
    for step in plan.steps:
        lines.append(f"  {sign(step)} {step.verb} {step.target}{_detail(step)}  ({format_duration(step.expected)})")
        lines.append(f"      because {step.reason}")
        if step.disrupts:
            lines.append(f"      disrupts: {step.disrupts}")
        if step.no_way_back:
            lines.append(f"      no way back: {step.no_way_back}")
        lines += [f"      {line}" for line in _touched(step)]
    if plan.incomplete:
        lines.append("What else differs can be told once it answers; a second plan will show it.")
    return "\n".join(lines)


def as_markdown(plan: Plan) -> str:
    """A list, for an artifact and for the question: of a table, the UI hides the right half where it is narrow."""
    lines = [f"**{summary(plan)}**", ""]
    for step in plan.steps:
        what = f"`{sign(step)}` **{step.verb}** {step.target}{_detail(step)} ({format_duration(step.expected)})"
        lines.append(f"- {what}: {step.reason}")
        if step.disrupts:
            lines.append(f"  - disrupts: {step.disrupts}")
        if step.no_way_back:
            lines.append(f"  - **no way back**: {step.no_way_back}")
        lines += [f"  - {line}" for line in _touched(step)]
    if plan.incomplete:
        lines += ["", "What else differs can be told once it answers; a second plan will show it."]
    return "\n".join(lines)


def _touched(step: Step) -> Iterator[str]:
    if step.resources is None:
        return
    if not step.resources:
        yield "touches no further resource"
    yield from told_of(step.resources)


def told_of(resources: Sequence[Touched]) -> Iterator[str]:
    """`modifies LaunchTemplate/web.k8s.example.com (ImageID, UserData)`: a line a resource; many new ones by kind."""
    new = [one for one in resources if one.deed == "create" and one.explained]
    if len(new) > _NAMED:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(one.kind for one in new).items()))
        yield f"creates {len(new)} resources: {kinds}"
    for one in resources:
        if len(new) <= _NAMED or one not in new:
            yield _resource(one)


def _resource(one: Touched) -> str:
    fields = f" ({', '.join(one.fields)})" if one.fields else ""
    refused = "" if one.explained else ", which this step does not explain: it would be refused"
    return (
        f"{one.deed.removesuffix('y')}{'ies' if one.deed == 'modify' else 's'} {one.kind}/{one.name}{fields}{refused}"
    )


def _detail(step: Step) -> str:
    match step.verb:
        case Verb.VALIDATE:
            rounds = step.params["rounds"]
            return f" {rounds} times in a row" if rounds > 1 else ""
        case Verb.PAUSE:
            return f" for {format_duration(step.expected)}"
        case Verb.RUN_HOOK:
            return f" ({_deed(step)})"
        case Verb.UPGRADE_POOL if step.params.get("canary"):
            return f" to {step.params['version']}, one node of it"
        case Verb.PREPARE_POOL:
            return f" with {nodes(step.params['nodes'])} at {step.params['version']}"
    if "count" in step.params:
        count = step.params["count"]
        return f" {'with' if step.verb == Verb.CREATE_POOL else 'to'} {count} {'node' if count == 1 else 'nodes'}"
    if "phase" in step.params:
        return f" ({step.params['phase']})"
    if "version" in step.params:
        return f" {'at' if step.verb == Verb.CREATE else 'to'} {step.params['version']}"
    return ""


def _deed(step: Step) -> str:
    """A hook's command as it would be typed, or the deployment it starts."""
    if "command" in step.params:
        return shlex.join(step.params["command"])
    told = ", ".join(f"{name}={json.dumps(value)}" for name, value in step.params["parameters"].items())
    return f"deployment {step.params['deployment']}" + (f" with {told}" if told else "")
