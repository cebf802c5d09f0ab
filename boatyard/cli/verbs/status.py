"""`boatyard status`."""

import sys

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import ClusterName, verb


@verb("boatyard status", "boatyard status demo", "boatyard status --json", "boatyard status --watch")
@click.argument("name", type=ClusterName(), metavar="[NAME]", required=False)
@click.option("--watch", is_flag=True, help="Show it again whenever something changes, until Ctrl-C.")
def command(out: Out, name: str | None, watch: bool) -> None:
    """Show the fleet as Boatyard last saw it, or one cluster in detail: conditions, lease, journal, next window.

    Reads the store alone; `boatyard plan` and `boatyard validate` look at the clusters themselves.
    """
    from boatyard.cli.fleet_view import show, watched

    if not watch:
        show(out, name)
        return
    from boatyard.cli.follow import changes

    for _ in changes(lambda: watched(name)):
        if sys.stdout.isatty() and not out.json:
            click.clear()
        show(out, name)
        sys.stdout.flush()
