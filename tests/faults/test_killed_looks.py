"""kill -9 of what only looks at a cluster, at every moment; run again, it tells what it should, and leaves nothing."""

from pathlib import Path

import pytest

from boatyard.sandbox.rehearsal.report import Report
from boatyard.spec.models import Cluster
from tests.faults.harness import House, running_below
from tests.faults.sweeping import SAMPLE, Scenario, sweep

pytestmark = [pytest.mark.twin, pytest.mark.server]


@pytest.fixture(scope="module")
def cluster(house: House) -> Cluster:
    made = house.spec("seen", apps=False, nodes=1)
    house.set_up(made)
    return made


def _files(house: House) -> set[Path]:
    """What lies in the house, but for the store and the cluster's own."""
    found = {path.relative_to(house.home) for path in house.home.rglob("*")}
    return {
        path for path in found if not path.parts[0].startswith("boatyard.db") and path.parts[:2] != ("kwok", "clusters")
    }


def test_check_upgrade(house: House, cluster: Cluster) -> None:
    files = _files(house)

    def unchanged() -> None:
        house.is_whole(cluster)
        assert _files(house) == files

    sweep(
        house,
        lambda: Scenario(
            "flows.check_upgrade:check_upgrade",
            {"name": cluster.name, "to": "1.35"},
            cluster,
            prepare=lambda: None,
            check=unchanged,
            requests=True,
        ),
    )


def test_forecast(house: House, cluster: Cluster) -> None:
    files = _files(house)

    def unchanged() -> None:
        assert _files(house) == files

    sweep(
        house,
        lambda: Scenario(
            "flows.forecast:forecast_fleet", {}, cluster, prepare=lambda: None, check=unchanged, requests=True
        ),
    )


def test_rehearse(house: House, cluster: Cluster) -> None:
    """Each try makes a twin twice, so that CI takes few of the moments."""
    files, seen = _files(house), 0

    def gone_and_told() -> None:
        nonlocal seen
        house.is_whole(cluster)
        assert _files(house) - files <= {Path("rehearsals")}
        assert [each.name for each in (house.home / "kwok/clusters").iterdir()] == [cluster.name]
        assert running_below(house.home / "kwok/clusters/rehearsal-seen") == []
        house.is_free("rehearsal-seen")
        kept = house.yard.store.rehearsals.last(cluster.name, "1.35")
        assert kept is not None
        assert kept.id > seen
        assert Report.model_validate(kept.report).well
        seen = kept.id

    sweep(
        house,
        lambda: Scenario(
            "flows.rehearse:rehearse_upgrade",
            {"name": cluster.name, "to": "1.35"},
            cluster,
            prepare=lambda: None,
            check=gone_and_told,
        ),
        sample=None if SAMPLE is None else 2,
    )
