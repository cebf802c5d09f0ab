"""The driver contract: what a distribution must, and may, be able to do.

Capabilities are classes: a driver that has the methods has the capability (`isinstance(driver, Upgradable)`).
Every method observes before it acts, does only what is missing, and may be killed and called again at any point.
Every method waits until its effect can be observed, and raises `DeadlineExceeded` when `env.deadline` passes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, Literal, Protocol, runtime_checkable

from boatyard.clock import Clock, Deadline, Stop
from boatyard.plan.model import Observed, Plan, Verb
from boatyard.spec.models import Cluster, Pool
from boatyard.versions.offer import Offer
from boatyard.versions.skew import Tool

Report = Callable[[str], None]
"""Takes one line of progress for people; must be cheap and never raise."""


@dataclass(frozen=True)
class Facts:
    """What is true of a distribution as a whole; the rows of `boatyard compare`."""

    title: str
    production_use: Literal["yes", "no", "with care"]
    """Is it meant to carry production load?"""
    managed_by_provider: Literal["no", "control plane", "all"]
    """Who runs the control plane's machines?"""
    easy_upgrades: Literal["yes", "no", "with care"]
    """Can it be upgraded in place, one minor at a time, without rebuilding?"""
    enterprise_support: Literal["yes", "no"]
    """Does somebody sell support for it?"""
    customizable: Literal["high", "medium", "low"]
    """How much of the control plane's configuration is ours to set?"""
    evidence: str
    """What the driver's tests rest on: the real thing, its vendor's schema, recorded output."""


@dataclass(frozen=True)
class Env:
    """What a driver gets from outside.

    home: folder of Boatyard's state. tool: name → absolute path of a pinned program (raises `MissingTool`).
    fence: called right before each change in the world; raises `Fenced` when the lease was lost.
    note: writes a line of its own into the journal: what was done (a verb), to what, and why.
    foreseen: `Plan.foreseen` of the plan that was agreed to: nothing else may be done at the provider. None: not asked.
    done: what an earlier step of this operation has done and a later one need not ask for again; the driver's own keys.
    """

    home: Path
    clock: Clock
    deadline: Deadline
    tool: Callable[[str], Path]
    report: Report = field(default=lambda line: None)
    fence: Callable[[], None] = field(default=lambda: None)
    note: Callable[[str, str, str], None] = field(default=lambda verb, target, why: None)
    foreseen: frozenset[str] | None = None
    done: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def stopped(self) -> Stop:
        """The deadline's: set when the operation is ending, or has lost its lease. Whoever only waits then stops
        waiting, and programs that change something are ended."""
        return self.deadline.stopped


@dataclass(frozen=True)
class Finding:
    """Something preflight has to say. `blocks`: a step must not start before it is mended.

    repair: makes or mends it, safe to repeat, fenced; None where a person must. `fix` says what it does, or what to do.
    """

    subject: str
    problem: str
    fix: str
    blocks: bool = True
    repair: Callable[[], None] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Residue:
    """Something that is left of a deleted cluster."""

    kind: str
    """process, port, folder, bucket, volume …"""
    identity: str
    owner: str = ""
    monthly_cost: float | None = None
    """US dollars; None where it costs nothing or is not known."""


@dataclass(frozen=True)
class Backup:
    """A backup of etcd, of one of its clusters (`main`, `events`), where `location` says. size in bytes."""

    etcd: str
    at: datetime
    location: str
    size: int = 0


@runtime_checkable
class Driver(Protocol):
    """What every distribution does."""

    kind: ClassVar[str]
    facts: ClassVar[Facts]
    expected: ClassVar[Mapping[Verb, timedelta]]
    """How long each verb usually takes; of one node where it works node by node."""
    pool_label: ClassVar[str]
    """The label by which a node names its pool."""

    def __init__(self, cluster: Cluster, env: Env) -> None: ...

    def tools(self) -> tuple[str, ...]:
        """Names of the pinned programs it runs. No I/O."""
        ...

    def preflight(self) -> list[Finding]:
        """Everything that would stop a creation or a change, all at once. Reads only; [] when all is well."""
        ...

    def observe(self) -> Observed:
        """What is there now. Reads only, never waits, never raises for a cluster that is absent, asleep or broken;
        where nothing can be seen the phase is UNKNOWN."""
        ...

    def plan(self, observed: Observed, apps: Mapping[str, str]) -> Plan:
        """Steps from `observed` to the spec. `apps`: name → digest of its source (`boatyard.kube.render.digest`).
        Pure: no I/O. Raises `Unsafe` for a downgrade."""
        ...

    def create(self) -> None:
        """Control plane up and answering, no pools. Adopts a creation that was cut off; a no-op when it runs."""
        ...

    def kubeconfig(self) -> Mapping[str, object]:
        """Kubeconfig as a document, secrets inline, short-lived where the distribution can.
        `NotFound` when the cluster is absent, `Temporary` when it is there but asleep."""
        ...

    def delete(self) -> None:
        """Remove every part, the pools' nodes too; a no-op when nothing is there. Protection is the plan's to check."""
        ...

    def residue(self) -> list[Residue]:
        """Independent scan for leftovers, not by what `delete` remembers. [] is the proof of deletion."""
        ...


@runtime_checkable
class Scalable(Protocol):
    """Node pools come, go and change size."""

    def create_pool(self, pool: Pool, version: str) -> None:
        """`pool.min` Ready nodes at kubelet `version`, labelled `boatyard.dev/pool`; completes a half-made pool."""
        ...

    def scale_pool(self, name: str, count: int) -> None:
        """Exactly `count` nodes; those that go are drained by eviction first."""
        ...

    def configure_pool(self, pool: Pool) -> None:
        """Labels and taints of every node as the spec says, in place."""
        ...

    def delete_pool(self, name: str) -> None:
        """Drain and remove all nodes of the pool. A no-op when it is absent."""
        ...


@runtime_checkable
class Upgradable(Protocol):
    """Kubernetes versions go up, one minor at a time."""

    def offers(self) -> Sequence[Offer]:
        """What a cluster can be brought to today, in any order, as the provider's own API or channel says, with ends of
        support from there, else from the catalogue. () where it cannot be asked now. Reads only."""
        ...

    def upgrade_control_plane(self, to: str) -> None:
        """Control plane at minor `to`, objects and workloads kept. `Unsafe` when it skips a minor or goes down."""
        ...

    def upgrade_pool(
        self, pool: Pool, to: str, *, surge: int | None, drain_timeout: float, canary: bool = False
    ) -> None:
        """Every node at kubelet `to`, some at a time: new ones, cordon, evict, delete.

        surge: the most at a time; None is a quarter of the pool, at most 20. Budgets without head-room make it fewer
        (`boatyard.kube.headroom`). drain_timeout: seconds a node. canary: one node, alone; nothing when one is there.
        """
        ...


@runtime_checkable
class BlueGreen(Protocol):
    """A pool's new nodes can be brought up beside all its old ones, and go again."""

    def prepare_pool(self, pool: Pool, to: str) -> None:
        """As many Ready nodes at kubelet `to` as there are old ones, which take no new pods from then on, and keep what
        they have. `upgrade_pool` completes it."""
        ...

    def roll_back_pool(self, name: str) -> None:
        """The old nodes take pods again, and the new ones that stand beside them are drained and go. A no-op where
        nothing was prepared; what has replaced a node that is gone stays."""
        ...


@runtime_checkable
class MadeByProgram(Protocol):
    """A program on this machine makes and upgrades the clusters; it takes Kubernetes versions of a range of its own."""

    def program(self) -> Tool:
        """It, with its version. Reads only; a `BoatyardError` where it cannot be asked."""
        ...


@runtime_checkable
class Hibernatable(Protocol):
    """Sleep without cost, wake with everything kept."""

    def hibernate(self) -> None: ...

    def wake(self) -> None: ...


@runtime_checkable
class Snapshotable(Protocol):
    """The cluster's objects as a file, and back."""

    def snapshot(self, to: Path) -> None:
        """Write all objects to `to`, atomically, mode 0600."""
        ...

    def restore(self, source: Path) -> None:
        """Bring the objects of a snapshot back, in place. `InvalidSpec` when the file is not one."""
        ...


@runtime_checkable
class Configurable(Protocol):
    """Settings of the cluster itself can be changed while it runs."""

    def configure(self, changes: Sequence[str]) -> None:
        """Make true what `Observed.differs` told, nodes replaced where they must be, one node pool after another.
        `changes`: those that were agreed to; `Unsafe` when by now others would be made."""
        ...


@runtime_checkable
class Rotatable(Protocol):
    """Certificate authorities and service-account keys can be exchanged while the cluster runs."""

    def rotation(self) -> Sequence[str]:
        """Phases still to go through, of `stage`, `promote`, `distrust`; all of them when no rotation is under way."""
        ...

    def rotate(self, phase: str) -> None:
        """Bring one phase about, and let every node take it up."""
        ...


@runtime_checkable
class Foresighted(Protocol):
    """The provider can say beforehand which of its resources a change would touch."""

    def foresee(self, plan: Plan) -> Plan:
        """The same plan, its steps with what they create, modify and delete at the provider (`Step.resources`); of a
        resource that several steps touch, each tells what is new with it. Reads only; seconds to minutes."""
        ...


@runtime_checkable
class Adoptable(Protocol):
    """Clusters that others made can be taken over without changing them."""

    adopts: ClassVar[tuple[str, ...]]
    """How the sources begin that it reads, like `s3://`."""

    @classmethod
    def found(cls, source: str, env: Env) -> Sequence[Cluster]:
        """Specs of the clusters that `source` holds; planning any of them changes nothing. Reads only."""
        ...


@runtime_checkable
class BackedUp(Protocol):
    """The distribution makes backups of etcd by itself."""

    def backups(self) -> Sequence[Backup]:
        """All there are, newest first. Reads only."""
        ...
