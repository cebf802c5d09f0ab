"""The suite every driver passes, one parameter a driver: `pytest tests/conformance -k kwok`."""

from collections.abc import Iterator

import pytest

from boatyard.spec.models import Cluster
from boatyard.spec.provider import driver_packages
from tests.conformance.harness import CASES, Bench, load_case
from tests.conformance.worlds import WORLDS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        kinds = [kind for kind in driver_packages() if (CASES / kind / "conformance.yaml").is_file()]
        params = [
            pytest.param(kind, id=kind, marks=[getattr(pytest.mark, name) for name in load_case(kind).get("marks", [])])
            for kind in kinds
        ]
        metafunc.parametrize("kind", params, scope="module")


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
