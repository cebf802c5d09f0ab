"""kill -9 of each flow of a life at every moment; run again, it ends as wanted, nothing doubled or left over."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest

from boatyard.drivers.kwok import state
from boatyard.drivers.kwok.pools import wanted
from boatyard.drivers.kwok.snapshot import read
from boatyard.kube.conditions import TYPES
from boatyard.plan.model import Phase
from boatyard.spec.models import Cluster
from tests.faults.harness import House
from tests.faults.sweeping import Scenario, sweep

pytestmark = [pytest.mark.twin, pytest.mark.server]


@pytest.fixture(scope="module")
def cluster(house: House) -> Cluster:
    """A running cluster that the flows which keep it share."""
    made = house.spec("kept")
    house.set_up(made)
    return made


def _sweep_from_nothing(house: House, flow: str, cluster: Cluster) -> None:
    sweep(
        house,
        lambda: Scenario(
            flow,
            {"cluster": cluster},
            cluster,
            prepare=lambda: house.delete(cluster),
            check=lambda: house.is_whole(cluster),
        ),
    )
    house.delete(cluster)


def test_create(house: House) -> None:
    _sweep_from_nothing(house, "flows.create:create_cluster", house.spec("created", apps=False))


def test_create_goes_on_where_a_pool_was_ordered_and_has_no_nodes(house: House) -> None:
    cluster = house.spec("ordered", apps=False)
    house.driver(cluster).create()
    layout = state.Layout(house.home / "kwok", cluster.name)
    state.put_pool(layout, "web", wanted(cluster.pools[0], cluster.kubernetes.version))
    house.run("flows.create:create_cluster", cluster=cluster).well()
    house.is_whole(cluster)
    house.delete(cluster)


def test_apply(house: House) -> None:
    _sweep_from_nothing(house, "flows.apply:apply_cluster", house.spec("applied"))


def test_deploy_apps(house: House, cluster: Cluster) -> None:
    without = house.spec(cluster.name, apps=False)
    house.spec(cluster.name)
    sweep(
        house,
        lambda: Scenario(
            "flows.deploy_apps:deploy_apps",
            {"name": cluster.name, "apps": [app.model_dump(mode="json") for app in cluster.apps]},
            cluster,
            prepare=lambda: house.set_up(without),
            check=lambda: house.is_whole(cluster),
        ),
    )


def test_remove_apps(house: House, cluster: Cluster) -> None:
    without = house.spec(cluster.name, apps=False)
    house.spec(cluster.name)
    sweep(
        house,
        lambda: Scenario(
            "flows.deploy_apps:deploy_apps",
            {"name": cluster.name, "apps": []},
            cluster,
            prepare=lambda: house.set_up(cluster),
            check=lambda: house.is_whole(without),
        ),
    )
    house.set_up(cluster)


def test_the_journal_tells_of_the_kill_and_the_lease_is_taken_over_at_once(house: House, cluster: Cluster) -> None:
    change = "before change in scale"
    house.begin("flows.scale:scale_cluster", name=cluster.name, pools={"web": 3}, stop_at=change).stop(change).kill()
    house.run("flows.scale:scale_cluster", name=cluster.name, pools={"web": 2}).well()
    cut, taken = house.yard.store.journal.list(cluster.name, limit=500)[-2:]
    assert (cut.verb, cut.outcome) == ("scale pool", "interrupted")
    assert taken.verb == "take over lease"
    assert "scale by flow run scale kept" in taken.reason
    assert "whose process is gone" in taken.reason
    house.is_whole(cluster)


def test_scale(house: House, cluster: Cluster) -> None:
    sizes = itertools.cycle([4, 2])

    def scenario() -> Scenario:
        size = next(sizes)
        return Scenario(
            "flows.scale:scale_cluster",
            {"name": cluster.name, "pools": {"web": size}},
            cluster,
            prepare=lambda: house.driver(cluster).scale_pool("web", 6 - size),
            check=lambda: house.is_whole(cluster, nodes=size),
        )

    sweep(house, scenario)
    house.driver(cluster).scale_pool("web", 2)


def test_hibernate(house: House, cluster: Cluster) -> None:
    def asleep() -> None:
        assert house.driver(cluster).observe().phase is Phase.HIBERNATED

    sweep(
        house,
        lambda: Scenario(
            "flows.hibernate:hibernate_cluster",
            {"name": cluster.name},
            cluster,
            prepare=lambda: house.set_up(cluster),
            check=asleep,
        ),
    )
    house.set_up(cluster)


def test_wake(house: House, cluster: Cluster) -> None:
    sweep(
        house,
        lambda: Scenario(
            "flows.hibernate:wake_cluster",
            {"name": cluster.name},
            cluster,
            prepare=lambda: house.driver(cluster).hibernate(),
            check=lambda: house.is_whole(cluster),
        ),
    )


def test_snapshot_and_restore(house: House, cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "all.snapshot"

    def is_written() -> None:
        assert "greeting" in {each["metadata"]["name"] for each in read(file) if each["kind"] == "ConfigMap"}
        assert list(tmp_path.iterdir()) == [file]

    def lose_something() -> None:
        with house.client(cluster) as client:
            client.delete("/api/v1/namespaces/tiny/configmaps/greeting")

    sweep(
        house,
        lambda: Scenario(
            "flows.snapshot:snapshot_cluster",
            {"name": cluster.name, "to_file": str(file)},
            cluster,
            prepare=lambda: file.unlink(missing_ok=True),
            check=is_written,
        ),
    )
    sweep(
        house,
        lambda: Scenario(
            "flows.snapshot:restore_cluster",
            {"name": cluster.name, "source": str(file)},
            cluster,
            prepare=lose_something,
            check=lambda: house.is_whole(cluster),
        ),
    )


def test_validate(house: House, cluster: Cluster) -> None:
    sweep(
        house,
        lambda: Scenario(
            "flows.validate:validate_cluster",
            {"name": cluster.name},
            cluster,
            prepare=lambda: house.set_up(cluster),
            check=lambda: house.is_whole(cluster),
        ),
    )


def test_prerequisites(house: House, cluster: Cluster) -> None:
    sweep(
        house,
        lambda: Scenario(
            "flows.prerequisites:prerequisites",
            {"cluster": cluster},
            cluster,
            prepare=lambda: None,
            check=lambda: house.is_whole(cluster),
        ),
    )


def test_monitor(house: House, cluster: Cluster) -> None:
    conditions = house.yard.store.conditions

    def all_written() -> None:
        found = {each.type: each.status for each in conditions.list(cluster.name)}
        assert found.keys() >= set(TYPES)
        assert found["Reachable"] == found["NodesReady"] == found["InSync"] == "True", found

    def blurred() -> None:
        for kind in TYPES:
            conditions.set(cluster.name, kind, "Unknown", "NotRead", "", now=datetime.now(UTC))

    sweep(
        house,
        lambda: Scenario(
            "flows.monitor:monitor_fleet", {"names": [cluster.name]}, cluster, prepare=blurred, check=all_written
        ),
    )


def test_delete(house: House) -> None:
    cluster = house.spec("doomed", apps=False, nodes=1)
    sweep(
        house,
        lambda: Scenario(
            "flows.delete:delete_cluster",
            {"name": cluster.name, "confirm": cluster.name},
            cluster,
            prepare=lambda: house.set_up(cluster),
            check=lambda: house.is_gone(cluster),
            forgives=("NotFound",),
        ),
    )


def test_a_delete_that_died_when_all_was_gone_is_no_obstacle_to_a_new_cluster(house: House) -> None:
    cluster, flow, moment = house.spec("again", apps=False, nodes=1), "flows.delete:delete_cluster", "after forgetting"
    house.set_up(cluster)
    house.begin(flow, name=cluster.name, confirm=cluster.name, stop_at=moment).stop(moment).kill()
    house.is_gone(cluster)
    house.run(flow, name=cluster.name, confirm=cluster.name).failed("NotFound")
    house.run("flows.create:create_cluster", cluster=cluster).well()
    house.is_whole(cluster)
    house.is_free(cluster.name)
    house.delete(cluster)


def test_a_delete_that_goes_on_leaves_a_cluster_alone_that_was_made_since(house: House) -> None:
    cluster, flow, moment = (
        house.spec("anew", apps=False, nodes=1),
        "flows.delete:delete_cluster",
        "after step delete anew",
    )
    given = {"name": cluster.name, "confirm": cluster.name}
    house.set_up(cluster)
    run = house.begin(flow, run="", stop_at=moment, **given).stop(moment).kill().id
    house.begin(flow, run=run, stop_at="before forgetting", **given).stop("before forgetting").kill()
    house.run(flow, **given).well()
    house.run("flows.create:create_cluster", cluster=cluster).well()

    house.begin(flow, run=run, **given).failed("Unsafe")

    house.is_whole(cluster)
    house.is_free(cluster.name)
    house.delete(cluster)


def test_a_hibernation_that_goes_on_leaves_a_cluster_awake_that_was_woken_since(house: House) -> None:
    cluster, flow = house.spec("woken", apps=False, nodes=1), "flows.hibernate:hibernate_cluster"
    house.set_up(cluster)
    run = house.begin(flow, run="", stop_at="after step hibernate woken", name="woken")
    run = run.stop("after step hibernate woken").kill().id
    house.run("flows.hibernate:wake_cluster", name="woken").well()
    assert "began to wake woken" in house.begin(flow, run=run, name="woken").failed("Unsafe")
    house.is_whole(cluster)
    house.is_free("woken")
    house.delete(cluster)


def test_a_scaling_that_goes_on_leaves_a_newer_size_as_it_is(house: House) -> None:
    cluster, flow = house.spec("sized", apps=False, nodes=1), "flows.scale:scale_cluster"
    house.set_up(cluster)
    given = {"name": "sized", "pools": {"web": 2}}
    run = house.begin(flow, run="", stop_at="before step scale pool web", **given)
    run = run.stop("before step scale pool web").kill().id
    house.run(flow, name="sized", pools={"web": 3}).well()
    assert "began to scale pool web" in house.begin(flow, run=run, **given).failed("Unsafe")
    house.is_whole(cluster, nodes=3)
    house.run(flow, **given).well()
    house.is_whole(cluster, nodes=2)
    house.delete(cluster)
