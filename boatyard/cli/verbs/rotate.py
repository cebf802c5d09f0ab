"""`boatyard rotate`."""

from boatyard.cli.output import Out
from boatyard.cli.verb import cluster_argument, verb


@verb("boatyard rotate shop.k8s.example.com")
@cluster_argument
def command(out: Out, name: str) -> None:
    """Exchange a cluster's certificate authorities and service-account keys while it runs.

    New keys are staged, promoted, and the old ones distrusted; after each, every node is replaced within
    PodDisruptionBudgets. A rotation that was cut off goes on where it ended.
    """
    from boatyard.cli.flowrun import known, run_flow

    known(name)
    said = f"{name} has new keys, and the old ones are worth nothing, after"
    run_flow(out, "rotate", "rotate_keys", name, {"name": name}, operation="rotate", said=said)
