"""The suite every driver passes, one parameter a driver: `pytest tests/conformance -k kwok`."""

import inspect
from collections.abc import Iterator

import pytest

from boatyard.drivers.registry import driver_class
from boatyard.spec.models import Cluster
from boatyard.spec.provider import driver_packages
from tests.conformance.harness import CASES, Bench, load_case
from tests.conformance.worlds import WORLDS


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(capability, entry): what a driver, or its case, must have")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        needs = [need for mark in metafunc.definition.iter_markers("needs") for need in mark.kwargs.values()]
        kinds = [kind for kind in driver_packages() if (CASES / kind / "conformance.yaml").is_file()]
        kinds = [kind for kind in kinds if all(_has(kind, need) for need in needs)]
        params = [
            pytest.param(kind, id=kind, marks=[getattr(pytest.mark, name) for name in load_case(kind).get("marks", [])])
            for kind in kinds
        ]
        metafunc.parametrize("kind", params, scope="module")


def _has(kind: str, need: type | str) -> bool:
    if isinstance(need, str):
        return bool(load_case(kind).get(need))
    methods = [name for name, value in vars(need).items() if inspect.isfunction(value) and not name.startswith("_")]
    return all(hasattr(driver_class(kind), name) for name in methods)


@pytest.fixture(scope="module")
def bench(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A home of its own for each file of tests; whatever cluster is left in it is deleted at the end."""
    case = load_case(kind)
    with WORLDS[case.get("world", "this machine")](tmp_path_factory.mktemp("world")) as told:
        made = Bench(kind, case, tmp_path_factory.mktemp(kind), told)
        made.prepare()
        yield made
        made.close()


@pytest.fixture(scope="module")
def cluster(bench: Bench) -> Cluster:
    """One running cluster for a whole file."""
    made = bench.cluster("one.conformance.example.com")
    bench.driver(made).create()
    return made
