"""`boatyard snapshot`."""

from pathlib import Path

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import cluster_argument, verb


@verb("boatyard snapshot demo", "boatyard snapshot demo --to demo.snapshot")
@cluster_argument
@click.option("--to", "target", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there.")
def command(out: Out, name: str, target: Path | None) -> None:
    """Write all objects of a cluster to a file that only its owner can read.

    Without --to it is a dated file in Boatyard's own folder.
    """
    from boatyard.cli.flowrun import flows, known

    known(name)
    given = {"name": name, "to": target.absolute() if target else None}
    with flows(out) as session:
        ran = session.call("snapshot", "snapshot_cluster", name, given)
    out.emit(ran.document(name, "snapshot", file=str(ran.result)))
    if not out.json:
        out.say(f"Wrote {ran.result}.")
