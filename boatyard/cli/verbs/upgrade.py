"""`boatyard upgrade`."""

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import KubernetesVersion, cluster_argument, verb


@verb("boatyard upgrade demo --to 1.36")
@cluster_argument
@click.option(
    "--to", "version", type=KubernetesVersion(), required=True, metavar="VERSION", help="Like 1.36 or 1.36.2."
)
def command(out: Out, name: str, version: str) -> None:
    """Upgrade a cluster: control plane first, one minor at a time, then the node pools, as policy.upgrade says.

    Each step comes after a validation; an upgrade that stopped goes on by the same command. Pods move within their
    PodDisruptionBudgets. The spec that Boatyard remembers wants the new version from now on.
    """
    from boatyard.cli.flowrun import known, run_flow

    known(name)
    given = {"name": name, "to": version}
    run_flow(out, "upgrade", "upgrade_cluster", name, given, operation="upgrade", said=f"{name} runs {version}, after")
