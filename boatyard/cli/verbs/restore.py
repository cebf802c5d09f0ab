"""`boatyard restore`."""

from pathlib import Path

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import cluster_argument, verb


@verb("boatyard restore demo demo.snapshot")
@cluster_argument
@click.argument("source", type=click.Path(path_type=Path), metavar="FILE")
def command(out: Out, name: str, source: Path) -> None:
    """Bring the objects of a snapshot back into a cluster, and validate it. What came since is left alone."""
    from boatyard.cli.flowrun import known, run_flow
    from boatyard.errors import NotFound

    known(name)
    if not source.is_file():
        raise NotFound(f"there is no file {source}.")
    given = {"name": name, "source": source.absolute()}
    said = f"{name} is as {source.name} has it, after"
    run_flow(out, "snapshot", "restore_cluster", name, given, operation="restore", said=said)
