"""Nothing is applied that the step in hand does not explain: each change `kops update cluster` would make is judged."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from boatyard.drivers.kops.parse import Change, Preview

Explains = Callable[[Change], bool]

_FILES = frozenset({"ManagedFile", "AddonManifest", "BootstrapChannel"})
"""Objects in the state store that kOps writes anew from its own templates; they touch no resource in the cloud."""

_OF_GROUPS = frozenset({"AutoscalingGroup", "LaunchTemplate", "AutoscalingLifecycleHook", "WarmPool"})

_RULES = frozenset(
    {"SecurityGroupRule", "IAMRolePolicy", "LaunchTemplate", "AutoscalingLifecycleHook", "EventBridgeTarget"}
    | {"EventBridgeRule", "NetworkLoadBalancerListener", "ManagedFile"}
)
"""Kinds that a changed setting may delete: they hold no data, and kOps makes them again when they are wanted."""


def _nothing(change: Change) -> bool:
    return False


def _anything(change: Change) -> bool:
    return True


@dataclass(frozen=True)
class Scope:
    """What a step may do. `step` names it, as in "scaling pool web"."""

    step: str
    create: Explains = _nothing
    modify: Explains = _nothing
    delete: Explains = _nothing

    def unexplained(self, preview: Preview) -> list[str]:
        """`delete Subnet/a.example.com` …; [] when the step explains all of it."""
        found: list[str] = []
        for verb, changes, explains in (
            ("create", preview.create, self.create),
            ("modify", preview.modify, self.modify),
            ("delete", preview.delete, self.delete),
        ):
            found += [f"{verb} {one.kind}/{one.name}" for one in changes if not explains(one) and touches(verb, one)]
        return found


def whole(step: str) -> Scope:
    """A creation or repair: makes and mends anything, deletes nothing."""
    return Scope(step, create=_anything, modify=_anything)


def settings(step: str) -> Scope:
    """Settings of the cluster, or its keys: anything may change, only what holds no data may go."""
    return Scope(step, create=_anything, modify=_anything, delete=lambda one: one.kind in _RULES)


def groups(step: str, names: Iterable[str]) -> Scope:
    """These instance groups, and files that tell of them."""
    of = frozenset(names)

    def explains(one: Change) -> bool:
        return one.kind in _FILES or (one.kind in _OF_GROUPS and _group(one) in of)

    def deletes(one: Change) -> bool:
        return one.kind == "LaunchTemplate" and _group(one) in of  # an old one of the group's

    return Scope(step, create=explains, modify=explains, delete=deletes)


def versions(step: str, names: Iterable[str]) -> Scope:
    """Another Kubernetes in these groups: what add-ons of another version may do comes with it."""
    inner = groups(step, names)

    def explains(one: Change) -> bool:
        return inner.modify(one) or one.kind == "IAMRolePolicy"

    return Scope(step, create=explains, modify=explains, delete=inner.delete)


def _group(change: Change) -> str:
    """`web` of `web.k8s.example.com`, `cp-a` of `cp-a.masters.k8s.example.com`, `web` of `web-NTHLifecycleHook`."""
    if change.kind == "AutoscalingLifecycleHook":
        return change.name.removesuffix("-NTHLifecycleHook")
    return change.name.partition(".")[0]


def touches(verb: str, change: Change) -> bool:
    """Not what kOps shows again and again without effect, where AWS tells a key's print or a subnet's naming otherwise
    than it was given (recorded: each preview of an unchanged cluster on the emulated account)."""
    if verb != "modify":
        return True
    if change.kind == "SSHKey":
        return not set(change.fields) <= {"PublicKey", "KeyFingerprint"}
    return change.kind != "Subnet" or set(change.fields) != {"ResourceBasedNaming"}


def effect(preview: Preview) -> bool:
    """Would it do anything at all?"""
    return bool(preview.create or preview.delete) or any(touches("modify", one) for one in preview.modify)
