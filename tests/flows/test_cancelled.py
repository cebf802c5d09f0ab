"""An upgrade whose run a person cancels in Prefect: it stops, stays so, says so, and goes on by hand."""

import os
import signal
import threading
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.states import Cancelled, Cancelling, State

from boatyard.errors import BoatyardError, Permanent
from boatyard.kube.nodes import cordoned
from boatyard.spec.models import Cluster
from boatyard.store.records import Condition, Upgrade
from flows.apply import apply_cluster
from flows.maintenance import maintain_fleet
from flows.monitor import monitor_fleet
from flows.upgrade import upgrade_cluster
from tests.faults.harness import House, until

pytestmark = [pytest.mark.twin, pytest.mark.server]

NAME = "halfway"
BUDGET = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
FLOW = "flows.upgrade:upgrade_cluster"


@pytest.fixture(scope="module")
def cluster(house: House) -> Cluster:
    """Its one app does not let its node be emptied."""
    policy = {"maintenance": {"window": "daily 00:00-00:00"}, "upgrade": {"rounds": 1, "preflight": "off"}}
    made = house.spec(NAME, apps=False, nodes=1, kubernetes={"version": "1.33", "channel": "n-2"}, policy=policy)
    house.set_up(made)
    labels = {"matchLabels": {"app": "stuck"}}
    container = {"name": "main", "image": "registry.example.com/app:1"}
    template = {"metadata": {"labels": {"app": "stuck"}}, "spec": {"containers": [container]}}
    with house.client(made) as client:
        app = {"replicas": 1, "selector": labels, "template": template}
        client.create("/apis/apps/v1/namespaces/default/deployments", {"metadata": {"name": "stuck"}, "spec": app})
        client.create(BUDGET, {"metadata": {"name": "stuck"}, "spec": {"maxUnavailable": 0, "selector": labels}})
    return made


def drains(house: House, cluster: Cluster) -> bool:
    with house.client(cluster) as client:
        return any(cordoned(node) for node in client.list("/api/v1/nodes"))


def set_state(name: str, state: State[Any]) -> None:
    """What the button in the UI does, of the newest run of that name."""
    runs = FlowRunFilter.model_validate({"name": {"any_": [name]}})
    with get_client(sync_client=True) as client:
        found = max(client.read_flow_runs(flow_run_filter=runs), key=lambda run: str(run.created))
        client.set_flow_run_state(found.id, state, force=True)


def upgrades(house: House) -> list[Upgrade]:
    """Without what a look found: the control plane's new version is seen when the upgrade is over already."""
    return [each for each in house.yard.store.rollout.upgrades(NAME) if each.outcome != "seen"]


def last_upgrade(house: House) -> Condition:
    monitor_fleet([NAME])
    return next(each for each in house.yard.store.conditions.list(NAME) if each.type == "LastUpgradeWell")


def test_a_cancelled_part_of_maintenance_stops_and_the_next_one_leaves_it_alone(house: House, cluster: Cluster) -> None:
    """Nobody sends its process a signal: Prefect knows of none."""
    told: list[BoatyardError] = []

    def maintain() -> None:
        try:
            maintain_fleet([NAME])
        except BoatyardError as error:
            told.append(error)

    run = threading.Thread(target=maintain)
    run.start()
    until(lambda: drains(house, cluster), "the drain")
    set_state(f"upgrade {NAME} to 1.34", Cancelling())
    run.join(120)
    assert not run.is_alive()
    assert [type(error) for error in told] == [Permanent]
    assert "its upgrade to 1.34 was cancelled by a person in Prefect at " in str(told[0])
    (kept,) = upgrades(house)
    assert kept.outcome == "cancelled"
    assert kept.message.endswith(f"(flow run upgrade {NAME} to 1.34), after it had begun to change the cluster")

    maintain_fleet([NAME])
    assert upgrades(house) == [kept]
    said = last_upgrade(house)
    assert (said.status, said.reason) == ("False", "UpgradeCancelled")
    assert f"(boatyard upgrade {NAME} --to 1.34)" in said.message
    assert "; cordoned: " in said.message


def test_a_cancelled_process_that_gets_its_signal_says_the_same(house: House, cluster: Cluster) -> None:
    flow = house.begin(FLOW, name=NAME, to="1.34")
    flow.reach("before step upgrade pool web")
    set_state(f"upgrade {NAME} to 1.34", Cancelling())
    os.kill(flow.pid, signal.SIGTERM)
    assert flow.wait().status == -signal.SIGTERM
    assert [each.outcome for each in upgrades(house)] == ["cancelled", "cancelled"]
    assert last_upgrade(house).reason == "UpgradeCancelled"


def test_one_that_ends_by_another_signal_is_no_person_s_word_and_goes_on(house: House, cluster: Cluster) -> None:
    flow = house.begin(FLOW, name=NAME, to="1.34")
    flow.reach("before step upgrade pool web")
    os.kill(flow.pid, signal.SIGTERM)
    assert flow.wait().status == -signal.SIGTERM
    monitor_fleet([NAME])
    assert upgrades(house)[-1].outcome == "running"


def test_by_hand_it_goes_on_to_its_end(house: House, cluster: Cluster) -> None:
    with house.client(cluster) as client:
        client.delete(f"{BUDGET}/stuck")
    upgrade_cluster(NAME, "1.34")
    assert upgrades(house)[-1].outcome == "done"
    assert last_upgrade(house).status == "True"
    assert house.driver(cluster).observe().version == "1.34"
    assert not drains(house, cluster)


def test_an_apply_that_upgrades_is_remembered_as_an_upgrade(house: House, cluster: Cluster) -> None:
    apply_cluster(house.yard.registered(NAME).at_version("1.35"))
    assert [(each.version, each.outcome) for each in upgrades(house)][-1] == ("1.35", "done")
    known = len(upgrades(house))
    apply_cluster(house.yard.registered(NAME))
    assert len(upgrades(house)) == known, "it upgraded nothing"


def test_one_that_was_killed_by_its_cancel_is_found_by_its_run(house: House, cluster: Cluster) -> None:
    flow = house.begin(FLOW, stop_at=f"before step upgrade control plane {NAME}", name=NAME, to="1.36")
    flow.stop(f"before step upgrade control plane {NAME}").kill()
    monitor_fleet([NAME])
    assert upgrades(house)[-1].outcome == "running", "a kill is no cancel"
    set_state(f"upgrade {NAME} to 1.36", Cancelled())
    said = last_upgrade(house)
    assert said.reason == "UpgradeCancelled"
    assert "(flow run upgrade halfway to 1.36), before its first change; it stays so" in said.message
