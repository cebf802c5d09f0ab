"""What a drain's board keeps of each pod and of each budget, and what it hands out: one attempt at one pod."""

from dataclasses import dataclass, field

from boatyard.kube.eviction import Budget, Key, Pod


@dataclass(frozen=True)
class Attempt:
    """One eviction to try now."""

    uid: str
    namespace: str
    name: str
    node: str
    budget: Key | None
    version: str
    """The budget's resourceVersion that the attempt was decided on."""
    forced: bool = False
    """The budget does not allow it, and has been waited for long enough: to be deleted, not evicted."""


@dataclass
class Entry:
    pod: Pod
    group: Key | None = None
    asked: bool = False
    """True while its eviction is under way, or accepted: then only its end is awaited."""
    not_before: float = 0.0
    stage: int = 0
    said: str = ""
    """Why its last eviction was postponed."""


@dataclass
class Ledger:
    budget: Budget
    spent: int = 0
    """Disruptions granted that `budget.allowed` does not show yet."""
    busy: bool = False
    refused: str | None = None
    """The version on which the server refused."""
    told: bool = False
    held_since: float | None = None
    """When a pod that is due was first held back, with none let go since; None when none is held."""
    waiting: dict[str, None] = field(default_factory=dict)
