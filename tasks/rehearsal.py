"""The gate in front of upgrades that a policy wants rehearsed."""

from prefect.logging import get_run_logger

from boatyard.sandbox.rehearsal.report import Report, check_rehearsed
from tasks.yard import operation


def require_rehearsed(to: str) -> None:
    """Raise `Unsafe` where the policy wants upgrades rehearsed and this one to `to` was not; else return.

    To be called while the running operation wants `to` (`op.wanting(op.at_version(to))`).
    """
    op = operation()
    if not op.cluster.policy.upgrade.rehearse:
        return
    found = op.yard.store.rehearsals.last(op.cluster.name, to)
    report = None if found is None else Report.model_validate(found.report)
    now = op.yard.clock.now()
    check_rehearsed(report, op.cluster, to, op.plan(), now - (found.ended_at if found else now))
    get_run_logger().info("the upgrade of %s to %s was rehearsed", op.cluster.name, to)
