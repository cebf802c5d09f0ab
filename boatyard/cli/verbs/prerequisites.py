"""`boatyard prerequisites`."""

from typing import TYPE_CHECKING

import click

from boatyard.cli.output import Out
from boatyard.cli.plans import CHANGES, wrapped
from boatyard.cli.verb import target_argument, verb

if TYPE_CHECKING:
    from boatyard.drivers.base import Finding


@verb("boatyard prerequisites shop.yaml", "boatyard prerequisites shop.yaml --fix")
@target_argument("FILE|NAME")
@click.option("--fix", is_flag=True, help="Install, make and mend what may be; the rest is yours.")
def command(out: Out, target: str, fix: bool) -> int:
    """Check everything a cluster needs before it can be created or changed: tools, account, network, names.

    Exit code 0: all is there; 2: something is to be made or mended, which --fix does; 1: something that only you can.
    """
    from boatyard.cli.looking import cluster, looking

    with looking() as yard:
        wanted = cluster(target, yard.store)
        if fix:
            from boatyard.cli.flowrun import flows

            with flows(out) as session:
                session.call("prerequisites", "prerequisites", wanted.name, {"cluster": wanted})
        found = yard.reader(wanted).preflight()
    blocking = [each for each in found if each.blocks]
    out.emit({"cluster": wanted.name, "ok": not blocking, "findings": [document(each) for each in found]})
    if not out.json:
        show(out, found)
        out.say(f"{wanted.name} can be worked on." if not blocking else _next(blocking, target))
    if not blocking:
        return 0
    return CHANGES if all(each.repair for each in blocking) else 1


def _next(blocking: "list[Finding]", target: str) -> str:
    ours = sum(1 for each in blocking if each.repair)
    parts = []
    if ours:
        parts.append(f"`boatyard prerequisites {target} --fix` does {ours} of these")
    if ours < len(blocking):
        parts.append(f"{len(blocking) - ours} only you can do")
    return ", ".join(parts) + "."


def document(finding: "Finding") -> dict[str, object]:
    """A finding for programs."""
    return {
        "subject": finding.subject,
        "problem": finding.problem,
        "fix": finding.fix,
        "blocks": finding.blocks,
        "by_boatyard": finding.repair is not None,
    }


def show(out: Out, found: "list[Finding]") -> None:
    """A line a finding, and under it what mends it."""
    for each in found:
        sign, colour = ("+", "green") if each.repair else ("!", "red") if each.blocks else ("?", "yellow")
        wrapped(out, "  ", f"{sign} {each.subject}: {each.problem}", colour)
        wrapped(out, "      ", each.fix)
