"""`boatyard rehearse`."""

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import KubernetesVersion, cluster_argument, verb

BLOCKED = 7
"""Exit code when something stands in the way: that of what is refused to protect running work."""


@verb("boatyard rehearse demo --to 1.36", "boatyard rehearse demo --to 1.36 --json")
@cluster_argument
@click.option(
    "--to", "version", type=KubernetesVersion(), required=True, metavar="VERSION", help="Like 1.36 or 1.36.2."
)
def command(out: Out, name: str, version: str) -> int:
    """Try an upgrade on a twin: the cluster's own objects and the very plan, on a real control plane of this machine.

    The cluster itself is only read, and values of Secrets stay out. Exit code 7 when something stands in the way: an
    object that the new version does not take, a disruption budget that never lets go, pods without room.
    """
    from boatyard.cli.flowrun import flows, known
    from boatyard.cli.output import columns
    from boatyard.sandbox.rehearsal.render import as_text

    known(name)
    with flows(out) as session:
        ran = session.call("rehearse", "rehearse_upgrade", name, {"name": name, "to": version})
    report = ran.result
    outcome = "done" if report.well else "blocked"
    out.emit(
        ran.document(name, "rehearse", outcome, blockers=list(report.blockers), report=report.model_dump(mode="json"))
    )
    if not out.json:
        out.lines(as_text(report, columns()))
    return 0 if report.well else BLOCKED
