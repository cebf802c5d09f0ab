"""`boatyard wake`."""

from boatyard.cli.output import Out
from boatyard.cli.verb import cluster_argument, verb


@verb("boatyard wake demo")
@cluster_argument
def command(out: Out, name: str) -> None:
    """Wake a hibernated cluster, and validate that it is whole."""
    from boatyard.cli.flowrun import known, run_flow

    known(name)
    said = f"{name} is awake and well, after"
    run_flow(out, "hibernate", "wake_cluster", name, {"name": name}, operation="wake", said=said)
