"""A hibernated cluster costs nothing until somebody asks for it to run."""

import pytest

from boatyard.errors import Unsafe
from boatyard.plan.model import Phase, Verb
from boatyard.spec.models import Cluster
from flows.apply import apply_cluster
from flows.deploy_apps import deploy_apps
from flows.hibernate import hibernate_cluster
from flows.scale import scale_cluster
from flows.snapshot import restore_cluster, snapshot_cluster
from flows.upgrade import upgrade_cluster
from tests.faults.harness import House

pytestmark = [pytest.mark.twin, pytest.mark.server]


@pytest.fixture
def asleep(house: House) -> Cluster:
    cluster = house.spec("asleep", apps=False, nodes=1)
    house.set_up(cluster)
    hibernate_cluster(cluster.name)
    return cluster


def phase(house: House, cluster: Cluster) -> Phase:
    found: Phase = house.driver(cluster).observe().phase
    return found


def test_only_who_asks_for_it_wakes_a_hibernated_cluster(house: House, asleep: Cluster) -> None:
    apps = list(house.spec(asleep.name, nodes=1).apps)
    for refused in (
        lambda: deploy_apps(asleep.name, apps),
        lambda: scale_cluster(asleep.name, {"web": 2}),
        lambda: upgrade_cluster(asleep.name, "1.35"),
        lambda: snapshot_cluster(asleep.name),
        lambda: restore_cluster(asleep.name, house.home / "any.snapshot"),
    ):
        with pytest.raises(Unsafe, match=r"asleep is hibernated.*boatyard wake asleep"):
            refused()
    assert phase(house, asleep) is Phase.HIBERNATED
    assert house.yard.registered(asleep.name).apps == ()
    assert house.yard.store.rollout.upgrades(asleep.name) == []

    deploy_apps(asleep.name, apps, wake=True)
    assert phase(house, asleep) is Phase.RUNNING
    house.is_whole(house.yard.registered(asleep.name))

    hibernate_cluster(asleep.name)
    upgrade_cluster(asleep.name, "1.35", wake=True)
    house.is_whole(house.yard.registered(asleep.name), version="1.35")

    hibernate_cluster(asleep.name)
    driver = house.driver(asleep)
    assert [step.verb for step in driver.plan(driver.observe(), {}).steps] == [Verb.WAKE]
    apply_cluster(house.yard.registered(asleep.name))  # whose plan shows it
    assert phase(house, asleep) is Phase.RUNNING
