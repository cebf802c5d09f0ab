"""One Prefect server and one nursery for all fault tests; a home for each file of tests."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from boatyard.cli.prefect_server import private
from boatyard.cli.prefect_server.place import Place
from boatyard.settings import Settings
from tests.faults.harness import House, Nursery, running_below


@pytest.fixture(scope="session")
def server_variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str | None]]:
    home = tmp_path_factory.mktemp("prefect-home")
    template = private.template(Settings(home, Settings.load().cache, ""))
    with private.private_server(Place(home / "prefect").make(), template) as (_, variables):
        yield variables


@pytest.fixture(scope="session")
def nursery(server_variables: Mapping[str, str | None]) -> Iterator[Nursery]:
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
def house(homes: Path, nursery: Nursery, request: pytest.FixtureRequest) -> Iterator[House]:
    made = House(homes / request.module.__name__.rpartition(".")[2], nursery)
    yield made
    made.close()
