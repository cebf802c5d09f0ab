"""`boatyard demo`."""

from pathlib import Path

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import verb


@verb("boatyard demo", "boatyard demo --keep        # leave the cluster to look at", "boatyard demo kops")
@click.argument("kind", metavar="[kwok|kops]", type=click.Choice(["kwok", "kops"]), default="kwok")
@click.option("--keep", is_flag=True, help="Do not delete the cluster at the end.")
@click.option(
    "--cluster",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Another spec than the one that comes with Boatyard.",
)
def command(out: Out, kind: str, keep: bool, cluster: Path | None) -> int:
    """Take one cluster through its whole life on this machine, against a real control plane.

    Prerequisites, create, validate, apps, monitor, upgrades, scaling up and down, hibernate, wake, delete. It has a
    home of its own, says how long each stage took, and ends with 0 only when all went well and nothing is left.
    With kops it does so by the real kops on an emulated AWS account, which ends with the demo; keys are rotated, too.
    """
    if keep and kind != "kwok":
        raise click.UsageError("--keep is for kwok: the emulated account ends with the demo.")
    from boatyard.cli.demo import run

    return run(out, kind, cluster, keep=keep)
