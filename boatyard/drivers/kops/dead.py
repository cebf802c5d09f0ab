"""Control-plane machines that run and are of no use: no kubelet has told of itself for long, or none ever came.

AWS finds nothing wrong with such an instance, so its Auto Scaling group keeps it. Once it is ended, the group starts
another one in its zone, which takes up the member's volumes of etcd. Nothing is done where that could cost etcd its
quorum: then a person has to look.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from boatyard.drivers.kops import nodes
from boatyard.errors import Unsafe
from boatyard.plan.model import Observed
from boatyard.spec.models import Cluster

if TYPE_CHECKING:
    from boatyard.drivers.kops.fleet import Machine, ScalingGroup  # boto3, which plans do without
    from boatyard.drivers.kops.nodes import Json
    from boatyard.drivers.kops.reach import Reach

LONG = timedelta(minutes=15)
"""kOps gives a new machine as long to become a sound node; a kubelet that restarts is back within a minute or two."""

_QUORUM = "etcd's quorum: "


@dataclass(frozen=True)
class Dead:
    """A machine that is to be replaced. `line`: why, as `Observed.differs` tells it; the same at each look."""

    id: str
    group: str
    line: str


def dead(
    reach: "Reach", groups: Iterable[str], fleet: Mapping[str, "ScalingGroup"], found: Mapping[str, "Json"]
) -> tuple[Dead, ...]:
    """Of these groups, by name. found: instance → node. Asks AWS for more only where a machine has no node."""
    members = [machine for name in groups if name in fleet for machine in fleet[name].members]
    absent = [machine.id for machine in members if machine.id not in found]
    launched = reach.fleet.launched(absent) if absent else {}
    now = reach.env.clock.now()
    told = [_told(machine, found.get(machine.id), launched.get(machine.id), now) for machine in members]
    return tuple(sorted((each for each in told if each is not None), key=lambda each: each.id))


def _told(machine: "Machine", node: "Json | None", launched: datetime | None, now: datetime) -> Dead | None:
    if node is None:
        since, what = launched, "it has run without joining since"
    else:
        ready, since = nodes.ready_since(node)
        what = "its node has not been Ready since"
        if ready:
            return None
    if since is None or now - since < LONG:
        return None
    line = f"{machine.id} of {machine.group}: {what} {since:%Y-%m-%d %H:%M} UTC, it is to be replaced"
    return Dead(machine.id, machine.group, line)


def lines(
    found: Sequence[Dead], groups: Iterable[str], fleet: Mapping[str, "ScalingGroup"], seen: Mapping[str, "Json"]
) -> tuple[str, ...]:
    """What the plan is told: a line a machine, or one alone where nothing may be done."""
    if not found:
        return ()
    spoken = quorum_lost(found, groups, fleet, seen)
    return (spoken,) if spoken else tuple(each.line for each in found)


def quorum_lost(
    leaving: Sequence[Dead], groups: Iterable[str], fleet: Mapping[str, "ScalingGroup"], seen: Mapping[str, "Json"]
) -> str:
    """Why none of these may go: the others are no majority; "" when they are, or when there is one member alone.

    A single member has no quorum to keep: its data waits on its volume for the next machine.
    """
    there = [fleet[name] for name in groups if name in fleet]
    wanted = sum(group.desired for group in there)
    gone = {each.id for each in leaving}
    members = [machine for group in there for machine in group.members if machine.id not in gone]
    sound = [each for each in members if (node := seen.get(each.id)) is not None and nodes.ready(node)]
    if wanted <= 1 or len(sound) > wanted // 2:
        return ""
    named = ", ".join(each.id for each in leaving)
    return f"{_QUORUM}{len(sound)} of {wanted} control-plane nodes are Ready, and {named} would have to be replaced"


def refuse(cluster: Cluster, observed: Observed) -> None:
    """`Unsafe` where control-plane machines are dead and none of them may go."""
    for line in observed.differs:
        if line.startswith(_QUORUM):
            raise refused(cluster, line)


def refused(cluster: Cluster, line: str) -> Unsafe:
    return Unsafe(
        f"cluster {cluster.name}: {line}, which could leave etcd without a majority, so nothing is done.",
        hint='Bring a machine back by hand, or see docs/kops.md, "A dead control-plane machine".',
    )
