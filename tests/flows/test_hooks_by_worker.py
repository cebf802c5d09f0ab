"""Upgrades and hooks that a real worker runs: hooks end well, fail, take too long, outlive a kill; a person cancels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    DeploymentFilter,
    DeploymentFilterName,
)
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.states import Cancelling

from boatyard.cli.prefect_server.catalogue import Deployment
from boatyard.cli.prefect_server.deploy import deploy, prepare
from boatyard.cli.prefect_server.worker import start_worker
from boatyard.clock import Deadline, SystemClock
from boatyard.drivers.base import Env
from boatyard.drivers.upgrading import Halted
from boatyard.plan.model import Step, Verb
from boatyard.spec.models import Cluster
from flows.upgrade import upgrade_cluster
from tasks.hooks import start_deployment
from tests.faults.harness import ROOT, House, until
from tests.flows.errand import errand

pytestmark = [pytest.mark.twin, pytest.mark.server]

NAME = "hooked"
FLOW = "flows.upgrade:upgrade_cluster"
NOBODYS = "nobody-s"


@pytest.fixture(scope="module")
def client(server_variables: dict[str, str | None]) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def _worker(
    server_variables: dict[str, str | None],
    client: SyncPrefectClient,
    house: House,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """The work pool and the worker of `boatyard up`, and a deployment in a pool that has none."""
    upgrade = Deployment("upgrade-cluster", "flows.upgrade.upgrade_cluster")
    deploy(prepare([Deployment("worked", "tests.flows.errand.errand"), upgrade], []))
    client.create_work_pool(WorkPoolCreate(name=NOBODYS, type="process"))
    client.create_deployment(client.create_flow(errand), "waiting", work_pool_name=NOBODYS)
    variables = {name: value for name, value in server_variables.items() if value is not None}
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    worker = start_worker({**variables, "PYTHONPATH": str(ROOT), "BOATYARD_HOME": str(house.home)}, log)
    yield
    worker.stop(30)


@pytest.fixture(scope="module")
def cluster(house: House) -> Cluster:
    made = house.spec(NAME, apps=False, version="1.33", pools=[{"name": "web", "min": 0, "max": 1}])
    house.set_up(made)
    return made


class Leaping(SystemClock):
    """Leaps ahead when it is told to, by `leapt` seconds."""

    leapt = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.leapt


def wants(house: House, folder: Path, when: str, *, deployment: str = "worked", timeout: str = "50s", **do: Any) -> str:
    """From now on this hook is its policy; the hook's name, which is its own in each test."""
    name = folder.name.replace("_", "-")
    parameters = {"folder": str(folder), "of": "{cluster} {from} {to}", **do}
    hook = {"name": name, "deployment": f"errand/{deployment}", "parameters": parameters, "timeout": timeout}
    known = house.yard.registered(NAME).model_dump(mode="json", exclude_unset=True)
    known["policy"] = {"upgrade": {"rounds": 1, "preflight": "off", when: [hook]}}
    house.yard.store.clusters.put(Cluster.model_validate(known).model_dump(mode="json"))
    return name


def the_run(client: SyncPrefectClient, hook: str) -> FlowRun:
    """The only one there ever was."""
    (run,) = [run for run in client.read_flow_runs() if run.name == f"{hook} of {NAME}"]
    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / tmp_path.name.rstrip("0123456789")[-30:].strip("_")
    made.mkdir()
    return made


def test_a_hook_that_fails_halts_the_upgrade_and_the_evidence_names_its_run(
    house: House, cluster: Cluster, client: SyncPrefectClient, folder: Path
) -> None:
    hook = wants(house, folder, "before", failing=True)
    with pytest.raises(Halted, match=rf"hook {hook} failed: .* is Failed: .*the shop is closed"):
        upgrade_cluster(NAME, "1.34")
    run = the_run(client, hook)
    assert (folder / "began").read_text() == "hooked 1.33 1.34\n"
    assert house.driver(cluster).observe().version == "1.33", "nothing began after it"
    (shown,) = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[f"halt-{NAME}"])))
    failed = house.yard.store.journal.list(NAME, limit=5)
    (told,) = [entry.message for entry in failed if entry.verb == "run hook"]
    for evidence in (str(shown.data), told):
        assert f"flow run {run.name} of deployment errand/worked is Failed" in evidence
        assert f"its id is {run.id}" in evidence


def test_a_hook_that_nobody_takes_is_said_and_will_not_be_taken_later(
    house: House, cluster: Cluster, client: SyncPrefectClient, folder: Path
) -> None:
    hook = wants(house, folder, "before", deployment="waiting", timeout="1s")
    with pytest.raises(Halted, match=rf"begun by no worker in 1 s: no worker of work pool {NOBODYS} is up\."):
        upgrade_cluster(NAME, "1.34")
    state = the_run(client, hook).state
    assert state is not None
    assert state.is_cancelled()
    assert not (folder / "began").exists()


def test_a_hook_that_takes_too_long_is_ended_with_its_process(
    house: House, client: SyncPrefectClient, folder: Path
) -> None:
    """Its hour is over as soon as it has begun."""
    clock = Leaping()

    def look() -> None:
        if (folder / "began").exists():
            clock.leapt = 3600.0

    env = Env(house.home, clock, Deadline.after(4000, "the hook", clock), lambda name: Path(name), fence=look)
    words = {"cluster": NAME, "from": "1.33", "to": "1.34"}
    parameters = {"folder": str(folder), "of": NAME, "waits": True}
    deed = {"deployment": "errand/worked", "parameters": parameters, "environment": words}
    step = Step(
        id="hook",
        verb=Verb.RUN_HOOK,
        target="late",
        reason="for the test",
        params={**deed, "timeout": 3600.0, "retries": 0},
    )
    with pytest.raises(Halted, match=r"hook late failed: .* did not end in 3600 s\."):
        start_deployment(step, None, house.clusters[NAME], env)  # type: ignore[arg-type]

    def cancelled() -> bool:
        state = the_run(client, "late").state
        return state is not None and state.is_cancelled()

    until(cancelled, "the end of its process")


def test_a_hook_outlives_the_killed_upgrade_and_the_next_one_waits_for_it(
    house: House, cluster: Cluster, client: SyncPrefectClient, folder: Path
) -> None:
    """After the control plane went, so that `{from}` is another one the second time."""
    hook = wants(house, folder, "after", waits=True)
    first = house.begin(FLOW, name=NAME, to="1.34")
    until((folder / "began").exists, "the hook")
    first.kill()
    second = house.begin(FLOW, name=NAME, to="1.34")
    second.reach("before step run hook " + hook)
    until(lambda: "is under way already and is waited for" in second.log, "the second upgrade")
    (folder / "go").touch()
    second.well()
    run = the_run(client, hook)
    assert run.state is not None
    assert run.state.is_completed()
    assert (folder / "began").read_text() == "hooked 1.33 1.34\n", "it began once"
    assert house.driver(cluster).observe().version == "1.34"
    assert not house.yard.look(house.driver(cluster), NAME).upgrading
    known = client.read_deployments(deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=["worked"])))
    assert [run.deployment_id] == [each.id for each in known]


def test_a_run_that_a_person_cancels_ends_gives_the_cluster_back_and_is_gone_on_with_by_hand(
    house: House, cluster: Cluster, client: SyncPrefectClient, folder: Path
) -> None:
    wants(house, folder, "after", waits=True)
    given = {"name": NAME, "to": "1.35"}
    started = run_deployment("upgrade-cluster/upgrade-cluster", parameters=given, timeout=0, as_subflow=False)
    assert isinstance(started, FlowRun)
    until((folder / "began").exists, "the hook")
    client.set_flow_run_state(started.id, Cancelling(), force=True)  # what the button in the UI does

    def state() -> str:
        return str(client.read_flow_run(started.id).state_name)

    until(lambda: state() != "Cancelling", "the end of its process")
    assert state() == "Cancelled"
    assert house.yard.store.leases.current(NAME) is None
    (kept,) = [each for each in house.yard.store.rollout.upgrades(NAME) if each.version == "1.35"]
    assert (kept.outcome, kept.run_id) == ("cancelled", str(started.id))
    (stopped,) = [each for each in house.yard.store.journal.list(NAME, limit=5) if each.verb == "run hook"]
    assert (stopped.outcome, "it was cancelled by a person in Prefect" in stopped.message) == ("failed", True)

    (folder / "go").touch()
    upgrade_cluster(NAME, "1.35")
    assert house.driver(cluster).observe().version == "1.35"
    assert [each.outcome for each in house.yard.store.rollout.upgrades(NAME)][-1] == "done"
