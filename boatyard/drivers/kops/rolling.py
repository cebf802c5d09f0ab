"""Rolling update by watching, not by pausing: the next machine goes as soon as the cluster is seen to be whole again.

Which machines are old is observed each time, by the launch template they came from, and a machine that was taken out of
its group is known by kOps' own tag: a roll that was cut off goes on from where the cluster is. The first validation
that does not come true in time ends it and says what was awaited. Before a roll, `changes` has what was asked for
settled: a version that is noted and was never made would leave every machine outdated.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from functools import partial

from boatyard.drivers.kops import nodes
from boatyard.drivers.kops.dead import Dead, quorum_lost, refused
from boatyard.drivers.kops.draining import discourage, drain_and_end
from boatyard.drivers.kops.fleet import Machine, ScalingGroup
from boatyard.drivers.kops.nodes import NODES
from boatyard.drivers.kops.observe import running_version
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.scene import Scene, control_plane_lacks, look, of, unsettled
from boatyard.drivers.kops.waiting import Lookout, watching
from boatyard.kube.client import Client
from boatyard.kube.headroom import batch
from boatyard.plan.surge import at_most

_AT_ONCE = 20  # instances that AWS detaches in one request
_VALIDATION = 900.0  # seconds until a machine that was started must be a sound node; kOps' own limit is the same


class Rolling:
    """Replaces what is outdated. drain_timeout: seconds a node's pods may take to leave."""

    def __init__(self, reach: Reach, client: Client, *, drain_timeout: float) -> None:
        self._reach, self._client, self._drain_timeout = reach, client, drain_timeout

    # control plane

    def control_plane(self, groups: Sequence[str], version: str = "") -> None:
        """One after another: the others whole, this one drained and ended, the new one whole.

        version: what each kubelet has to be in the end. AWS' answers may be of a moment ago; a node's own are not."""
        while True:
            scene = self._look()
            old = next_old(scene, groups)
            if old is None:
                if self._control_plane_settled(groups, version):
                    return
                continue
            self._wait("the rest of the control plane", partial(self._whole, groups, old))
            self._say(f"control plane: {self._called(scene, old)} is to be replaced")
            drain_and_end(self._reach, self._client, scene, [old], self._drain_timeout, self._end)
            self._wait(f"the control plane without {old.id}", partial(self._replaced, groups, old))

    def _control_plane_settled(self, groups: Sequence[str], version: str) -> bool:
        """Wait until it is whole. False once AWS tells of a machine that is still to go."""
        left: list[str] = []

        def lacks() -> str:
            scene = self._look()
            old = next_old(scene, groups)
            left[:] = [old.id] if old is not None else []
            if left:
                return ""
            behind = [node for node in of(scene, groups) if version and nodes.version_of(node) != version]
            if behind:
                return f"AWS to tell that {nodes.name_of(behind[0])} ({nodes.version_of(behind[0])}) is outdated"
            return control_plane_lacks(self._client, scene, groups)

        self._wait("the control plane", lacks)
        return not left

    def dead(self, machines: Sequence[Dead], groups: Sequence[str]) -> None:
        """Machines whose kubelet is silent, one after another. Nothing is drained: nobody is there who could end their
        pods, which the node controller has given up long ago. `Unsafe` where etcd would lose its majority."""
        for index, each in enumerate(machines):
            rest = {other.id for other in machines[index + 1 :]}
            scene = self._look()
            machine = next((one for one in _members(scene, groups) if one.id == each.id), None)
            node = scene.node(machine) if machine is not None else None
            if machine is None or (node is not None and nodes.ready(node)):
                continue  # gone, or back
            if lost := quorum_lost([each], groups, scene.fleet, scene.nodes):
                raise refused(self._reach.cluster, lost)
            self._say(f"control plane: {each.line}")
            self._end(machine)
            self._wait(f"the control plane without {each.id}", partial(self._replaced, groups, machine, rest))

    def _whole(self, groups: Sequence[str], without: Machine) -> str:
        """What the control plane lacks besides this machine: never two at once."""
        scene = self._look()
        for name in groups:
            group = scene.group(name)
            for machine in group.members if group is not None else ():
                node = scene.node(machine)
                if machine.id != without.id and (node is None or not nodes.ready(node)):
                    return f"{machine.id} of {name} to be Ready"
        return ""

    def _replaced(self, groups: Sequence[str], gone: Machine, but: Container[str] = ()) -> str:
        scene = self._look()
        if gone.id in {machine.id for machine in _members(scene, groups)}:
            return f"{gone.id} to end"
        return control_plane_lacks(self._client, scene, groups, but)

    def bastions(self, groups: Sequence[str]) -> None:
        """One after another; they are no nodes, so there is nothing to drain and nothing that joins."""
        for name in groups:
            while (group := self._reach.fleet.read().get(name)) is not None:
                old = next((machine for machine in group.machines if machine.outdated), None)
                if old is None:
                    break
                self._end(old)
                Lookout(self._reach.env).until(partial(self._exchanged, name, old))

    def _exchanged(self, name: str, gone: Machine) -> str:
        group = self._reach.fleet.read()[name]
        up = [machine for machine in group.members if machine.in_service]
        if gone.id in {machine.id for machine in group.machines}:
            return f"{gone.id} to end"
        return "" if len(up) == group.desired else f"{group.desired} instances of {name}, {len(up)} are up"

    # pools

    def pool(self, name: str, surge: int | None, *, canary: bool = False) -> None:
        """Up to `surge` old machines at a time leave the group, which starts others; once these are Ready, the old ones
        are drained and ended. So there are never fewer nodes than the group should have.

        canary: one machine only, and none where one is new already."""
        while (scene := self._look()) and (group := scene.group(name)) is not None:
            old = oldest_first(scene, [machine for machine in group.members if machine.outdated])
            if not group.detached and (not old or (canary and len(old) < len(group.members))):
                if self._settled(name, canary=canary):
                    return
                continue
            most = 1 if canary else at_most(surge, group.desired)
            leave = self._next(scene, old, most - len(group.detached))
            self._discourage(scene, leave if canary else old)
            self._detach(name, group, leave)
            self._wait(f"new nodes of pool {name}", lambda: self._fresh(name))
            scene = self._look()
            leaving = [machine for machine in scene.fleet[name].machines if machine.detached]
            drain_and_end(self._reach, self._client, scene, leaving, self._drain_timeout, self._end)
            self._wait(f"pool {name}", partial(self._gone, {each.id for each in leaving}))
        self._wait(f"pool {name}", lambda: unsettled(self._look(), name))

    def _settled(self, name: str, *, canary: bool) -> bool:
        """Wait until the pool is whole. False once AWS tells of a machine that is still to go: the answer before, by
        which there was none, may have been one of a moment ago."""
        left: list[str] = []

        def lacks() -> str:
            scene = self._look()
            group = scene.group(name)
            members = group.machines if group is not None else ()
            left[:] = [each.id for each in members if each.detached or (each.outdated and not canary)]
            return "" if left else unsettled(scene, name)

        self._wait(f"pool {name}", lacks)
        return not left

    def _next(self, scene: Scene, old: Sequence[Machine], most: int) -> list[Machine]:
        """Machines that never joined, then those whose pods' budgets have head-room."""
        joined = {nodes.name_of(node): machine for machine in old if (node := scene.node(machine)) is not None}
        useless = [machine for machine in old if scene.node(machine) is None]
        some = batch(self._client, list(joined), most - len(useless)) if most > len(useless) else []
        return [*useless, *(joined[name] for name in some)][: max(0, most)]

    def _detach(self, name: str, group: ScalingGroup, machines: Sequence[Machine]) -> None:
        for start in range(0, len(machines), _AT_ONCE):
            some = machines[start : start + _AT_ONCE]
            self._say(f"pool {name}: {', '.join(each.id for each in some)} leave for new ones")
            self._reach.fleet.detach(group, some)

    def _fresh(self, name: str) -> str:
        """What is missing until every machine that the group has by now, but the old ones, is a Ready node."""
        scene = self._look()
        group = scene.fleet[name]
        if len(group.members) != group.desired:
            return f"{group.desired} instances of {name}, it has {len(group.members)}"
        waiting = [
            machine.id
            for machine in group.members
            if not machine.outdated and not ((node := scene.node(machine)) is not None and nodes.ready(node))
        ]
        return f"{', '.join(waiting[:3])} of {name} to be Ready" if waiting else ""

    def _gone(self, ids: set[str]) -> str:
        """Old machines and their nodes."""
        scene = self._look()
        machines = {machine.id for group in scene.fleet.values() for machine in group.machines}
        left = sorted(ids & (machines | set(scene.nodes)))
        return f"{', '.join(left[:3])} to leave the cluster" if left else ""

    def _discourage(self, scene: Scene, old: Sequence[Machine]) -> None:
        found = (scene.node(machine) for machine in old)
        discourage(self._reach, self._client, [node for node in found if node is not None])

    # parts

    def _look(self) -> Scene:
        return look(self._reach, self._client)

    def _wait(self, what: str, lacks: Callable[[], str]) -> None:
        """Validation: what does not come true in its time ends the roll; `DeadlineExceeded` says what and where."""
        env = self._reach.env
        bounded = replace(env, deadline=env.deadline.sooner(_VALIDATION, f"validation of {what}"))
        with watching(bounded, self._client, NODES) as lookout:
            lookout.until(lacks)

    def _end(self, machine: Machine) -> None:
        self._reach.fleet.end(machine)
        self._say(f"{machine.id} is ending")

    def _called(self, scene: Scene, machine: Machine) -> str:
        node = scene.node(machine)
        return f"{nodes.name_of(node)} ({nodes.version_of(node)})" if node is not None else machine.id

    def _say(self, line: str) -> None:
        self._reach.env.report(line)


def next_old(scene: Scene, groups: Sequence[str]) -> Machine | None:
    """The old control-plane machine to be replaced first: one that is no use as it is, else in the groups' order."""
    old = [machine for machine in _members(scene, groups) if machine.outdated]
    return next(iter(oldest_first(scene, old)), None)


def _members(scene: Scene, groups: Sequence[str]) -> list[Machine]:
    return [machine for name in groups if (group := scene.group(name)) for machine in group.machines]


def oldest_first(scene: Scene, machines: Sequence[Machine]) -> list[Machine]:
    """Those that are not Ready, then those that were cordoned, then by age."""

    def order(machine: Machine) -> tuple[bool, bool, str, str]:
        node = scene.node(machine)
        if node is None:
            return (False, False, "", machine.id)
        return (nodes.ready(node), not nodes.cordoned(node), node["metadata"]["creationTimestamp"], machine.id)

    return sorted(machines, key=order)


def oldest_version(scene: Scene, groups: Sequence[str]) -> str | None:
    """Of the control plane; None while no node of it has joined."""
    return running_version("", of(scene, groups)) or None
