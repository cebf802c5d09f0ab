"""kill -9 of upgrades, of upkeep and of what events start, at every moment; run again, each ends as it should."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from boatyard.plan.model import Phase
from boatyard.spec.models import Cluster
from boatyard.store import Todo
from tasks.claims import PullRequest
from tests.faults.harness import TEMPLATE, House
from tests.faults.sweeping import SAMPLE, Scenario, sweep

pytestmark = [pytest.mark.twin, pytest.mark.server]

MAINTAIN, CLEAN_UP = "flows.maintenance:maintain_fleet", "flows.cleanup_idle:cleanup_idle"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 6, 1, 13, tzinfo=UTC)


def test_upgrade(house: House) -> None:
    first = house.spec("upgraded", version="1.33")
    versions = itertools.cycle(["1.34", "1.35", "1.36"])

    def scenario() -> Scenario:
        to = next(versions)

        def prepare() -> None:
            if to == "1.34":
                house.delete(first)
                house.set_up(first)

        return Scenario(
            "flows.upgrade:upgrade_cluster",
            {"name": first.name, "to": to},
            first,
            prepare=prepare,
            check=lambda: house.is_whole(first, version=to),
        )

    sweep(house, scenario, sample=None if SAMPLE is None else SAMPLE + 5)
    house.delete(first)


def test_steps_that_only_an_upgrade_has(house: House, tmp_path: Path) -> None:
    """Blue and green, with a canary, rests and hooks; each time the pool's nodes change their size, back and forth."""
    told = tmp_path / "told"
    hook = {"command": ["/bin/sh", "-c", 'echo "$BOATYARD_CLUSTER" >> "$0"', str(told)]}
    upgrade = {
        "rounds": 1,
        "strategy": "blue_green",
        "canary": "node",
        "pause": "1s",
        "before": [{"name": "announce", **hook}],
        "after": [{"name": "smoke", **hook}],
    }
    pools = [{"name": "web", "min": 2, "max": 4, "size": "2x8"}, {"name": "last", "min": 0, "max": 1}]
    cluster = house.spec("guarded", apps=False, pools=pools, policy={"upgrade": upgrade})
    house.set_up(cluster)
    sizes = itertools.cycle(["4x16", "2x8"])
    for moment in (
        "after step run hook announce",
        "after step upgrade pool web",
        "before step prepare pool web",
        "after step prepare pool web",
        "before step run hook smoke",
        "after step run hook smoke",
    ):
        size = next(sizes)
        web = cluster.pools[0].model_copy(update={"size": size})
        wanted = cluster.model_copy(update={"pools": (web, *cluster.pools[1:])})
        house.yard.store.clusters.put(wanted.model_dump(mode="json"))
        told.unlink(missing_ok=True)
        flow, arguments = "flows.upgrade:upgrade_cluster", {"name": cluster.name, "to": "1.34"}
        house.begin(flow, stop_at=moment, **arguments).stop(moment).kill()
        house.run(flow, **arguments).well()
        house.is_whole(cluster)
        house.is_free(cluster.name)
        seen = house.driver(wanted).observe().pools["web"]
        assert (seen.size, seen.standing_in) == (size, 0), moment
        assert told.read_text().count(cluster.name) >= 2, f"{moment}: a hook was lost"
        assert not house.yard.look(house.driver(wanted), cluster.name).upgrading, moment
        assert not (house.home / "hooks" / cluster.name).exists()
    house.delete(cluster)


def _maintained(house: House, name: str) -> Cluster:
    """Its window is open whenever the test runs; its channel allows one minor."""
    opens, closes = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-2, 6))
    policy = {"maintenance": {"window": f"daily {opens:%H:%M}-{closes:%H:%M}"}}
    return house.spec(name, version="1.33", kubernetes={"version": "1.33", "channel": "stable"}, policy=policy)


def _kill(house: House, cluster: Cluster, flow: str, moment: str) -> None:
    """At that moment; then its control plane is neither up nor asleep."""
    house.begin(flow, names=[cluster.name], stop_at=moment).stop(moment).kill()
    assert house.driver(cluster).observe().phase is Phase.BROKEN


def test_maintenance(house: House) -> None:
    cluster = _maintained(house, "maintained")

    def behind() -> None:
        house.delete(cluster)
        house.set_up(cluster)

    sweep(
        house,
        lambda: Scenario(
            MAINTAIN,
            {"names": [cluster.name]},
            cluster,
            prepare=behind,
            check=lambda: house.is_whole(cluster, version="1.34"),
        ),
    )
    house.delete(cluster)


def test_maintenance_goes_on_where_it_had_just_stopped_the_control_plane(house: House) -> None:
    cluster = _maintained(house, "stopped")
    house.set_up(cluster)
    _kill(house, cluster, MAINTAIN, "after stopping the control plane")
    house.run(MAINTAIN, names=[cluster.name]).well()
    house.is_whole(cluster, version="1.34")
    house.delete(cluster)


def test_a_sleep_by_schedule_that_was_cut_off_is_slept(house: House) -> None:
    sleep, wake = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-2, 6))
    policy = {"hibernate": {"sleep": f"{sleep:%a %H:%M}", "wake": f"{wake:%a %H:%M}", "timezone": "UTC"}}
    cluster = house.spec("tired", apps=False, nodes=1, policy=policy)
    house.set_up(cluster)
    _kill(house, cluster, MAINTAIN, "before stopping the control plane")
    house.run(MAINTAIN, names=[cluster.name]).well()
    assert house.driver(cluster).observe().phase is Phase.HIBERNATED
    house.delete(cluster)


def test_what_somebody_else_cut_off_is_left_to_them(house: House) -> None:
    cluster = _maintained(house, "theirs")
    house.set_up(cluster)
    moment = "before stopping the control plane"
    house.begin("flows.hibernate:hibernate_cluster", name=cluster.name, stop_at=moment).stop(moment).kill()
    house.run(MAINTAIN, names=[cluster.name]).well()
    assert house.driver(cluster).observe().phase is Phase.BROKEN
    house.run("flows.hibernate:wake_cluster", name=cluster.name).well()
    house.is_whole(cluster)
    house.delete(cluster)


def test_clean_up(house: House) -> None:
    """Killed between the sleep and the note that it was for idleness, clean-up would keep the cluster for ever."""
    idle = {"idle": {"after": "1d", "grace": "1d", "delete": True}}
    cluster = house.spec("unused", apps=False, nodes=1, policy=idle)
    store = house.yard.store

    def prepare() -> None:
        store.clusters.forget(cluster.name)
        house.set_up(cluster)
        store.clusters.mark(cluster.name, created_at=NOON)
        store.activity.warned(cluster.name, at=NOON + timedelta(days=2))

    def check() -> None:
        assert house.driver(cluster).observe().phase is Phase.HIBERNATED
        activity = store.activity.get(cluster.name)
        assert activity is not None
        assert activity.hibernated_at is not None

    sweep(
        house,
        lambda: Scenario(CLEAN_UP, {"names": [cluster.name]}, cluster, prepare=prepare, check=check),
    )
    prepare()
    _kill(house, cluster, CLEAN_UP, "before stopping the control plane")
    house.run(CLEAN_UP, names=[cluster.name]).well()
    check()
    house.delete(cluster)


@pytest.fixture(scope="module")
def template(house: House) -> None:
    folder = house.home / "templates"
    folder.mkdir()
    (folder / "pull-request.yaml").write_text(TEMPLATE)


class Request:
    """A pull request, its cluster and its claim."""

    def __init__(self, house: House, number: int) -> None:
        self.house, self.number = house, number
        request = PullRequest(repository="example/shop", number=number)
        self.key = request.key
        self.cluster = house.spec(request.cluster_name, apps=False, version="1.36", nodes=1)

    def scenario(self, flow: str, at: datetime, prepare: Callable[[], None], check: Callable[[], None]) -> Scenario:
        given = {"repository": "example/shop", "number": self.number, "occurred": at.isoformat()}
        return Scenario(f"flows.ephemeral:{flow}", given, self.cluster, prepare, check)

    def is_settled(self, *, is_open: bool) -> None:
        claim = self.house.yard.store.claims.get(self.key)
        assert claim is not None
        assert (claim.open, claim.due) == (is_open, Todo.NONE)


@pytest.mark.usefixtures("template")
def test_open(house: House) -> None:
    numbers = itertools.count(1)

    def scenario() -> Scenario:
        request = Request(house, next(numbers))

        def check() -> None:
            house.is_whole(request.cluster)
            request.is_settled(is_open=True)
            house.delete(request.cluster)

        return request.scenario("open_cluster", NOON, lambda: None, check)

    sweep(house, scenario)


@pytest.mark.usefixtures("template")
def test_close(house: House) -> None:
    numbers = itertools.count(1001)
    claims = house.yard.store.claims

    def scenario() -> Scenario:
        request = Request(house, next(numbers))

        def prepare() -> None:
            house.set_up(request.cluster)
            claims.settle(claims.open(request.key, request.cluster.name, NOON).claim)

        def check() -> None:
            house.is_gone(request.cluster)
            request.is_settled(is_open=False)

        return request.scenario("close_cluster", LATER, prepare, check)

    sweep(house, scenario)
