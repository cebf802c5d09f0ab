"""What a rehearsal found, as a value: the same for the terminal, the artifact, the store and the gate."""

import hashlib
import json
from datetime import datetime, timedelta

from boatyard.errors import Unsafe
from boatyard.plan.model import Observed, Plan, Step, Verb
from boatyard.spec.base import Model
from boatyard.spec.models import Cluster
from boatyard.spec.types import Duration
from boatyard.versions.minor import Minor

UPGRADE = (Verb.UPGRADE_CONTROL_PLANE, Verb.PREPARE_POOL, Verb.UPGRADE_POOL)
"""What a twin can show of an upgrade: not hooks, rests, or validations of what only plays its part."""
FRESH = timedelta(days=7)
"""How long a rehearsal says something about an upgrade: objects and load change."""


class Unloadable(Model):
    """An object that the new version does not take in the form in which somebody keeps it."""

    kind: str
    namespace: str = ""
    name: str
    api_version: str
    """The form: `admissionregistration.k8s.io/v1beta1`."""
    version: str
    """The Kubernetes minor that refuses it."""
    written_by: tuple[str, ...] = ()
    """Field managers that wrote it in that form; () for the form in which the server lists it."""
    replacement: str | None = None
    """API version in which the new Kubernetes serves the kind; None where it serves it in none."""
    reason: str

    def __str__(self) -> str:
        return f"{self.kind} {f'{self.namespace}/' if self.namespace else ''}{self.name}"


class Hold(Model):
    """A PodDisruptionBudget that kept pods on nodes which were being drained."""

    namespace: str
    name: str
    rule: str
    """`minAvailable 2`."""
    seconds: float
    """How long at least one pod could not leave for it, on the twin, where pods are ready within a second or two."""
    for_ever: bool = False
    """By the evidence in `why` it would never have let go: on the twin its pods were then deleted."""
    forced: bool = False
    """The policy (`policy.upgrade.force_after`) has such pods deleted against it, so it is not in the way."""
    owners: tuple[str, ...] = ()
    """Workloads of the pods it held: `Deployment shop/web`."""
    nodes: tuple[str, ...] = ()
    why: str = ""

    def __str__(self) -> str:
        return f"PodDisruptionBudget {self.namespace}/{self.name}"


class Drained(Model):
    """A node that was emptied and replaced. seconds: from its cordon to its end."""

    pool: str
    node: str
    pods: int
    seconds: float


class Waiting(Model):
    """Pods of one workload without a node."""

    workload: str
    pods: int
    """How many at most at one time."""
    reason: str
    """The scheduler's own words."""
    seconds: float = 0.0
    at_the_end: bool = False
    """Still so when all was done, and not so before."""


class StepTime(Model):
    """One step of the plan. seconds: on the twin, None where it was not reached."""

    key: str
    """What is done to whom for which minor, however the plan words it; see `step_key`."""
    what: str
    seconds: float | None = None
    estimate: Duration
    """Of the real cluster, from what its driver usually takes; an estimate, not a measurement."""
    error: str = ""


class LeftOut(Model):
    """Steps of the upgrade that a twin cannot show, of one kind. time: all of them together."""

    what: str
    """`run hook announce`, `3 validations`."""
    time: Duration
    known: bool = False
    """The policy names the time; else it is an estimate."""


class Report(Model):
    """A whole rehearsal."""

    cluster: str
    provider: str
    version: str
    """Kubernetes minor of the cluster, and of the twin at first."""
    to: str
    plan: str
    """Digest of the plan's upgrade steps."""
    spec: str
    """Digest of what else decides; see `spec_digest`."""
    at: datetime
    seconds: float
    estimate: Duration
    """Of the whole upgrade of the real cluster, with its rests and validations, without what budgets hold."""
    objects: int
    """How many were brought onto the twin."""
    nodes: int
    pods: int
    """How many ran on the twin before the upgrade."""
    steps: tuple[StepTime, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    """Steps of the upgrade that were not rehearsed; their time is part of `estimate`."""
    unloadable: tuple[Unloadable, ...] = ()
    holds: tuple[Hold, ...] = ()
    drained: tuple[Drained, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    gone: tuple[str, ...] = ()
    """Pods that nobody brought back after their eviction."""
    deprecated: tuple[str, ...] = ()
    """What the new server still takes, with a warning: its words, once each."""
    notes: tuple[str, ...] = ()
    """Where the twin differs from the cluster."""

    @property
    def blockers(self) -> tuple[str, ...]:
        """A sentence for each thing that would stop the upgrade or break what runs."""
        found = [f"{each}: {each.reason}" for each in self.unloadable]
        found += [f"{each} would hold for ever: {each.why}" for each in self.holds if each.for_ever and not each.forced]
        found += [f"{each.workload}: {each.reason}" for each in self.waiting if each.at_the_end]
        return tuple(found + [f"{step.what} failed: {step.error}" for step in self.steps if step.error])

    @property
    def well(self) -> bool:
        """Every step was done, and nothing stands in the way."""
        return not self.blockers and all(step.seconds is not None for step in self.steps)


_ASIDE = {"approve", "rehearse", "preflight", "waivers", "at_end_of_support", "before", "after", "pause", "rounds"}
"""Parts of `policy.upgrade` that change nothing about what a twin can show."""


def step_key(step: Step) -> str:
    """`upgrade pool web 1.36`: a twin knows no patch levels, so a rehearsal counts for all of a minor's."""
    return f"{step} {Minor.parse(step.params['version'])}"


def only_patches(observed: Observed, to: str) -> bool:
    """Do the cluster and all its nodes run the minor of `to` already? Then there is nothing that a twin could show."""
    versions = [observed.version or to, *(each for pool in observed.pools.values() for each in pool.versions.values())]
    return {Minor.parse(version) for version in versions} == {Minor.parse(to)}


def upgrade_steps(plan: Plan) -> Plan:
    """The part of a plan that is rehearsed."""
    return plan.only(*UPGRADE)


def left_out(plan: Plan) -> tuple[LeftOut, ...]:
    """What of an upgrade's plan is not rehearsed: each hook, all rests, all validations."""
    of = {
        verb: [step for step in plan.steps if step.verb is verb] for verb in (Verb.RUN_HOOK, Verb.PAUSE, Verb.VALIDATE)
    }
    found = [LeftOut(what=str(step), time=step.expected) for step in of[Verb.RUN_HOOK]]
    for verb, name in ((Verb.PAUSE, "rest"), (Verb.VALIDATE, "validation")):
        if steps := of[verb]:
            what = f"1 {name}" if len(steps) == 1 else f"{len(steps)} {name}s"
            time = sum((step.expected for step in steps), timedelta())
            found.append(LeftOut(what=what, time=time, known=verb is Verb.PAUSE))
    return tuple(found)


def spec_digest(cluster: Cluster) -> str:
    """Names what of a spec decides how an upgrade goes: not who owns it, when it sleeps or where it is going."""
    data = cluster.model_dump(mode="json", include={"name", "provider", "control_plane", "pools", "network", "apps"})
    data["upgrade"] = cluster.policy.upgrade.model_dump(mode="json", exclude=_ASIDE)
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]


def check_rehearsed(report: Report | None, cluster: Cluster, to: str, plan: Plan, age: timedelta) -> None:
    """Raise `Unsafe` unless `report` is a good rehearsal of what `plan` still has to do. age: of the report.

    An upgrade that was cut off goes on under the rehearsal it began with: what is left is part of what was rehearsed.
    """
    again = f"Run `boatyard rehearse {cluster.name} --to {to}`."
    asked = f"cluster {cluster.name} wants its upgrades rehearsed (policy.upgrade.rehearse)"
    if report is None:
        raise Unsafe(f"{asked}, and none to {to} was.", hint=again)
    if blockers := report.blockers:
        more = f", and {len(blockers) - 1} more" if len(blockers) > 1 else ""
        raise Unsafe(f"{asked}, and the last rehearsal to {to} found: {blockers[0].rstrip('.')}{more}.", hint=again)
    if not report.well:
        raise Unsafe(f"{asked}, and the last rehearsal to {to} did not come to its end.", hint=again)
    if age > FRESH:
        raise Unsafe(f"{asked}, and the last rehearsal to {to} is {age.days} days old.", hint=again)
    rehearsed = {step.key for step in report.steps}
    missing = [str(step) for step in upgrade_steps(plan).steps if step_key(step) not in rehearsed]
    if missing:
        raise Unsafe(f"{asked}, and the last rehearsal to {to} had no step {missing[0]!r}.", hint=again)
    if report.spec != spec_digest(cluster):
        raise Unsafe(f"{asked}, and its spec has changed since the last rehearsal to {to}.", hint=again)
