"""Hooks of an upgrade that are Prefect deployments: started, waited for, and ended when they take too long."""

from prefect.client.orchestration import get_client
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from boatyard.drivers.base import Driver, Env
from boatyard.drivers.upgrading import attempt_hook
from boatyard.errors import DeadlineExceeded, NotFound, Permanent
from boatyard.plan.model import Step
from boatyard.spec.models import Cluster

_LOOK_AGAIN = 2.0  # seconds; the server tells nobody of a run's end


def start_deployment(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    """Run the hook's deployment to its end; it must end well."""
    attempt_hook(step, env, lambda seconds: _run(step, cluster, env, seconds))


def _run(step: Step, cluster: Cluster, env: Env, seconds: float) -> None:
    name = step.params["deployment"]
    try:
        run = run_deployment(
            name,
            parameters=step.params["parameters"],
            flow_run_name=f"{step.target} of {cluster.name}",
            timeout=seconds,
            poll_interval=_LOOK_AGAIN,
        )
    except ObjectNotFound:
        raise NotFound(f"this Prefect server has no deployment {name}.", hint="`prefect deployment ls`.") from None
    if run.state is None or not run.state.is_final():
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(run.id, Cancelling(message="it took longer than its hook allows"))
        raise DeadlineExceeded(f"flow run {run.name} of deployment {name} did not end in {seconds:g} s.")
    env.report(f"flow run {run.name} of deployment {name} is {run.state.name}")
    if not run.state.is_completed():
        raise Permanent(f"flow run {run.name} of deployment {name} is {run.state.name}: {run.state.message or ''}.")
