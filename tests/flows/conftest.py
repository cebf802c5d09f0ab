"""Flows called in the test's own process, by a clock that the test moves; the clusters they keep are real."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from boatyard.cli.prefect_server import client, private
from boatyard.cli.prefect_server.place import Place
from boatyard.clock import ShiftedClock
from boatyard.settings import Settings
from tasks.yard import use_clock
from tests.conftest import own_random
from tests.faults.harness import House, Nursery, running_below

Variables = Mapping[str, str | None]


@pytest.fixture(scope="session")
def server_variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Variables]:
    own_random()
    home = tmp_path_factory.mktemp("prefect-home")
    template = private.template(Settings(home, Settings.load().cache, ""))
    place = Place(home / "prefect").make()
    with (
        private.private_server(place, template) as (_, variables),
        client.connected({**variables, **private.NO_HEARTBEAT}),
    ):
        yield variables
        private.drain()


@pytest.fixture(scope="session")
def nursery(server_variables: Variables) -> Iterator[Nursery]:
    made = Nursery(server_variables)
    yield made
    made.close()


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder all homes are in; nothing may run from there when the tests are over."""
    folder = tmp_path_factory.mktemp("homes")
    yield folder
    assert running_below(folder) == []


@pytest.fixture(scope="module")
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture(scope="module")
def house(homes: Path, nursery: Nursery, clock: ShiftedClock, request: pytest.FixtureRequest) -> Iterator[House]:
    made = House(homes / request.module.__name__.rpartition(".")[2], nursery, clock)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _lives_in_the_house(_own_home: None, house: House, clock: ShiftedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flows of this process use the house and its clock."""
    monkeypatch.setenv("BOATYARD_HOME", str(house.home))
    clock.set(datetime.now(UTC))
    use_clock(clock)
