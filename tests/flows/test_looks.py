"""The monitor's sweep over clusters of which some cannot be looked at; no control plane is needed for that."""

from typing import Any

import pytest

from boatyard.drivers.kwok.driver import Driver
from boatyard.errors import Permanent
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
