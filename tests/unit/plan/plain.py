"""The rule of scheduled upgrades for one cluster by itself, in its plainest form: what `boatyard.plan.waves.decide`
must come to where a fleet has no rules of its own."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from boatyard.plan.model import Observed, Phase
from boatyard.plan.upkeep import Action, Decision
from boatyard.spec.models import Cluster
from boatyard.spec.types import format_duration
from boatyard.spec.windows import Window
from boatyard.versions import Minor, newest, path, target


def _keep(reason: str) -> Decision:
    return Decision(Action.KEEP, reason)


def decide_maintenance(
    cluster: Cluster,
    observed: Observed,
    offered: Sequence[str],
    now: datetime,
    *,
    expected: Callable[[str], timedelta],
) -> Decision:
    """UPGRADE `to` one of the offered versions, or KEEP.

    Only inside the window, only as far as the channel allows, one minor at a time, and only when it can end before the
    window closes. Pools that an earlier upgrade left behind come first: then `to` is the control plane's own version.
    offered: what the provider can run now; empty where it cannot be asked. expected: how long the upgrade to a version
    takes.
    """
    window = _window(cluster, now)
    if isinstance(window, Decision):
        return window
    if observed.phase is not Phase.RUNNING or observed.version is None:
        return _keep(f"it is {observed.phase}")
    if cluster.kubernetes.channel == "pinned":
        return _keep("its channel is pinned")
    wanted = _upgrade(cluster, observed, offered, observed.version)
    if wanted.to is None:
        return wanted
    needed, left = expected(wanted.to), window - now
    if needed > left:
        took, closes = format_duration(needed), window.astimezone(UTC)
        return _keep(f"the upgrade to {wanted.to} takes about {took}, and the window closes at {closes:%H:%M} UTC")
    return wanted


def _window(cluster: Cluster, now: datetime) -> datetime | Decision:
    """When the open window closes, or why there is none."""
    text = cluster.policy.maintenance.window
    if text is None:
        return _keep("it has no maintenance window")
    window = Window.parse(text)
    closes = window.closes_at(now)
    return closes or _keep(f"its window is closed until {window.next_open(now):%Y-%m-%d %H:%M} UTC")


def _upgrade(cluster: Cluster, observed: Observed, offered: Sequence[str], current: str) -> Decision:
    here = Minor.parse(current)
    behind = sorted({pool.name for pool in observed.pools.values() for v in pool.versions.values() if _older(v, here)})
    if behind:
        return Decision(Action.UPGRADE, f"pools {', '.join(behind)} are behind the control plane at {current}", current)
    if not offered:
        return _keep("its provider cannot be asked now what it offers")
    channel = cluster.kubernetes.channel
    goal = target(channel, offered, current)
    if goal is None:
        return _keep(f"{current} is the newest that channel {channel} allows")
    steps = path(current, goal)
    if not steps:
        return Decision(Action.UPGRADE, f"{goal} is the newest patch of {here}", goal)
    to = newest(offered, steps[0])
    if to is None:
        return _keep(f"channel {channel} leads to {goal}, but {steps[0]} on the way there is not offered")
    way = f", on the way to {goal}" if len(steps) > 1 else ""
    return Decision(Action.UPGRADE, f"channel {channel} allows {to}{way}", to)


def _older(kubelet: str, control_plane: Minor) -> bool:
    return Minor.parse(kubelet) < control_plane
