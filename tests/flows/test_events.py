"""Openings and closings in every order end with what the last event says, and nothing is left over."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from prefect.exceptions import ParameterTypeError

from boatyard.spec.models import Cluster
from boatyard.store import Todo
from flows.ephemeral import close_cluster, open_cluster
from tasks.claims import PullRequest
from tests.faults.harness import TEMPLATE, Flow, House

pytestmark = [pytest.mark.twin, pytest.mark.server]

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
OPEN, CLOSE = "flows.ephemeral:open_cluster", "flows.ephemeral:close_cluster"
_numbers = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def _template(house: House) -> None:
    folder = house.home / "templates"
    folder.mkdir()
    (folder / "pull-request.yaml").write_text(TEMPLATE)


class Request:
    """A pull request of its own, whose events occur at minutes after noon."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.name = PullRequest(repository="example/shop", number=next(_numbers))
        self.cluster: Cluster = house.spec(self.name.cluster_name, apps=False, version="1.36", nodes=1)

    def opened(self, minute: int) -> None:
        open_cluster("example/shop", self.name.number, NOON + timedelta(minutes=minute))

    def closed(self, minute: int) -> None:
        close_cluster("example/shop", self.name.number, NOON + timedelta(minutes=minute))

    def begin(self, flow: str, minute: int, stop_at: str | None = None) -> Flow:
        occurred = NOON + timedelta(minutes=minute)
        return self.house.begin(
            flow, repository="example/shop", number=self.name.number, occurred=occurred, stop_at=stop_at
        )

    def is_there(self) -> None:
        self.house.is_whole(self.cluster)
        self._is_settled(True)

    def is_gone(self) -> None:
        self.house.is_gone(self.cluster)
        self._is_settled(False)

    def _is_settled(self, is_open: bool) -> None:
        claim = self.house.yard.store.claims.get(self.name.key)
        assert claim is not None
        assert (claim.open, claim.due) == (is_open, Todo.NONE)
        self.house.is_free(self.cluster.name)

    def made(self) -> int:
        """How often its cluster was created."""
        return len([e for e in self.house.yard.store.journal.list(self.cluster.name, limit=500) if e.verb == "create"])


@pytest.fixture
def request_(house: House) -> Iterator[Request]:
    made = Request(house)
    yield made
    house.delete(made.cluster)


def test_opened_twice_closed_twice_and_reopened(request_: Request) -> None:
    request_.opened(0)
    request_.is_there()
    request_.opened(1)
    request_.is_there()
    assert request_.made() == 1
    request_.closed(2)
    request_.is_gone()
    request_.closed(3)
    request_.is_gone()
    request_.opened(1)
    request_.is_gone()
    assert request_.made() == 1
    request_.opened(4)
    request_.is_there()
    assert request_.made() == 2
    request_.closed(5)
    request_.is_gone()


def test_a_time_without_a_zone_is_refused_before_anything_is_heard(house: House) -> None:
    nowhere = datetime(2026, 6, 1, 12)  # noqa: DTZ001 - that is what is refused
    for flow in (open_cluster, close_cluster):
        with pytest.raises(ParameterTypeError, match="occurred: Input should have timezone info"):
            flow("example/shop", 99, nowhere)
    assert house.yard.store.claims.get(PullRequest(repository="example/shop", number=99).key) is None


def test_the_closing_comes_first(request_: Request) -> None:
    request_.closed(1)
    request_.is_gone()
    request_.opened(0)
    request_.is_gone()
    assert request_.made() == 0


def test_a_late_closing_of_a_reopened_request_changes_nothing(request_: Request) -> None:
    request_.opened(2)
    request_.closed(1)
    request_.is_there()
    assert request_.made() == 1


def test_the_closing_comes_while_the_cluster_is_created(request_: Request) -> None:
    name = request_.cluster.name
    opening = request_.begin(OPEN, 0, stop_at=f"before step create {name}").stop(f"before step create {name}")
    closing = request_.begin(CLOSE, 1).reach("after hearing of a closing")
    opening.go_on().well()
    closing.well()
    request_.is_gone()
    assert request_.made() == 1


def test_the_closing_comes_and_goes_before_the_opening_has_begun_its_cluster(request_: Request) -> None:
    opening = request_.begin(OPEN, 0, stop_at="after hearing of an opening").stop("after hearing of an opening")
    request_.closed(1)
    opening.go_on().well()
    request_.is_gone()
    assert request_.made() == 0


def test_the_opening_dies_and_only_the_closing_comes_again(request_: Request) -> None:
    name = request_.cluster.name
    request_.begin(OPEN, 0, stop_at=f"before step create {name}").stop(f"before step create {name}").kill()
    request_.closed(1)
    request_.is_gone()


def test_a_reopening_while_the_cluster_is_deleted(request_: Request) -> None:
    request_.opened(0)
    name = request_.cluster.name
    closing = request_.begin(CLOSE, 1, stop_at=f"before step delete {name}").stop(f"before step delete {name}")
    opening = request_.begin(OPEN, 2).reach("after hearing of an opening")
    closing.go_on().well()
    opening.well()
    request_.is_there()
    assert request_.made() == 2


def test_everything_at_once_ends_with_the_newest(request_: Request) -> None:
    runs = [request_.begin(flow, minute) for flow, minute in ((OPEN, 0), (CLOSE, 3), (OPEN, 2), (CLOSE, 1), (OPEN, 0))]
    for run in runs:
        run.well()
    request_.is_gone()
