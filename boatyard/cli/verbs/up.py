"""`boatyard up`."""

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import verb


@verb("boatyard up", "boatyard up --port 4300 --limit 20")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=4200,
    show_default=True,
    help="Port of API and UI; 0 lets the system choose.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 500),
    default=8,
    show_default=True,
    help="Flow runs side by side, besides those of schedules.",
)
@click.option(
    "--drain",
    type=click.IntRange(0, 86400),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long running flows may go on after Ctrl-C.",
)
@click.option("--no-auth", is_flag=True, help="Ask for no password; anyone on this machine may then use it.")
def command(out: Out, port: int, limit: int, drain: int, no_auth: bool) -> int:
    """Start Prefect's server, UI, a worker and every deployment, and keep them running until Ctrl-C.

    Killed children come back; runs in progress are drained at the end. Listens on 127.0.0.1 only.
    """
    from boatyard.cli.prefect_server.up import Options, up
    from boatyard.settings import Settings

    options = Options(port=port, auth=not no_auth, limit=limit, drain=float(drain))
    return up(Settings.load(), options, lambda line: click.echo(line, err=out.json))
