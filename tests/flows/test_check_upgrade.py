"""A check before an upgrade ends like its findings, shows them as a table and tells an event; it changes nothing."""

import json
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort

from boatyard.errors import Unsafe
from boatyard.spec.models import Cluster
from flows.check_upgrade import check_upgrade
from tasks import culprits
from tests.faults.harness import House

pytestmark = [pytest.mark.twin, pytest.mark.server]

POD = {"metadata": {"name": "lonely"}, "spec": {"containers": [{"name": "main", "image": "pause"}]}}


@pytest.fixture(scope="module")
def harbour(house: House) -> Cluster:
    made = house.spec("harbour.example.com", apps=False, nodes=1)
    house.set_up(made)
    return made


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Events, kept beside being sent."""
    heard: list[tuple[Any, ...]] = []
    send = culprits.tell

    def tell(*said: Any) -> None:
        heard.append(said)
        send(*said)

    monkeypatch.setattr(culprits, "tell", tell)
    return heard


def table() -> list[dict[str, str]]:
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["preflight-harbour-example-com"])),
            sort=ArtifactSort.CREATED_DESC,
            limit=1,
        )
    rows: list[dict[str, str]] = json.loads(str(found[0].data))
    return rows


def test_a_cluster_without_culprits_passes(harbour: Cluster, told: list[tuple[Any, ...]]) -> None:
    check_upgrade(harbour.name, "1.35")
    assert [each["verdict"] for each in table()] == ["well"]
    assert told == [(harbour.name, "preflight.passed", {"to": "1.35", "culprits": []})]


def test_a_culprit_fails_it_by_name_in_the_error_the_table_and_the_event(
    house: House, harbour: Cluster, told: list[tuple[Any, ...]]
) -> None:
    with house.client(harbour) as client:
        client.create("/api/v1/namespaces/default/pods", POD)
        path = "/api/v1/namespaces/default/pods/lonely"
        for event in client.watch("/api/v1/namespaces/default/pods", timeout=30):
            if event.type != "SYNCED" and (event.object.get("spec") or {}).get("nodeName"):
                break
        before = client.get(path)["metadata"]["uid"]
        with pytest.raises(Unsafe, match=r"must not be upgraded to 1.35: Pod default/lonely \(pod-unm"):
            check_upgrade(harbour.name, "1.35")
        assert client.get(path)["metadata"]["uid"] == before
    [row] = table()
    assert (row["verdict"], row["check"], row["object"]) == ("blocks", "pod-unmanaged", "Pod default/lonely")
    [(_, what, payload)] = told
    assert what == "preflight.blocked"
    assert payload["culprits"][0]["object"] == {"kind": "Pod", "namespace": "default", "name": "lonely"}
    house.is_free(harbour.name)


def test_a_waived_culprit_passes_and_the_table_gives_the_reason(house: House, harbour: Cluster) -> None:
    waiver = {"check": "pod-unmanaged", "object": "Pod default/*", "reason": "a test's own", "until": "2999-01-01"}
    desired = harbour.model_dump(mode="json") | {"policy": {"upgrade": {"waivers": [waiver]}}}
    house.yard.store.clusters.put(Cluster.model_validate(desired).model_dump(mode="json"))
    check_upgrade(harbour.name, "1.35")
    [row] = table()
    assert (row["verdict"], row["what to do"]) == ("waived", "waived: a test's own (until 2999-01-01)")
