"""`policy.upgrade`: how an upgrade goes about it, and what runs before and after. See docs/upgrades.md."""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from boatyard.spec.base import Model, judged
from boatyard.spec.checks import hook_rules, upgrade_rules
from boatyard.spec.types import DeploymentName, Duration, LabelSelector, Name
from boatyard.spec.waivers import Waiver

Argument = Annotated[str, StringConstraints(max_length=4096)]


class Hook(Model):
    """Something of your own to run: a command or a Prefect deployment. It must be safe to run again."""

    name: Name
    """How plans and the journal call it; lower-case letters, digits and `-`."""
    command: Annotated[tuple[Argument, ...], Field(max_length=200)] = ()
    """Program and arguments, run without a shell in the folder of Boatyard's state. It finds BOATYARD_CLUSTER,
    BOATYARD_FROM, BOATYARD_TO and KUBECONFIG in its environment."""
    deployment: DeploymentName | None = None
    """A Prefect deployment, like `smoke-test/production`."""
    parameters: dict[str, Any] = {}
    """The deployment's parameters. In text, `{cluster}`, `{from}` and `{to}` are filled in."""
    timeout: Duration = timedelta(minutes=10)
    """How long it may take; then it is ended and counts as failed."""
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    """How often it is tried again when it fails."""
    on_failure: Literal["stop", "go_on"] = "stop"
    """Whether the upgrade stops when it fails."""

    @model_validator(mode="after")
    def _one_deed(self) -> Self:
        return judged(self, hook_rules(self.model_dump(mode="json")))


class Upgrade(Model):
    """How upgrades disrupt."""

    canary: Literal["none", "node", "pool"] = "none"
    """What goes first and alone, and is validated before the rest: a node of the first pool, that pool, or nothing."""
    parallel_pools: Annotated[int, Field(ge=1, le=20)] = 1
    """Pools that are upgraded side by side, in the spec's order."""
    surge: Annotated[int, Field(ge=1, le=100)] | None = None
    """Most nodes of a pool that are replaced at once, and so added above its size; left out, a quarter of the pool, at
    most 20. PodDisruptionBudgets without head-room make it fewer."""
    strategy: Literal["rolling", "blue_green"] = "rolling"
    """`rolling` replaces some nodes at a time. `blue_green` brings up as many new nodes as there are old ones,
    validates, and only then empties the old ones; when the validation fails, the new ones go. Not every driver can."""
    rounds: Annotated[int, Field(ge=0, le=20)] = 3
    """How often in a row everything must be well between two steps; 0 leaves these validations out."""
    pause: Duration = timedelta()
    """Rest between the control plane and the pools, and between pools."""
    drain_timeout: Duration = timedelta(minutes=15)
    """How long a node's pods may take to leave before the step stops."""
    drain_order: Annotated[tuple[LabelSelector, ...], Field(max_length=50)] = ()
    """Labels of pods, like `tier=batch`: those of an earlier entry leave first, and are gone before the next begin;
    pods that none of them matches leave last."""
    force_after: Duration | None = None
    """Delete pods although their PodDisruptionBudget forbids it, once that has let none go for this long; never, when
    left out. Shorter than drain_timeout."""
    before: Annotated[tuple[Hook, ...], Field(max_length=20)] = ()
    """What runs before the first step of an upgrade, one after another."""
    after: Annotated[tuple[Hook, ...], Field(max_length=20)] = ()
    """What runs after its last step, one after another."""
    preflight: Literal["enforce", "warn", "off"] = "enforce"
    """What an upgrade does about culprits that block it: refuse to begin, only name them, or not look at all."""
    waivers: tuple[Waiver, ...] = ()
    """Findings of the preflight that may be ignored, each with a reason and a last day."""
    approve: bool = False
    """Wait in the Prefect UI for approval before steps that disrupt. Asking to delete or hibernate is approval."""
    at_end_of_support: Literal["warn", "upgrade"] = "warn"
    """`upgrade`: in the last window before its version's support ends, upgrade without soak days or approval."""
    rehearse: bool = False
    """Refuse an upgrade that was not rehearsed on a twin in the last seven days, or whose rehearsal found blockers."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        return judged(self, upgrade_rules(self.model_dump(mode="json")))
