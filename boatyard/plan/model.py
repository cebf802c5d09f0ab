"""The plan: what will be done, in which order, why, and whom it disturbs. A value, the same for every reader."""

import hashlib
import json
from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import model_validator

from boatyard.spec.base import Model
from boatyard.spec.types import Duration


class Phase(StrEnum):
    """What an observed cluster is, as a whole."""

    ABSENT = "absent"
    PARTIAL = "partial"
    """Some of it is there: a creation or a deletion that was cut off."""
    RUNNING = "running"
    HIBERNATED = "hibernated"
    BROKEN = "broken"
    """It is there and should answer, but does not."""
    UNKNOWN = "unknown"
    """It could not be looked at: no credentials, an account that refuses. Nothing is concluded from that."""


class ObservedPool(Model):
    """A node pool as it is. `versions`: node name → kubelet version (`1.35`)."""

    name: str
    size: str | None = None
    labels: dict[str, str] = {}
    taints: tuple[str, ...] = ()
    versions: dict[str, str] = {}
    ready: int = 0
    bounds: tuple[int, int] | None = None
    """Fewest and most nodes, where the provider keeps such bounds itself."""
    differs: tuple[str, ...] = ()
    """What else differs from the spec in ways only the driver knows, a line each; new nodes are needed for it."""
    outdated: tuple[str, ...] = ()
    """Nodes that were launched from an older configuration than the provider now holds."""
    standing_in: int = 0
    """Of the nodes, those that are there besides the ones which they replace, in an upgrade that is under way."""

    @property
    def count(self) -> int:
        """Without those on top that an upgrade has brought."""
        return len(self.versions) - self.standing_in


class ObservedApp(Model):
    """An app as it is: the digest of the source it was last deployed from, whole or in part."""

    name: str
    digest: str
    complete: bool


class Observed(Model):
    """A cluster as it is. `version` is None while no control plane is known."""

    phase: Phase
    version: str | None = None
    endpoint: str | None = None
    pools: dict[str, ObservedPool] = {}
    apps: dict[str, ObservedApp] = {}
    differs: tuple[str, ...] = ()
    """Settings of the cluster that differ from the spec in ways only the driver knows, a line each."""
    outdated: tuple[str, ...] = ()
    """Control-plane nodes that were launched from an older configuration than the provider now holds."""
    upgrading: bool = False
    """An upgrade was begun and has not come to its end: what follows its last change is still to be done."""
    detail: str = ""
    """Why the phase is PARTIAL, BROKEN or UNKNOWN, for people."""
    passing: bool = False
    """Of an UNKNOWN one: the reason (throttled, no connection) may pass by itself, so it is worth looking again."""


class Verb(StrEnum):
    """Everything a step can do. Words of the field; each is carried out by one method of the driver contract."""

    CREATE = "create"
    REPAIR = "repair"
    WAKE = "wake"
    HIBERNATE = "hibernate"
    UPGRADE_CONTROL_PLANE = "upgrade control plane"
    CREATE_POOL = "create pool"
    SCALE_POOL = "scale pool"
    CONFIGURE_POOL = "configure pool"
    UPGRADE_POOL = "upgrade pool"
    PREPARE_POOL = "prepare pool"
    ROLL_BACK_POOL = "roll back pool"
    VALIDATE = "validate"
    RUN_HOOK = "run hook"
    PAUSE = "pause"
    DELETE_POOL = "delete pool"
    CONFIGURE = "configure"
    ROTATE = "rotate"
    DEPLOY_APP = "deploy app"
    REMOVE_APP = "remove app"
    DELETE = "delete"


UPGRADING = (
    Verb.UPGRADE_CONTROL_PLANE,
    Verb.PREPARE_POOL,
    Verb.UPGRADE_POOL,
    Verb.VALIDATE,
    Verb.RUN_HOOK,
    Verb.PAUSE,
)
"""What an upgrade is made of."""


class Touched(Model):
    """A resource at the provider that a step creates, modifies or deletes, by the provider's own preview."""

    deed: Literal["create", "modify", "delete"]
    kind: str
    name: str
    fields: tuple[str, ...] = ()
    """Names of the fields that change, of one that is modified. Never their values: they may hold secrets."""
    explained: bool = True
    """Is it what the step is for? One that is not makes the step be refused when its turn comes."""

    def __str__(self) -> str:
        return f"{self.deed} {self.kind}/{self.name}"


class Step(Model):
    """One thing to do. `after` holds the ids of the steps that must have ended well before it may start."""

    id: str
    verb: Verb
    target: str
    reason: str
    params: dict[str, Any] = {}
    after: tuple[str, ...] = ()
    disrupts: str | None = None
    """What users of the cluster notice; None when nothing."""
    no_way_back: str | None = None
    """What cannot be undone once it is done, and why; None where it can be."""
    ends_upgrade: bool = False
    """The last step of an upgrade: with it nothing of the upgrade is owed any more."""
    resources: tuple[Touched, ...] | None = None
    """What it touches at the provider; None where the provider was not asked, or cannot tell."""
    expected: Duration = timedelta(seconds=5)

    def __str__(self) -> str:
        return f"{self.verb} {self.target}"


class Plan(Model):
    """An ordered, acyclic list of steps that take `cluster` from what was observed to what is desired."""

    cluster: str
    provider: str
    steps: tuple[Step, ...] = ()
    incomplete: bool = False
    """The cluster does not answer yet: once these steps are done, a second plan says what else differs."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        seen: set[str] = set()
        for step in self.steps:
            if step.id in seen:
                raise ValueError(f"two steps named {step.id}")
            if unknown := set(step.after) - seen:
                raise ValueError(
                    f"step {step.id} waits for {', '.join(sorted(unknown))}, which does not come before it"
                )
            seen.add(step.id)
        return self

    def only(self, *verbs: Verb) -> "Plan":
        """The same plan without other verbs; who waited for a dropped step waits for what that one waited for."""
        waits: dict[str, tuple[str, ...]] = {}
        kept: list[Step] = []
        for step in self.steps:
            after = tuple(dict.fromkeys(a for name in step.after for a in waits.get(name, (name,))))
            if step.verb in verbs:
                kept.append(step.model_copy(update={"after": after}))
            else:
                waits[step.id] = after
        return self.model_copy(update={"steps": tuple(kept)})

    @property
    def digest(self) -> str:
        """Names what will be done, in a few letters: equal for equal steps, whatever their reasons and usual times."""
        told = [
            step.model_dump(mode="json", include={"id", "verb", "target", "params", "after", "disrupts"})
            for step in self.steps
        ]
        text = json.dumps([self.cluster, self.provider, self.incomplete, told], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def foreseen(self) -> frozenset[str] | None:
        """`modify LaunchTemplate/web.k8s.example.com` …: all that the provider's previews told of its steps. None where
        it was not asked. Not part of the digest: the provider may tell more, or less, when the time comes."""
        asked = [step.resources for step in self.steps if step.resources is not None]
        return frozenset(str(one) for some in asked for one in some) if asked else None

    @property
    def foreseen_digest(self) -> str:
        """Names `foreseen` in a few letters; "" where the provider was not asked."""
        told = self.foreseen
        return "" if told is None else hashlib.sha256("\n".join(sorted(told)).encode()).hexdigest()[:12]

    @property
    def empty(self) -> bool:
        return not self.steps

    @property
    def disruptive(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.disrupts)

    def __bool__(self) -> bool:
        return bool(self.steps)


def nodes(count: int) -> str:
    """So many nodes, in words."""
    return "1 node" if count == 1 else f"{count} nodes"
