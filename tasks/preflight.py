"""Looks before anything is created: programs, and the driver's own preflight, which may mend what it finds."""

from datetime import timedelta

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from boatyard.drivers.base import Finding
from boatyard.errors import Permanent
from boatyard.spec.models import Cluster
from tasks.options import RETRIED
from tasks.steps import artifact_key
from tasks.yard import operation, yard

LIMIT = timedelta(minutes=10)
"""How long looking and mending may take."""


@task(task_run_name="tools for {cluster.provider.kind}", **RETRIED)
def install_tools(cluster: Cluster, install: bool) -> None:
    """Every program the driver runs is there, in a version that fits."""
    names = yard().reader(cluster).tools()
    if install:
        yard().toolbox.ensure(names)
    for name in names:
        get_run_logger().info("%s: %s", name, yard().toolbox.path(name))


@task(task_run_name="preflight of {cluster.name}", **RETRIED)
def check_preflight(cluster: Cluster, repair: bool) -> None:
    """All findings at once as a table, those mended that may be; what still blocks ends the flow, with its mend."""
    driver = operation().driver(LIMIT, f"preflight of {cluster.name}")
    findings = driver.preflight()
    _show(cluster, findings, repair)
    if repair and any(finding.repair for finding in findings):
        for finding in findings:
            _mend(finding)
        findings = driver.preflight()
    if not findings:
        get_run_logger().info("nothing stands in the way of %s", cluster.name)
    if blocking := [finding for finding in findings if finding.blocks]:
        raise Permanent(" ".join(f"{f.subject}: {f.problem} {f.fix}" for f in blocking))


def _mend(finding: Finding) -> None:
    if finding.repair is None:
        return
    get_run_logger().info("%s: %s %s", finding.subject, finding.problem, finding.fix)
    finding.repair()


def _show(cluster: Cluster, findings: list[Finding], repair: bool) -> None:
    rows = [
        {
            "what": f.subject,
            "problem": f.problem,
            "fix": f.fix,
            "done by": "Boatyard, now" if repair and f.repair else "you",
            "blocks": "yes" if f.blocks else "no",
        }
        for f in findings
    ]
    if rows:
        create_table_artifact(
            rows, key=f"preflight-{artifact_key(cluster.name)}", description=f"Preflight of {cluster.name}"
        )
