"""The monitor's sweep over clusters of which some cannot be looked at; no control plane is needed for that."""

from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName

from boatyard.drivers.kwok.driver import Driver
from boatyard.errors import Permanent, Temporary
from boatyard.plan.model import Observed, Phase
from flows.monitor import monitor_fleet
from tasks import health
from tests.faults.harness import House

pytestmark = pytest.mark.server


def test_a_cluster_that_cannot_be_looked_at_does_not_keep_the_news_of_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("blind", "seen"):
        house.yard.store.clusters.put(house.spec(name, apps=False).model_dump(mode="json"))

    def observe(self: Driver) -> Observed:
        if self._cluster.name == "blind":
            raise Permanent("the account is closed.")
        return Observed(phase=Phase.HIBERNATED, version="1.35")

    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(Driver, "observe", observe)
    monkeypatch.setattr(health, "tell", lambda *about: told.append(about[:2]))
    with pytest.raises(Permanent, match="the account is closed"):
        monitor_fleet()
    assert ("seen", "condition.unknown") in told


def test_a_look_that_fails_for_a_while_is_tried_again_and_no_cluster_takes_room_in_prefects_database(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.yard.store.clusters.put(house.spec("shy", apps=False).model_dump(mode="json"))
    answers = [Temporary("throttled."), Temporary("throttled."), Observed(phase=Phase.HIBERNATED, version="1.35")]

    def observe(self: Driver) -> Observed:
        answer = answers.pop(0)
        if isinstance(answer, Temporary):
            raise answer
        return answer

    monkeypatch.setattr(Driver, "observe", observe)
    monkeypatch.setattr(health, "DELAYS", (0.0, 0.0))
    monitor_fleet(["shy"])
    assert answers == []
    assert house.yard.store.clusters.get("shy").observed["phase"] == "hibernated"  # type: ignore[union-attr,index]
    with get_client(sync_client=True) as client:
        looks = FlowFilter(name=FlowFilterName(any_=["monitor-fleet"]))
        assert client.read_flow_runs(flow_filter=looks) != []
        assert client.read_task_runs(flow_filter=looks) == []
