"""The forecast lands in the Prefect UI: one artifact a fleet, with picture and table."""

from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from flows.forecast import forecast_fleet

pytestmark = [pytest.mark.server]


def test_table_and_picture_become_an_artifact(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(
        "kind: Fleet\nname: shop\ndefaults: {provider: {kind: kwok}, kubernetes: {version: '1.34', channel: regular}}\n"
        'upgrades: {rings: [{name: all, windows: ["daily 09:00-12:00"]}]}\n'
    )
    (tmp_path / "clusters.yaml").write_text("name: a\n---\nname: b\npolicy: {protect: true}\n")
    told = forecast_fleet(str(tmp_path), 90)
    assert sorted(told) == ["a", "b"]
    assert told["a"] >= 1
    with get_client(sync_client=True) as client:
        (artifact,) = [each for each in client.read_artifacts() if each.key == "forecast-shop"]
    assert isinstance(artifact.data, str)
    assert "![A timeline per ring](data:image/svg+xml;base64," in artifact.data
    assert "| a | all | 1.34 | 1.35 on " in artifact.data


def test_without_a_folder_and_without_clusters_there_is_nothing_to_tell() -> None:
    assert forecast_fleet() == {}
