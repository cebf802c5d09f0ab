"""kill -9 of a whole life in one run: it goes on with the stage that it had come to, and does nothing twice."""

from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas import filters
from prefect.client.schemas.objects import StateType

from boatyard.cli.prefect_server.client import connected
from boatyard.cli.prefect_server.reconcile import look_after
from boatyard.plan.model import Phase
from boatyard.spec.models import Cluster
from tests.faults.harness import House, until
from tests.faults.sweeping import SAMPLE, Scenario, sweep

pytestmark = [pytest.mark.twin, pytest.mark.server]

LIFE = "flows.lifecycle:lifecycle"
STEPS = {
    "create": 1,
    "create pool": 1,
    "upgrade control plane": 1,
    "upgrade pool": 1,
    "scale pool": 2,
    "hibernate": 1,
    "wake": 1,
    "delete": 1,
}
"""Of a life that was never cut off."""


def _given(cluster: Cluster, **changes: Any) -> dict[str, Any]:
    return {"cluster": cluster, "upgrades": ["1.34"], "scale": [{"web": 2}, {"web": 1}], **changes}


def _lived(house: House, name: str) -> Counter[str]:
    """Steps that were carried out, by verb; a step that was cut off and found its work done counts, too."""
    entries = house.yard.store.journal.list(name, limit=500)
    return Counter(each.verb for each in entries if each.verb in STEPS and each.outcome == "done")


def test_a_life_that_is_killed_in_each_of_its_stages_goes_on_each_time(
    house: House, server_variables: Mapping[str, str | None]
) -> None:
    cluster = house.spec("lived", apps=False, version="1.33", nodes=1)
    run = ""
    for moment in (
        "before step create pool web",
        "after step create pool web",
        "after writing down a condition",
        "after step upgrade pool web",
        "after step scale pool web",
        "before step scale pool web",
        "after step hibernate lived",
        "before step wake lived",
        "after step delete lived",
        "after forgetting",
    ):
        run = house.begin(LIFE, stop_at=moment, run=run, **_given(cluster)).stop(moment).kill().id
    house.is_gone(cluster)
    house.run(LIFE, run=run, **_given(cluster)).well()
    house.is_gone(cluster)
    house.may_be_held(cluster.name)
    assert _lived(house, cluster.name) == STEPS
    with connected(server_variables):
        assert {"scale lived", "delete lived"} <= set(_running_inside(run))
        until(look_after, "a look at what killed tries left")
        assert _running_inside(run) == []


def _running_inside(run: str) -> list[str]:
    """Inner runs that Prefect takes for running."""
    inside = filters.FlowRunFilterParentFlowRunId(any_=[UUID(run)])
    running = filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=[StateType.RUNNING]))
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=filters.FlowRunFilter(parent_flow_run_id=inside, state=running))
    return [each.name for each in found]


def test_a_life_said_again_by_hand_goes_on_too(house: House) -> None:
    cluster, moment = house.spec("said", apps=False, version="1.33", nodes=1), "after step hibernate said"
    given = _given(cluster, scale=[], delete=False)
    house.begin(LIFE, stop_at=moment, **given).stop(moment).kill()
    assert house.driver(cluster).observe().phase is Phase.HIBERNATED
    house.run(LIFE, **given).well()
    house.is_whole(cluster, version="1.34")
    assert _lived(house, cluster.name) == Counter(STEPS | {"scale pool": 0, "delete": 0})
    house.delete(cluster)


def test_lifecycle(house: House) -> None:
    """Each try a whole life, so that CI takes few of its moments; the test above has one of each stage."""
    cluster = house.spec("short", apps=False, version="1.33", nodes=1)
    sweep(
        house,
        lambda: Scenario(
            LIFE,
            _given(cluster),
            cluster,
            prepare=lambda: None,
            check=lambda: house.is_gone(cluster),
            goes_on=True,
        ),
        sample=None if SAMPLE is None else 1,
        steps=False,
    )
