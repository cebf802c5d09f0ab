"""Rehearsals in Prefect: each part a task, the report an artifact; and the gate in front of upgrades that need one."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from boatyard.plan.model import Step
from boatyard.sandbox.rehearsal.rehearse import Rehearsal, prepare
from boatyard.sandbox.rehearsal.render import as_markdown, verdict
from boatyard.sandbox.rehearsal.report import Report, check_rehearsed, only_patches
from boatyard.sandbox.rehearsal.twin import remove_left, twin_of
from boatyard.versions.minor import Minor
from tasks.options import RETRIED
from tasks.steps import artifact_key, show_plan
from tasks.yard import operation, who, yard

_rehearsal: ContextVar[Rehearsal] = ContextVar("rehearsal")
"""What it holds is never given to a task as a parameter: Prefect would look through it all."""


def require_rehearsed(to: str) -> None:
    """Raise `Unsafe` where the policy wants upgrades rehearsed and this one to `to` was not; else return.

    To be called while the running operation wants `to` (`op.wanting(op.at_version(to))`). An upgrade between patches of
    one minor needs none: a twin has no patch levels.
    """
    op = operation()
    if not op.cluster.policy.upgrade.rehearse or only_patches(op.observe(), to):
        return
    minor = str(Minor.parse(to))
    found = op.yard.store.rehearsals.last(op.cluster.name, minor)
    report = None if found is None else Report.model_validate(found.report)
    now = op.yard.clock.now()
    check_rehearsed(report, op.cluster, minor, op.plan(), now - (found.ended_at if found else now))
    get_run_logger().info("the upgrade of %s to %s was rehearsed", op.cluster.name, minor)


@contextmanager
def rehearsing(name: str, to: str) -> Iterator[None]:
    """A rehearsal of what an upgrade to `to` would do, with a twin of its own that is gone when the block ends."""
    say = get_run_logger().info
    with twin_of(yard(), name, who=who(), run_id=str(flow_run.id), report=say) as twin:
        rehearsal = prepare(yard(), name, to, twin, say)
        show_plan(rehearsal.plan)
        token = _rehearsal.set(rehearsal)
        try:
            yield
        finally:
            _rehearsal.reset(token)


@task(task_run_name="read the cluster", **RETRIED)
def read_cluster() -> None:
    """Its objects, nodes and pods, by lists alone."""
    _rehearsal.get().read()


@task(task_run_name="build the twin", **RETRIED)
def build_twin() -> None:
    """Same version, same nodes."""
    _rehearsal.get().build()


@task(task_run_name="load the objects", **RETRIED)
def load_objects() -> None:
    """Until the twin's pods are as settled as the cluster's."""
    _rehearsal.get().fill()


@task(task_run_name="{step.verb} {step.target}", **RETRIED)
def rehearse_step(step: Step) -> bool:
    """One step of the plan on the twin; False when it failed."""
    return _rehearsal.get().step(step)


@task(task_run_name="wait for pods", **RETRIED)
def settle() -> None:
    """What has no node now will get none."""
    _rehearsal.get().settle()


def rehearse_steps() -> None:
    """The very plan. After a step that failed the others say nothing."""
    if all(rehearse_step(step) for step in _rehearsal.get().plan.steps):
        settle()


def keep_report() -> Report:
    """In the log, as an artifact and in the store."""
    rehearsal = _rehearsal.get()
    report = rehearsal.report()
    get_run_logger().info(verdict(report))
    create_markdown_artifact(
        as_markdown(report),
        key=f"rehearsal-{artifact_key(report.cluster)}",
        description=f"Rehearsal of {report.cluster} to {report.to}",
    )
    rehearsal.yard.store.rehearsals.add(
        report.cluster,
        version=report.to,
        plan=report.plan,
        spec=report.spec,
        well=report.well,
        report=report.model_dump(mode="json"),
    )
    return report


@task(task_run_name="remove twins of killed rehearsals", **RETRIED)
def remove_left_twins() -> None:
    """What rehearsals left that were killed and never begun again."""
    say = get_run_logger().info
    for name in remove_left(yard(), who=who(), run_id=str(flow_run.id), report=say):
        say("twin %s was left of a killed rehearsal and is removed", name)
