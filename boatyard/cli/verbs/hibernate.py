"""`boatyard hibernate`."""

from boatyard.cli.output import Out
from boatyard.cli.verb import cluster_argument, verb


@verb("boatyard hibernate demo")
@cluster_argument
def command(out: Out, name: str) -> None:
    """Put a cluster to sleep. Everything on it stops; its objects and volumes are kept."""
    from boatyard.cli.flowrun import known, run_flow

    known(name)
    said = f"{name} sleeps, after"
    run_flow(out, "hibernate", "hibernate_cluster", name, {"name": name}, operation="hibernate", said=said)
