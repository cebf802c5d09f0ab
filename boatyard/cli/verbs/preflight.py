"""`boatyard preflight`."""

from typing import TYPE_CHECKING

import click

from boatyard.cli.output import Cell, Out
from boatyard.cli.verb import KubernetesVersion, cluster_argument, verb
from boatyard.errors import Unsafe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boatyard.kube.preflight.culprit import Culprit

COLOURS = {"blocks": "red", "warns": "yellow", "waived": "dim"}


@verb("boatyard preflight shop", "boatyard preflight shop --to 1.36", "boatyard preflight shop --json")
@cluster_argument
@click.option(
    "--to",
    type=KubernetesVersion(),
    metavar="VERSION",
    help="Kubernetes version to reach; the next minor when left out.",
)
def command(out: Out, name: str, to: str | None) -> int:
    """Name everything that would break or block an upgrade, whose it is and what to do. Changes nothing.

    Exit code 0: nothing blocks; 7: something does, and an upgrade would refuse to start.
    """
    from boatyard.cli.looking import looking
    from boatyard.drivers.culprits import find_culprits, target_of

    with looking() as yard:
        cluster = yard.registered(name)
        driver = yard.reader(cluster)
        target = target_of(driver, to)
        found = find_culprits(driver, cluster, target, yard=yard)
    stopping = sum(each.stops for each in found)
    out.emit({"cluster": name, "to": target, "ok": not stopping, "culprits": [each.document() for each in found]})
    if not out.json:
        show(out, found)
        out.say(_verdict(name, target, found, stopping))
    return Unsafe.exit_code if stopping else 0


def show(out: Out, found: "Sequence[Culprit]") -> None:
    """What it is and whose, why, and what to do; a row a culprit."""
    rows: list[tuple[Cell, ...]] = []
    for each in found:
        whose = f" ({each.owner})" if each.owner else ""
        todo = f"Waived: {each.waived}." if each.waived else each.fix
        text = f"{each.check}: {each.object}{whose}\n{each.why}\n{todo}"
        rows.append(((each.verdict, COLOURS[each.verdict]), text))
    if rows:
        out.table(("VERDICT", "WHAT AND WHOSE, WHY, WHAT TO DO"), rows)
        out.line()


def _verdict(name: str, target: str, found: "Sequence[Culprit]", stopping: int) -> str:
    warned = sum(each.verdict == "warns" for each in found)
    waived = len(found) - stopping - warned
    also = "".join(f", {count} {what}" for count, what in ((warned, "to look at"), (waived, "waived")) if count)
    if stopping:
        block = "thing blocks" if stopping == 1 else "things block"
        return f"{name} must not be upgraded to {target}: {stopping} {block}{also}."
    return f"Nothing blocks the upgrade of {name} to {target}{also}."
