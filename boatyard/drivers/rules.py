"""What a cluster's policy says of every drain, whichever driver does it."""

from boatyard.drivers.base import Env
from boatyard.kube.drain import Rules
from boatyard.spec.models import Cluster

FORCED = "force eviction"
"""The journal's word for a pod that had to go without its budget's leave."""


def drain_rules(cluster: Cluster, env: Env, patience: float) -> Rules:
    """patience: seconds within which the next node must have become empty."""
    policy = cluster.policy.upgrade
    return Rules(
        order=policy.drain_order,
        force_after=policy.force_after.total_seconds() if policy.force_after is not None else None,
        patience=patience,
        on_forced=lambda pod, why: env.note(FORCED, pod, why),
    )
