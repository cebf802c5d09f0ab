"""Node pools: made, grown, shrunk within budgets, configured, removed, and cut off anywhere on the way."""

from collections.abc import Callable

import pytest

from boatyard.drivers.base import Scalable
from boatyard.errors import NotFound
from boatyard.plan.model import Phase
from boatyard.spec.models import Cluster
from tests.conformance.harness import (
    Bench,
    cut_everywhere,
    deploy,
    minors,
    observing,
    pods,
    ready_pods,
    refuses_to_wait,
)

POOL_LABEL = "boatyard.dev/pool"


@pytest.fixture(autouse=True)
def _scalable(bench: Bench, cluster: Cluster) -> None:
    if not isinstance(bench.driver(cluster), Scalable):
        pytest.skip(f"{bench.kind} is not scalable")


def version(bench: Bench) -> str:
    return str(bench.case["cluster"]["kubernetes"]["version"])


def test_a_pool_has_what_was_ordered(bench: Bench, cluster: Cluster) -> None:
    pool = bench.pool(labels={"team": "shop"}, taints=["dedicated=shop:NoSchedule"])
    bench.driver(cluster).create_pool(pool, version(bench))
    seen = bench.observe(cluster).pools["web"]
    assert (seen.count, seen.ready, seen.size) == (2, 2, bench.case["size"])
    assert (seen.labels, seen.taints) == ({"team": "shop"}, ("dedicated=shop:NoSchedule",))
    assert minors(seen.versions) == {version(bench)}
    with bench.client(cluster) as client:
        nodes = client.list("/api/v1/nodes", labelSelector=f"{POOL_LABEL}=web")
    assert {node["metadata"]["name"] for node in nodes} == set(seen.versions)
    for node in nodes:
        labels = node["metadata"]["labels"]
        assert labels["team"] == "shop"
        assert labels["kubernetes.io/hostname"]
        assert labels["node.kubernetes.io/instance-type"] == bench.case["size"]
        assert labels["topology.kubernetes.io/zone"]
        assert {"key": "dedicated", "value": "shop", "effect": "NoSchedule"} in node["spec"]["taints"]
    bench.driver(cluster).create_pool(pool, version(bench))
    assert bench.observe(cluster).pools["web"] == seen


def test_a_pool_without_nodes_is_there(bench: Bench, cluster: Cluster) -> None:
    bench.driver(cluster).create_pool(bench.pool("empty", min=0, labels={"a": "b"}), version(bench))
    seen = bench.observe(cluster).pools["empty"]
    assert (seen.count, seen.labels) == (0, {"a": "b"})
    bench.driver(cluster).scale_pool("empty", 1)
    assert bench.observe(cluster).pools["empty"].ready == 1
    bench.driver(cluster).delete_pool("empty")
    assert "empty" not in bench.observe(cluster).pools
    bench.driver(cluster).delete_pool("empty")


def test_configuring_keeps_what_others_put_there(bench: Bench, cluster: Cluster) -> None:
    with bench.client(cluster) as client:
        name = min(bench.observe(cluster).pools["web"].versions)
        node = client.get(f"/api/v1/nodes/{name}")
        foreign = {"key": "foreign", "effect": "PreferNoSchedule"}
        client.patch(
            f"/api/v1/nodes/{name}",
            {"metadata": {"labels": {"foreign": "yes"}}, "spec": {"taints": [*node["spec"]["taints"], foreign]}},
        )
        bench.driver(cluster).configure_pool(bench.pool(labels={"tier": "front"}))
        node = client.get(f"/api/v1/nodes/{name}")
    assert node["metadata"]["labels"]["foreign"] == "yes"
    assert node["metadata"]["labels"]["tier"] == "front"
    assert "team" not in node["metadata"]["labels"]
    assert [(taint["key"], taint["effect"]) for taint in node["spec"]["taints"]] == [("foreign", "PreferNoSchedule")]
    seen = bench.observe(cluster).pools["web"]
    assert (seen.labels, seen.taints) == ({"tier": "front"}, ())


def test_one_node_that_differs_is_seen(bench: Bench, cluster: Cluster) -> None:
    specified = cluster.model_copy(update={"pools": (bench.pool(labels={"tier": "front"}),)})
    with bench.client(cluster) as client:
        name = max(bench.observe(cluster).pools["web"].versions)
        client.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": {"tier": "back"}}})
    assert bench.observe(specified).pools["web"].labels == {"tier": "back"}
    bench.driver(specified).configure_pool(specified.pools[0])
    assert bench.observe(specified).pools["web"].labels == {"tier": "front"}


def test_new_nodes_are_made_like_the_configured_ones(bench: Bench, cluster: Cluster) -> None:
    bench.driver(cluster).scale_pool("web", 4)
    seen = bench.observe(cluster).pools["web"]
    assert (seen.count, seen.ready, seen.labels) == (4, 4, {"tier": "front"})


def test_shrinking_moves_pods_within_their_budget(bench: Bench, cluster: Cluster) -> None:
    with bench.client(cluster) as client:
        deploy(client, "shop", 8)
        with observing(client, "shop") as seen:
            bench.driver(cluster).scale_pool("web", 2)
        assert seen.lowest >= 7
        assert len(ready_pods(client, "shop")) + 1 >= 8
    observed = bench.observe(cluster).pools["web"]
    assert (observed.count, observed.ready) == (2, 2)


def test_a_cordoned_node_goes_first(bench: Bench, cluster: Cluster) -> None:
    with bench.client(cluster) as client:
        oldest = min(bench.observe(cluster).pools["web"].versions)
        client.patch(f"/api/v1/nodes/{oldest}", {"spec": {"unschedulable": True}})
        bench.driver(cluster).scale_pool("web", 3)
        bench.driver(cluster).scale_pool("web", 2)
        assert oldest not in bench.observe(cluster).pools["web"].versions


def test_a_budget_that_allows_nothing_stops_the_shrinking(bench: Bench, cluster: Cluster) -> None:
    with bench.client(cluster) as client:
        deploy(client, "frozen", 4, available=4)
        before = {pod["metadata"]["uid"] for pod in pods(client, "frozen")}
        said = refuses_to_wait(lambda: bench.driver(cluster, limit=bench.patience).scale_pool("web", 1))
        assert "frozen" in said
        assert {pod["metadata"]["uid"] for pod in ready_pods(client, "frozen")} == before
        assert bench.observe(cluster).pools["web"].count == 2
        bench.driver(cluster).scale_pool("web", 2)
        nodes = client.list("/api/v1/nodes", labelSelector=f"{POOL_LABEL}=web")
        assert not any(node["spec"].get("unschedulable") for node in nodes), "growing back takes the cordon off"
        client.delete("/apis/policy/v1/namespaces/work/poddisruptionbudgets/frozen")


def test_cut_off_at_every_change(bench: Bench, cluster: Cluster) -> None:
    pool = bench.pool("cut", min=2, labels={"a": "1"}, taints=["only=cut:NoSchedule"])
    changed = bench.pool("cut", min=2, labels={"b": "2"}, taints=[])

    def count() -> int:
        return bench.observe(cluster).pools["cut"].count

    def create(fence: Callable[[], None]) -> None:
        bench.driver(cluster, fence).create_pool(pool, version(bench))

    def settle_create() -> None:
        bench.driver(cluster).create_pool(pool, version(bench))
        assert count() == 2
        bench.driver(cluster).delete_pool("cut")

    assert cut_everywhere(create, settle_create) >= 2
    bench.driver(cluster).create_pool(pool, version(bench))

    def settle_configure() -> None:
        bench.driver(cluster).configure_pool(changed)
        assert bench.observe(cluster).pools["cut"].labels == {"b": "2"}
        bench.driver(cluster).configure_pool(pool)
        assert bench.observe(cluster).pools["cut"].taints == pool.taints

    assert cut_everywhere(lambda fence: bench.driver(cluster, fence).configure_pool(changed), settle_configure) >= 2

    def grow_and_shrink(fence: Callable[[], None]) -> None:
        bench.driver(cluster, fence).scale_pool("cut", 4)
        bench.driver(cluster, fence).scale_pool("cut", 2)

    def settle_scale() -> None:
        assert 2 <= count() <= 4
        bench.driver(cluster).scale_pool("cut", 2)
        assert count() == 2

    assert cut_everywhere(grow_and_shrink, settle_scale) >= 4

    def settle_delete() -> None:
        bench.driver(cluster).delete_pool("cut")
        assert "cut" not in bench.observe(cluster).pools
        bench.driver(cluster).create_pool(pool, version(bench))

    assert cut_everywhere(lambda fence: bench.driver(cluster, fence).delete_pool("cut"), settle_delete) >= 2


def test_a_pool_that_is_not_there(bench: Bench, cluster: Cluster) -> None:
    bench.driver(cluster).delete_pool("never-was")
    with pytest.raises(NotFound, match="never-was"):
        bench.driver(cluster).scale_pool("never-was", 1)
    assert bench.observe(cluster).phase is Phase.RUNNING
