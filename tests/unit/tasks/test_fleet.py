"""Which clusters upkeep looks after."""

import logging
from pathlib import Path

import pytest

from tasks import upkeep
from tests.unit.fleet import small_fleet


def test_one_that_cannot_be_read_keeps_no_other_of_its_rings_from_upkeep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upkeep, "get_run_logger", lambda: logging.getLogger("test"))
    with small_fleet(tmp_path) as made:
        monkeypatch.setattr(upkeep, "yard", lambda: made.yard)
        made.yard.store.clusters.put({"name": "newer", "a field of tomorrow": 1})

        assert upkeep.fleet(None, ["canary", "production"]) == ["early", "late"]
    assert "newer is left alone" in caplog.text
