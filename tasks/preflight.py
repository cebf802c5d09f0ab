"""Looks before anything is created: programs, and the driver's own preflight."""

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from boatyard.errors import Permanent
from boatyard.spec.models import Cluster
from tasks.options import RETRIED
from tasks.steps import artifact_key
from tasks.yard import yard


@task(task_run_name="tools for {cluster.provider.kind}", **RETRIED)
def install_tools(cluster: Cluster, install: bool) -> None:
    """Every program the driver runs is there, in a version that fits."""
    names = yard().reader(cluster).tools()
    if install:
        yard().toolbox.ensure(names)
    for name in names:
        get_run_logger().info("%s: %s", name, yard().toolbox.path(name))


@task(task_run_name="preflight of {cluster.name}", **RETRIED)
def check_preflight(cluster: Cluster) -> None:
    """All findings at once as a table; those that block end the flow, each with its mend."""
    findings = yard().reader(cluster).preflight()
    if not findings:
        get_run_logger().info("nothing stands in the way of %s", cluster.name)
        return
    rows = [
        {"what": f.subject, "problem": f.problem, "fix": f.fix, "blocks": "yes" if f.blocks else "no"} for f in findings
    ]
    create_table_artifact(
        rows, key=f"preflight-{artifact_key(cluster.name)}", description=f"Preflight of {cluster.name}"
    )
    if blocking := [f for f in findings if f.blocks]:
        raise Permanent(" ".join(f"{f.subject}: {f.problem} {f.fix}" for f in blocking))
