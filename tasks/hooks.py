"""Hooks of an upgrade that are Prefect deployments: started or found, waited for, and ended when they take too long."""

import contextlib
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas import filters
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling
from prefect.utilities.urls import url_for

from boatyard.clock import Deadline
from boatyard.drivers.base import Driver, Env
from boatyard.drivers.upgrading import attempt_hook
from boatyard.errors import DeadlineExceeded, NotFound, Permanent
from boatyard.plan.model import Step
from boatyard.spec.models import Cluster
from tasks.places import NoPlace, kept_from_starting

_LOOK_AGAIN = 2.0  # seconds; the server tells nobody of a run's end
_LIVE = ["SCHEDULED", "PENDING", "RUNNING", "PAUSED"]
"""A run that is being cancelled is none to wait for."""


def start_deployment(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    """Run the hook's deployment to its end; it must end well.

    A run that an upgrade left behind which was killed is waited for instead of a second one.
    """
    attempt_hook(step, env, lambda seconds, evidence: _run(step, cluster, env, seconds, evidence))


def _run(step: Step, cluster: Cluster, env: Env, seconds: float, evidence: list[str]) -> None:
    limit = Deadline.after(seconds, f"hook {step.target}", env.clock)
    with get_client(sync_client=True) as client:
        begun = _under_way(client, step, cluster, env) or _begin(step, cluster)
        try:
            run, kept = _awaited(client, begun.id, limit, env)
        except NoPlace:
            client.set_flow_run_state(begun.id, Cancelling(message="the upgrade that waits for it holds its place"))
            raise
        what = f"flow run {run.name} of deployment {step.params['deployment']}"
        state = run.state.name if run.state is not None else "without a state"
        said = f": {run.state.message}" if run.state is not None and run.state.message else ""
        evidence.append(f"{what} is {state}{said}; its id is {run.id}")
        if (url := url_for("flow-run", obj_id=run.id)) is not None:
            evidence.append(f"its log: {url}")
        if run.state is None or not run.state.is_final():
            client.set_flow_run_state(run.id, Cancelling(message="it took longer than its hook allows"))
            raise DeadlineExceeded(_late(run, what, seconds, kept))
    env.report(f"{what} is {state}")
    if not run.state.is_completed():
        raise Permanent(f"{what} is {state}{said or ': it says no more'}.")


def _tag(step: Step, cluster: Cluster) -> str:
    """By which the run is found again. Not by its parameters: `{from}` is another one once the control plane went."""
    return f"hook {step.target} of {cluster.name} to {step.params['environment']['to']}"


def _under_way(client: SyncPrefectClient, step: Step, cluster: Cluster, env: Env) -> FlowRun | None:
    """The hook's run that goes on although the upgrade that began it is gone."""
    name = step.params["deployment"]
    try:
        deployment = client.read_deployment_by_name(name)
    except ObjectNotFound:
        raise NotFound(f"this Prefect server has no deployment {name}.", hint="`prefect deployment ls`.") from None
    chosen = filters.FlowRunFilter(
        tags=filters.FlowRunFilterTags(all_=[_tag(step, cluster)]),
        state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=_LIVE)),
        deployment_id=filters.FlowRunFilterDeploymentId(any_=[deployment.id]),
    )
    found = client.read_flow_runs(flow_run_filter=chosen, limit=1)
    if found:
        env.report(f"flow run {found[0].name} of deployment {name} is under way already and is waited for")
    return found[0] if found else None


def _begin(step: Step, cluster: Cluster) -> FlowRun:
    return run_deployment(
        step.params["deployment"],
        parameters=step.params["parameters"],
        flow_run_name=f"{step.target} of {cluster.name}",
        tags=[_tag(step, cluster)],
        timeout=0,
    )


def _awaited(client: SyncPrefectClient, run_id: UUID, limit: Deadline, env: Env) -> tuple[FlowRun, str | None]:
    """The run as it is at its end, or when its time is over, and what kept it from its start, told when it was seen."""
    run, kept = client.read_flow_run(run_id), None
    while not (limit.passed or (run.state is not None and run.state.is_final())):
        env.fence()
        before, kept = kept, _kept(client, run)
        if kept is not None and kept != before:
            env.report(f"flow run {run.name} waits to be begun: {kept}")
        if env.clock.wait(env.stopped, min(limit.left, _LOOK_AGAIN)):
            env.stopped.check(f"waiting for flow run {run.name}")
        with contextlib.suppress(httpx.HTTPError):  # a server that is just coming back
            run = client.read_flow_run(run_id)
    return run, _kept(client, run)


def _kept(client: SyncPrefectClient, run: FlowRun) -> str | None:
    with contextlib.suppress(httpx.HTTPError):
        return kept_from_starting(client, run)
    return None


def _late(run: FlowRun, what: str, seconds: float, kept: str | None) -> str:
    if run.start_time is None:
        pool = run.work_pool_name
        why = kept or (f"it had a place in work pool {pool}" if pool else "its deployment has no work pool")
        return f"{what} was begun by no worker in {seconds:g} s: {why}."
    return f"{what} did not end in {seconds:g} s."
