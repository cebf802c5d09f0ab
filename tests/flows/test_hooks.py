"""Hooks that are Prefect deployments: waited for, their end taken as it is, cancelled when their time is over."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow
from prefect.states import Completed, Failed, Running, State

from boatyard.clock import Deadline, SystemClock
from boatyard.drivers.base import Env
from boatyard.errors import Permanent
from boatyard.plan.model import Step, Verb
from boatyard.spec.models import Cluster
from tasks.hooks import start_deployment
from tests.faults.harness import until

pytestmark = pytest.mark.server

CLUSTER = Cluster.model_validate({"name": "shop", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.35"}})


@flow(name="smoke")
def smoke(of: str) -> None:
    """Never run here: a worker's part is played by whoever sets the run's state."""


@pytest.fixture
def client() -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as found:
        yield found


@pytest.fixture
def deployed(client: SyncPrefectClient) -> None:
    client.create_deployment(client.create_flow(smoke), "production", enforce_parameter_schema=False)


def runs(client: SyncPrefectClient) -> list[FlowRun]:
    return [run for run in client.read_flow_runs() if run.name == "smoke-test of shop"]


@contextmanager
def ending(client: SyncPrefectClient, state: Callable[[], State[Any]]) -> Iterator[None]:
    """A worker that ends the next run so."""
    known = {run.id for run in runs(client)}

    def work() -> None:
        with get_client(sync_client=True) as own:
            until(lambda: {run.id for run in runs(own)} - known, "the hook's run")
            (new,) = {run.id for run in runs(own)} - known
            own.set_flow_run_state(new, state(), force=True)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join()


def start(
    tmp_path: Path, name: str = "smoke/production", report: Callable[[str], None] | None = None, **params: Any
) -> list[str]:
    lines: list[str] = []
    clock = SystemClock()
    tell = report or lines.append
    env = Env(tmp_path, clock, Deadline.after(60, "the hook", clock), lambda name: Path(name), report=tell)
    known = {"deployment": name, "parameters": {"of": "shop"}, "timeout": 30.0, "retries": 0, "on_failure": "stop"}
    known["environment"] = {"cluster": "shop", "from": "1.34", "to": "1.35"}
    step = Step(id="hook", verb=Verb.RUN_HOOK, target="smoke-test", reason="for the test", params=known | params)
    start_deployment(step, None, CLUSTER, env)  # type: ignore[arg-type]
    return lines


def test_a_deployment_that_nobody_has_is_named(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="hook smoke-test failed: this Prefect server has no deployment smoke/other"):
        start(tmp_path, "smoke/other")


@pytest.mark.usefixtures("deployed")
def test_it_is_waited_for_and_gets_its_parameters(tmp_path: Path, client: SyncPrefectClient) -> None:
    with ending(client, Completed):
        assert start(tmp_path) == ["flow run smoke-test of shop of deployment smoke/production is Completed"]
    assert runs(client)[0].parameters == {"of": "shop"}


@pytest.mark.usefixtures("deployed")
def test_a_run_that_fails_fails_the_hook(tmp_path: Path, client: SyncPrefectClient) -> None:
    with (
        ending(client, lambda: Failed(message="the shop is closed")),
        pytest.raises(Permanent, match=r"hook smoke-test failed: .*is Failed: the shop is closed\."),
    ):
        start(tmp_path)


def pool(client: SyncPrefectClient, name: str, *, places: int, hooks: str, of_queue: bool = False) -> None:
    """A work pool without a worker, and a hook's deployment in it. of_queue: its queue has the limit, as in ours."""
    limit = None if of_queue else places
    made = client.create_work_pool(WorkPoolCreate(name=name, type="process", concurrency_limit=limit))
    if of_queue:
        client.update_work_queue(made.default_queue_id, concurrency_limit=places)
    client.create_deployment(client.create_flow(smoke), hooks, work_pool_name=name, enforce_parameter_schema=False)


def upgrading(client: SyncPrefectClient, tmp_path: Path, name: str, hook: str) -> None:
    """An upgrade that a worker of this pool runs, with a place of it, and that hook inside."""

    @flow(name=f"upgrade-in-{name}")
    def upgrade() -> None:
        start(tmp_path, f"smoke/{hook}", timeout=20.0)

    deployment = client.create_deployment(client.create_flow(upgrade), "upgrade", work_pool_name=name)
    run_flow(upgrade, flow_run=client.create_flow_run_from_deployment(deployment), parameters={})


@pytest.mark.parametrize(
    ("name", "of_queue", "told"),
    [("narrow", False, "work pool narrow"), ("slim", True, "queue default of work pool slim")],
)
def test_a_run_whose_only_place_the_upgrade_holds_itself_is_not_waited_for(
    tmp_path: Path, client: SyncPrefectClient, name: str, of_queue: bool, told: str
) -> None:
    known = {run.id for run in runs(client)}
    pool(client, name, places=1, hooks=name, of_queue=of_queue)
    with pytest.raises(
        Permanent, match=rf"smoke-test failed: {told} has one place, and this upgrade holds it itself\."
    ):
        upgrading(client, tmp_path, name, name)
    (given_up,) = [run for run in runs(client) if run.id not in known]
    assert given_up.state is not None
    assert given_up.state.is_cancelled()


@pytest.mark.parametrize(
    ("name", "of_queue", "told"),
    [("taken", False, "work pool taken"), ("busy", True, "queue default of work pool busy")],
)
def test_what_keeps_a_run_from_its_start_is_said_while_it_waits(
    tmp_path: Path, client: SyncPrefectClient, name: str, of_queue: bool, told: str
) -> None:
    pool(client, name, places=1, hooks=name, of_queue=of_queue)
    known = client.create_flow_run_from_deployment(client.read_deployment_by_name(f"smoke/{name}").id)
    client.set_flow_run_state(known.id, Running(), force=True)
    lines: list[str] = []

    def give_way(line: str) -> None:
        lines.append(line)
        client.set_flow_run_state(known.id, Completed(), force=True)

    with pytest.raises(Permanent, match=rf"begun by no worker in 5 s: no worker of work pool {name} is up\."):
        start(tmp_path, f"smoke/{name}", timeout=5.0, report=give_way)
    assert [line.rpartition(": ")[2] for line in lines] == [
        f"the only place of {told} is taken",
        f"no worker of work pool {name} is up",
    ]


@pytest.mark.usefixtures("deployed")
def test_a_run_that_takes_too_long_is_cancelled(tmp_path: Path, client: SyncPrefectClient) -> None:
    known = {run.id for run in runs(client)}
    with pytest.raises(
        Permanent, match=r"hook smoke-test failed: .*was begun by no worker in 1 s: its deployment has no work pool\."
    ):
        start(tmp_path, timeout=1.0)
    (late,) = [run for run in runs(client) if run.id not in known]
    assert late.state is not None
    assert late.state.is_cancelling() or late.state.is_cancelled()
