"""What stands in the way of a cluster is mended where it may be, and named where it may not."""

import pytest

from boatyard.drivers.base import Finding
from boatyard.drivers.kwok.driver import Driver
from boatyard.errors import Permanent
from boatyard.spec.models import Cluster
from flows.prerequisites import prerequisites
from tasks.yard import operation, yard

CLUSTER = Cluster.model_validate(
    {"name": "wanting", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.35"}, "pools": []}
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A world that lacks a store until it is made, and where somebody else must delegate a zone."""
    state: dict[str, object] = {"made": 0, "delegated": True}

    def make() -> None:
        operation().fence()
        state["made"] = 1

    def preflight(driver: Driver) -> list[Finding]:
        found = [] if state["made"] else [Finding("store", "it is not there.", "It is made.", repair=make)]
        if not state["delegated"]:
            found.append(Finding("zone", "nobody delegates to it.", "Add its NS records."))
        return found

    monkeypatch.setattr(Driver, "preflight", preflight)
    return state


@pytest.mark.twin
@pytest.mark.server
def test_what_may_be_mended_is_mended_under_the_clusters_lease(world: dict[str, object]) -> None:
    prerequisites(CLUSTER)
    assert world["made"] == 1
    assert yard().store.leases.current(CLUSTER.name) is None


@pytest.mark.twin
@pytest.mark.server
def test_without_leave_to_mend_it_is_only_named(world: dict[str, object]) -> None:
    with pytest.raises(Permanent, match=r"store: it is not there\. It is made\."):
        prerequisites(CLUSTER, repair=False)
    assert world["made"] == 0


@pytest.mark.twin
@pytest.mark.server
def test_what_only_a_person_can_do_ends_the_flow_once_the_rest_is_mended(world: dict[str, object]) -> None:
    world["delegated"] = False
    with pytest.raises(Permanent, match=r"^zone: nobody delegates to it\. Add its NS records\.$"):
        prerequisites(CLUSTER)
    assert world["made"] == 1
