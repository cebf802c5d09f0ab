"""What a rehearsal removes is its own: never a cluster that somebody keeps under a twin's name."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from boatyard.clock import SystemClock
from boatyard.drivers.kwok import state
from boatyard.drivers.kwok.state import Layout, Record
from boatyard.drivers.operation import Yard
from boatyard.errors import Permanent
from boatyard.sandbox.rehearsal.twin import remove_left, twin_name, twin_of
from boatyard.settings import Settings
from boatyard.store import Store
from boatyard.tools import Toolbox

NAME = twin_name("shop")


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    settings = Settings(tmp_path, tmp_path / "cache", f"sqlite:///{tmp_path}/store.db")
    with Store.open(settings.store_url) as store:
        yield Yard(settings, store, Toolbox(settings.cache), SystemClock())


@pytest.fixture
def left(yard: Yard) -> Layout:
    """What a killed rehearsal leaves: the marker, the record."""
    layout = Layout(yard.settings.home / "kwok", NAME)
    state.save(layout, Record("running", "1.35"))
    state.write_atomically(yard.settings.home / "rehearsals" / f"{NAME}.json", json.dumps({"of": "shop"}))
    return layout


def keep(yard: Yard) -> None:
    """Somebody creates a cluster of that name, which takes up what is there."""
    spec = {"name": NAME, "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.35"}}
    yard.store.clusters.put(spec)


def removed(yard: Yard) -> list[str]:
    return remove_left(yard, who="test", run_id="1", report=lambda line: None)


def test_what_a_killed_rehearsal_left_goes(yard: Yard, left: Layout) -> None:
    assert removed(yard) == [NAME]
    assert state.load(left) is None


def test_a_cluster_that_somebody_keeps_stays(yard: Yard, left: Layout) -> None:
    keep(yard)
    assert removed(yard) == []
    assert state.load(left) is not None


def test_no_rehearsal_takes_a_kept_clusters_place(yard: Yard, left: Layout) -> None:
    keep(yard)
    with (
        pytest.raises(Permanent, match="there is a cluster of that name"),
        twin_of(yard, "shop", who="test", run_id="1", report=lambda line: None),
    ):
        raise AssertionError("the twin was made")
    assert state.load(left) is not None
