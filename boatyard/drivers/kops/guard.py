"""Nothing is applied that the step in hand does not explain: each change `kops update cluster` would make is judged."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from boatyard.drivers.kops.parse import Change, Preview
from boatyard.drivers.kops.spec import BASTIONS

Explains = Callable[[Change], bool]
Verb = Literal["create", "modify", "delete"]

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
        return [f"{verb} {one.kind}/{one.name}" for verb, one in touched(preview) if not self.explains(verb, one)]

    def explains(self, verb: Verb, change: Change) -> bool:
        """Is this what the step is for?"""
        return {"create": self.create, "modify": self.modify, "delete": self.delete}[verb](change)


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
    """Another Kubernetes in these groups, and the bastions' image for it: what add-ons of another version may do comes
    with it."""
    inner = groups(step, [*names, BASTIONS])

    def explains(one: Change) -> bool:
        return inner.modify(one) or one.kind == "IAMRolePolicy"

    return Scope(step, create=explains, modify=explains, delete=inner.delete)


def _group(change: Change) -> str:
    """`web` of `web.k8s.example.com`, `cp-a` of `cp-a.masters.k8s.example.com`, `web` of `web-NTHLifecycleHook`."""
    if change.kind == "AutoscalingLifecycleHook":
        return change.name.removesuffix("-NTHLifecycleHook")
    return change.name.partition(".")[0]


def touches(verb: Verb, change: Change) -> bool:
    """Not what kOps shows again and again without effect, where AWS tells a key's print or a subnet's naming otherwise
    than it was given (recorded: each preview of an unchanged cluster on the emulated account)."""
    if verb != "modify":
        return True
    if change.kind == "SSHKey":
        return not set(change.fields) <= {"PublicKey", "KeyFingerprint"}
    return change.kind != "Subnet" or set(change.fields) != {"ResourceBasedNaming"}


def touched(preview: Preview) -> Iterator[tuple[Verb, Change]]:
    """What it would do, without what is shown each time and has no effect."""
    verbs: tuple[tuple[Verb, tuple[Change, ...]], ...] = (
        ("create", preview.create),
        ("modify", preview.modify),
        ("delete", preview.delete),
    )
    for verb, changes in verbs:
        yield from ((verb, one) for one in changes if touches(verb, one))


def effect(preview: Preview) -> bool:
    """Would it do anything at all?"""
    return any(True for _ in touched(preview))


def unforeseen(preview: Preview, foreseen: frozenset[str]) -> list[str]:
    """What a plan that showed resources did not show; files in the state store apart, which kOps writes anew."""
    told = [(f"{verb} {one.kind}/{one.name}", one) for verb, one in touched(preview)]
    return [text for text, one in told if text not in foreseen and one.kind not in _FILES]
