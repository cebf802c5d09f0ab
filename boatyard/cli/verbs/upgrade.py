"""`boatyard upgrade`."""

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import KubernetesVersion, cluster_argument, verb


@verb("boatyard upgrade demo --to 1.36")
@cluster_argument
@click.option(
    "--to", "version", type=KubernetesVersion(), required=True, metavar="VERSION", help="Like 1.36 or 1.36.2."
)
@click.option("--wake", is_flag=True, help="Wake the cluster where it is hibernated; else it is refused.")
def command(out: Out, name: str, version: str, wake: bool) -> None:
    """Upgrade a cluster: control plane first, one minor at a time, then the node pools, as policy.upgrade says.

    Each step comes after a validation; an upgrade that stopped goes on by the same command. Pods move within their
    PodDisruptionBudgets. The spec that Boatyard remembers wants the new version from now on. A hibernated
    cluster is refused, unless --wake is given; it stays awake then.
    """
    from boatyard.cli.flowrun import known, run_flow

    known(name)
    given = {"name": name, "to": version, "wake": wake}
    run_flow(out, "upgrade", "upgrade_cluster", name, given, operation="upgrade", said=f"{name} runs {version}, after")
