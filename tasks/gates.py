"""What an upgrade must pass before its first step."""

from boatyard.plan.model import Plan, Verb
from tasks.culprits import require_upgradable
from tasks.rehearsal import require_rehearsed
from tasks.yard import operation


def rises_to(plan: Plan) -> str | None:
    """The Kubernetes version that a plan brings its cluster to; None where it upgrades nothing."""
    rising = [step for step in plan.steps if step.verb is Verb.UPGRADE_CONTROL_PLANE or step.no_way_back]
    return str(rising[-1].params["version"]) if rising else None


def require_leave(plan: Plan) -> None:
    """Raise `Unsafe` where the cluster's policy forbids what `plan` upgrades; other plans pass.

    An upgrade that is under way is gone on with: to stop half-way would leave the cluster worse. What the preflight
    finds is then only named.
    """
    to = rises_to(plan)
    if to is None:
        return
    op = operation()
    under_way = op.observe().upgrading
    policy = op.cluster.policy.upgrade
    if policy.preflight != "off":
        require_upgradable(to, enforce=policy.preflight == "enforce" and not under_way)
    if not under_way:
        require_rehearsed(to)
