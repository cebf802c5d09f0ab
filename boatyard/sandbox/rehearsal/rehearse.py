"""One rehearsal: read the cluster, build its twin, carry the plan out there, and say what was seen.

Only `Rehearsal.read` and the look before it have to do with the real cluster, and they can only read it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from boatyard.drivers.base import Report as Say
from boatyard.drivers.execute import carry_out, time_limit
from boatyard.drivers.kwok.spec import Provider
from boatyard.drivers.operation import READ_LIMIT, Yard, plan_for, wanting_version
from boatyard.drivers.registry import driver_class, driver_for
from boatyard.errors import BoatyardError, Fenced, NotFound, Permanent, Temporary, Unsafe, Unsupported
from boatyard.kube.client import Client
from boatyard.kube.health import pool_by
from boatyard.kube.readonly import ReadOnlyClient
from boatyard.plan.model import UPGRADING, Observed, Phase, Plan, Step, Verb
from boatyard.plan.render import critical_path
from boatyard.sandbox.rehearsal import load
from boatyard.sandbox.rehearsal.budgets import for_ever
from boatyard.sandbox.rehearsal.load import Answer
from boatyard.sandbox.rehearsal.report import (
    Hold,
    LeftOut,
    Report,
    StepTime,
    Unloadable,
    Waiting,
    left_out,
    only_patches,
    spec_digest,
    step_key,
    upgrade_steps,
)
from boatyard.sandbox.rehearsal.source import Form, Source, read
from boatyard.sandbox.rehearsal.twin import Twin
from boatyard.sandbox.rehearsal.watcher import Findings, Watcher
from boatyard.sandbox.rehearsal.workloads import Census
from boatyard.spec.models import Cluster
from boatyard.versions.minor import Minor

MAKING = 600.0
"""Seconds the twin may take to be made, on a busy machine."""
LOADING = 900.0
"""Seconds for its objects, and again for its pods to come up."""
QUIET = 15.0
"""Seconds without a change after which pods that are not there yet will not come."""


@dataclass
class Rehearsal:
    """Called in the order of its methods. `plan` has the steps, `report()` the outcome, also after a failed step."""

    yard: Yard
    cluster: Cluster
    to: str
    plan: Plan
    version: str
    """The cluster's minor."""
    estimate: timedelta
    """Of the whole upgrade, as its driver and its policy have it."""
    aside: tuple[LeftOut, ...]
    """Its steps that are not rehearsed."""
    twin: Twin
    say: Say
    _began: float = 0.0
    _source: Source | None = None
    _before: Census = field(default_factory=Census)
    _pending: dict[str, int] = field(default_factory=dict)
    _first: dict[Form, Answer] = field(default_factory=dict)
    _steps: dict[str, StepTime] = field(default_factory=dict)
    _unloadable: dict[Form, Unloadable] = field(default_factory=dict)
    _deprecated: dict[str, None] = field(default_factory=dict)
    _findings: Findings = field(default_factory=Findings)
    _doubled: list[Hold] = field(default_factory=list)
    _waiting: list[Waiting] = field(default_factory=list)
    _gone: list[str] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)

    # parts, in their order

    def read(self) -> None:
        """The real cluster, by lists alone. What secrets hold is gone when this returns."""
        self._began = self.yard.machine.monotonic()
        driver = self.yard.reader(self.cluster)
        with ReadOnlyClient(driver.kubeconfig(), agent="boatyard-rehearsal") as client:
            self._source = read(client, self.say)

    def build(self) -> None:
        """The twin: same version, same nodes by shape."""
        self.twin.make(self.cluster, self.source, self._pool_of, limit=MAKING)

    def fill(self) -> None:
        """The cluster's objects, until its workloads are as settled as they were; then each object's forms, for later
        comparison."""
        source, env = self.source, self.twin.env(LOADING, "loading the cluster's objects")
        with self.twin.client() as client:
            refused = load.load(client, source.objects, deadline=env.deadline, fence=env.fence)
            self.say(f"{len(source.objects) - len(refused)} of {len(source.objects)} objects are on the twin")
            with Watcher(client, env.clock, Findings()) as watcher:
                limit = self.twin.env(LOADING, "waiting for the twin's pods").deadline
                settled = watcher.wait_settled(source.pods.bound, quiet=QUIET, deadline=limit)
                self._before, reasons = watcher.census(), watcher.reasons()
            self._first = load.ask(client, source.forms, env.fence)
        self._pending = dict(self._before.pending)
        self.say(f"{self._before.bound.total()} pods run on the twin, {self._before.pending.total()} have no node")
        self._notes += [f"could not be brought onto the twin: {ref}: {why}" for ref, why in refused]
        self._notes += _untried(self._first)
        if not settled:
            self._notes += _missing(source.pods, self._before, reasons)

    def step(self, step: Step) -> bool:
        """One step of the plan, on the twin. False when it failed: the report says why, later steps are pointless."""
        began = self.yard.machine.monotonic()
        error = ""
        try:
            if step.verb is Verb.UPGRADE_POOL:
                self._drain(step)
            else:
                self._carry_out(step)
            if step.verb is Verb.UPGRADE_CONTROL_PLANE:
                self._look_for_unloadable(str(Minor.parse(step.params["version"])))
        except (Fenced, Temporary):
            raise  # the lease is gone, or another try may mend it: steps go on where they were
        except BoatyardError as failed:
            error = str(failed)
        seconds = round(self.yard.machine.monotonic() - began, 1)
        self._steps[step.id] = _step_time(step, None if error else seconds, error)
        self.say(f"{step}: {error or f'done in {seconds:g} s on the twin'}")
        return not error

    def settle(self) -> None:
        """Whatever still comes after the last step; what does not is reported."""
        deadline = self.twin.env(LOADING, "waiting for the twin's pods").deadline
        with self.twin.client() as client, self._watcher(client) as watcher:
            if not watcher.wait_settled(_lasting(self._before), quiet=QUIET, deadline=deadline):
                self._waiting = _lacking(self._before, watcher.census(), watcher.reasons())
            self._gone = sorted(name for name in self._before.bound if _bare(name) and not watcher.census().bound[name])

    def report(self) -> Report:
        """All that was seen."""
        source = self.source
        lacking = {each.workload for each in self._waiting}
        passing = [each for each in self._findings.waiting() if each.workload not in lacking and each.seconds >= 0.1]
        steps = [self._steps.get(step.id) or _step_time(step, None, "") for step in self.plan.steps]
        return Report(
            cluster=self.cluster.name,
            provider=self.cluster.provider.kind,
            version=self.version,
            to=self.to,
            plan=self.plan.digest,
            spec=spec_digest(self.cluster),
            at=self.yard.clock.now(),
            seconds=round(self.yard.machine.monotonic() - self._began, 1),
            estimate=self.estimate,
            objects=len(source.objects),
            nodes=len(source.nodes),
            pods=self._before.bound.total(),
            steps=tuple(steps),
            left_out=self.aside,
            unloadable=tuple(self._unloadable.values()),
            holds=(*self._doubled, *self._held()),
            drained=tuple(self._findings.drained),
            waiting=(*self._waiting, *passing),
            gone=tuple(self._gone),
            deprecated=tuple(self._deprecated),
            notes=(*source.notes, *self._notes),
        )

    # inside

    def _held(self) -> list[Hold]:
        found = self._findings.holds.found()
        sick = self.source.sick
        told = [sick[key].told(each) if (key := (each.namespace, each.name)) in sick else each for each in found]
        forced = self.cluster.policy.upgrade.force_after is not None
        known = {(each.namespace, each.name) for each in self.source.stuck}
        seen = [each for each in told if (each.namespace, each.name) not in known]
        return [each.model_copy(update={"forced": forced}) for each in (*self.source.stuck, *seen)]

    @property
    def source(self) -> Source:
        if self._source is None:
            raise RuntimeError("read() comes first")
        return self._source

    def _pool_of(self, node: Mapping[str, Any]) -> str | None:
        return pool_by(driver_class(self.cluster.provider.kind).pool_label)(dict(node))

    def _watcher(self, client: Client, draining: str | None = None) -> Watcher:
        return Watcher(client, self.yard.machine, self._findings, before=self._pending, draining=draining)

    def _carry_out(self, step: Step) -> None:
        env = self.twin.env(time_limit(step, self.twin.cluster).total_seconds(), str(step))
        driver = driver_for(self.twin.cluster, env)
        carry_out(step, driver, self.twin.cluster, env)

    def _drain(self, step: Step) -> None:
        env = self.twin.env(MAKING, "waiting for the twin's pods")
        with self.twin.client() as client, self._watcher(client, step.target) as watcher:
            watcher.wait_settled(_lasting(self._before), quiet=QUIET, deadline=env.deadline)
            self._undouble(client, watcher)
            with watcher.judging(self.say, env.fence):
                self._carry_out(step)

    def _undouble(self, client: Client, watcher: Watcher) -> None:
        """Pods under two budgets cannot be evicted at all: noted, and one of the budgets goes, on the twin."""
        for (namespace, name), (budget, pods) in watcher.doubly_covered().items():
            why = f"pod {pods[0]} is covered by another budget, too: the server refuses to evict it"
            self._doubled.append(for_ever(budget, map(str, pods), pods, why))
            self.twin.env(MAKING, "").fence()
            client.delete(f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{name}")

    def _look_for_unloadable(self, version: str) -> None:
        """Forms that the twin took before and takes no more."""
        taken = [form for form, answer in self._first.items() if not answer.error and form not in self._unloadable]
        with self.twin.client() as client:
            answers = load.ask(client, taken, self.twin.env(MAKING, "").fence)
            for form, answer in answers.items():
                if answer.error:
                    self._unloadable[form] = _unloadable(client, form, answer, version)
                elif answer.warning:
                    self._deprecated[answer.warning] = None


def prepare(yard: Yard, name: str, to: str, twin: Twin, say: Say) -> Rehearsal:
    """What is to be rehearsed: the plan of the upgrade as it stands. Looks at the real cluster, changes nothing.

    `Unsafe` when the cluster does not run, `Unsupported` when no twin can be built of its version.
    """
    cluster = yard.registered(name)
    driver = yard.reader(cluster)
    observed = driver.observe()
    if observed.phase is not Phase.RUNNING or observed.version is None:
        why = f": {observed.detail}" if observed.detail else ""
        raise Unsafe(f"cluster {name} is {observed.phase}{why}; only a running one can be rehearsed.")
    wanted = wanting_version(cluster, driver, observed, to)
    env = yard.env(READ_LIMIT, f"planning the upgrade of {name}")
    whole = plan_for(driver_for(wanted, env), wanted, observed, yard.settings.home).only(*UPGRADING)
    plan = upgrade_steps(whole)
    version = str(Minor.parse(observed.version))
    _possible(name, observed, version, str(Minor.parse(to)), plan)
    aside, takes = left_out(whole), critical_path(whole)
    return Rehearsal(yard, cluster, str(Minor.parse(to)), plan, version, takes, aside, twin, say)


def _possible(name: str, observed: Observed, version: str, to: str, plan: Plan) -> None:
    if not plan:
        raise Permanent(f"cluster {name} and its pools run Kubernetes {version} already; there is nothing to rehearse.")
    minors = Provider.minors
    if version not in minors or to not in minors:
        raise Unsupported(
            f"a twin can be Kubernetes {minors[0]} to {minors[-1]}; cluster {name} would go from {version} to {to}."
        )
    if only_patches(observed, to):
        raise Unsupported(f"a twin has no patch levels; cluster {name} and its pools run Kubernetes {to} already.")


def _step_time(step: Step, seconds: float | None, error: str) -> StepTime:
    what = f"{step} (canary)" if step.params.get("canary") else str(step)
    return StepTime(key=step_key(step), what=what, seconds=seconds, estimate=step.expected, error=error)


def _unloadable(client: Client, form: Form, answer: Answer, version: str) -> Unloadable:
    group = form.api_version.rpartition("/")[0]
    try:
        instead: str | None = client.discovery.preferred(group, form.ref.kind).api_version
    except NotFound:
        instead = None
    reason = answer.error
    if not answer.served:
        reason = f"Kubernetes {version} does not serve {form.api_version}"
        reason += f" any more; write it in {instead}" if instead else " any more, nor the kind in another version"
    return Unloadable(
        kind=form.ref.kind,
        namespace=form.ref.namespace,
        name=form.ref.name,
        api_version=form.api_version,
        version=version,
        written_by=form.managers,
        replacement=instead,
        reason=reason,
    )


def _untried(first: Mapping[Form, Answer]) -> list[str]:
    """What the twin refuses before any upgrade says nothing about one."""
    refused = [(form, answer.error) for form, answer in first.items() if answer.error]
    return [
        f"could not be tried, since the twin refuses it before the upgrade: {form.ref} in {form.api_version}: {why}"
        for form, why in refused
    ]


def _lacking(before: Census, now: Census, reasons: Mapping[str, str]) -> list[Waiting]:
    """Workloads with fewer pods on nodes than before the upgrade."""
    return [
        Waiting(workload=name, pods=fewer, reason=reasons.get(name, "its pods do not come"), at_the_end=True)
        for name, count in sorted(_lasting(before).items())
        if (fewer := count - now.bound[name]) > 0
    ]


def _lasting(before: Census) -> dict[str, int]:
    """Pods that somebody brings back after an eviction."""
    return {name: count for name, count in before.bound.items() if not _bare(name)}


def _bare(workload: str) -> bool:
    return workload.startswith("Pod ")


def _missing(wanted: Census, found: Census, reasons: Mapping[str, str]) -> Sequence[str]:
    """Where the twin did not get as far as the cluster is."""
    return [
        f"{name} has {found.bound[name]} of its {count} pods on the twin"
        + (f": {reasons[name]}" if name in reasons else "")
        for name, count in sorted(wanted.bound.items())
        if found.bound[name] < count
    ]
