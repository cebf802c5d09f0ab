"""Before an upgrade disrupts anything: what would break or block it, by name."""

from datetime import timedelta

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from boatyard.drivers.culprits import find_culprits
from boatyard.kube.preflight.culprit import Culprit, require_none
from tasks.events import tell
from tasks.options import RETRIED
from tasks.steps import artifact_key
from tasks.yard import operation

LIMIT = timedelta(minutes=10)
"""How long looking may take, the rendering of the apps' sources included."""


@task(task_run_name="preflight to {to}", **RETRIED)
def require_upgradable(to: str, enforce: bool = True) -> None:
    """Look at the running operation's cluster, and raise `Unsafe` when something stops its upgrade to `to`.

    enforce: else what is found is only shown.

    Changes nothing. All findings go into the table artifact `preflight-NAME`, and into an event
    `boatyard.preflight.passed` or `boatyard.preflight.blocked`.
    """
    op = operation()
    name = op.cluster.name
    yard = op.yard
    driver = op.driver(LIMIT, f"preflight of {name}")
    found = find_culprits(driver, op.cluster, to, yard=yard)
    _show(name, to, found)
    stopping = [each for each in found if each.stops]
    tell(
        name,
        "preflight.blocked" if stopping else "preflight.passed",
        {"to": to, "culprits": [each.document() for each in found]},
    )
    if enforce:
        require_none(name, to, found)


def _show(name: str, to: str, found: tuple[Culprit, ...]) -> None:
    logger = get_run_logger()
    for each in found:
        say = logger.warning if each.stops else logger.info
        say("%s %s %s: %s %s", each.verdict, each.check, each.object, each.why, each.waived or each.fix)
    if not found:
        logger.info("nothing stands in the way of %s to %s", name, to)
    rows = [
        {
            "verdict": each.verdict,
            "check": each.check,
            "object": str(each.object),
            "owner": each.owner,
            "why": each.why,
            "what to do": f"waived: {each.waived}" if each.waived else each.fix,
        }
        for each in found
    ]
    create_table_artifact(
        rows or [{"verdict": "well", "check": "all"}],
        key=f"preflight-{artifact_key(name)}",
        description=f"Preflight of {name} to {to}",
    )
