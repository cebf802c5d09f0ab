"""One minor up, control plane then nodes, with workloads kept; cut off anywhere, and it still arrives."""

from collections.abc import Callable

import pytest

from boatyard.drivers.base import BlueGreen, Scalable, Upgradable
from boatyard.errors import Unsafe
from boatyard.kube.client import Client
from boatyard.plan.model import Observed, Phase
from boatyard.spec.models import Cluster, Policy
from boatyard.versions import Minor
from tests.conformance.harness import (
    Bench,
    Bomb,
    Cut,
    cut_everywhere,
    deploy,
    minors,
    observing,
    pods,
    refuses_to_wait,
)


@pytest.fixture(autouse=True)
def _upgradable(bench: Bench, cluster: Cluster) -> None:
    driver = bench.driver(cluster)
    if not isinstance(driver, Upgradable) or not isinstance(driver, Scalable):
        pytest.skip(f"{bench.kind} cannot be upgraded in place")


def now(bench: Bench) -> str:
    return str(bench.case["cluster"]["kubernetes"]["version"])


def then(bench: Bench) -> str:
    return str(bench.case["next_minor"])


def minor_of(seen: Observed) -> str:
    return str(Minor.parse(seen.version or ""))


def test_a_skipped_minor_is_refused(bench: Bench, cluster: Cluster) -> None:
    bench.driver(cluster).create_pool(bench.pool(min=3), now(bench))
    before = bench.observe(cluster)
    with pytest.raises(Unsafe, match="skips"):
        bench.driver(cluster).upgrade_control_plane(bench.case["skipping_minor"])
    assert bench.observe(cluster) == before


def test_the_version_it_has_is_nothing_to_do(bench: Bench, cluster: Cluster) -> None:
    before = bench.observe(cluster)
    bench.driver(cluster).upgrade_control_plane(now(bench))
    assert bench.observe(cluster) == before


def test_the_control_plane_arrives_wherever_it_is_cut_off(bench: Bench) -> None:
    cluster = bench.cluster("cut-upgrade", kubernetes={"version": _before(bench.case["minors"][0])})
    bench.driver(cluster).create()
    for cut, version in enumerate(bench.case["minors"], 1):  # each minor is cut off one change later than the last
        with pytest.raises(Cut):
            bench.driver(cluster, Bomb(cut)).upgrade_control_plane(version)
        seen = bench.observe(cluster)
        assert seen.phase in (Phase.RUNNING, Phase.BROKEN)
        assert minor_of(seen) in (version, _before(version))
        bench.driver(cluster).upgrade_control_plane(version)
        after = bench.observe(cluster)
        assert (after.phase, minor_of(after)) == (Phase.RUNNING, version)
    bench.driver(cluster).delete()


def test_workloads_live_through_the_control_planes_upgrade(bench: Bench, cluster: Cluster) -> None:
    with bench.client(cluster) as client:
        deploy(client, "shop", 6)
        before = {pod["metadata"]["uid"] for pod in pods(client, "shop")}
    bench.driver(cluster).upgrade_control_plane(then(bench))
    seen = bench.observe(cluster)
    assert (seen.phase, minor_of(seen)) == (Phase.RUNNING, then(bench))
    assert minors(seen.pools["web"].versions) == {now(bench)}
    with bench.client(cluster) as client:
        assert {pod["metadata"]["uid"] for pod in pods(client, "shop")} == before


def test_a_downgrade_is_refused(bench: Bench, cluster: Cluster) -> None:
    with pytest.raises(Unsafe):
        bench.driver(cluster).upgrade_control_plane(now(bench))
    assert minor_of(bench.observe(cluster)) == then(bench)


def test_a_budget_that_allows_nothing_stops_the_upgrade(bench: Bench, cluster: Cluster) -> None:
    with bench.client(cluster) as client:
        deploy(client, "frozen", 3, available=3)
        before = {pod["metadata"]["uid"] for pod in pods(client, "frozen")}
        said = refuses_to_wait(
            lambda: bench.driver(cluster).upgrade_pool(bench.pool(min=3), then(bench), surge=1, drain_timeout=3)
        )
        assert "frozen" in said
        assert {pod["metadata"]["uid"] for pod in pods(client, "frozen")} == before
        client.delete("/apis/policy/v1/namespaces/work/poddisruptionbudgets/frozen")


def test_the_stopped_upgrade_goes_on_and_keeps_every_budget(bench: Bench, cluster: Cluster) -> None:
    pool = bench.pool(min=3)
    with bench.client(cluster) as client, observing(client, "shop") as seen:
        bench.driver(cluster).upgrade_pool(pool, then(bench), surge=2, drain_timeout=60)
    assert seen.lowest >= 5
    observed = bench.observe(cluster).pools["web"]
    assert (observed.count, observed.ready) == (3, 3)
    assert minors(observed.versions) == {then(bench)}
    bench.driver(cluster).upgrade_pool(pool, then(bench), surge=2, drain_timeout=60)
    assert bench.observe(cluster).pools["web"] == observed


def test_a_canary_is_one_node_and_goes_once(bench: Bench, cluster: Cluster) -> None:
    resized = bench.pool(min=3, size=bench.case["other_size"])
    before = set(bench.observe(cluster).pools["web"].versions)
    for _ in range(2):
        bench.driver(cluster).upgrade_pool(resized, then(bench), surge=2, drain_timeout=60, canary=True)
        observed = bench.observe(cluster).pools["web"]
        assert (observed.count, observed.ready) == (3, 3)
        assert len(before - set(observed.versions)) == 1
    with bench.client(cluster) as client:
        nodes = client.list("/api/v1/nodes")
        assert not any(node["spec"].get("unschedulable") for node in nodes)


def test_without_a_number_as_many_go_as_budgets_allow(bench: Bench, cluster: Cluster) -> None:
    """The rest of the canary's pool: at most a quarter of it, so one node at a time."""
    resized = bench.pool(min=3, size=bench.case["other_size"])
    with bench.client(cluster) as client, observing(client, "shop") as seen:
        bench.driver(cluster).upgrade_pool(resized, then(bench), surge=None, drain_timeout=60)
    assert seen.lowest >= 5
    observed = bench.observe(cluster).pools["web"]
    assert (observed.count, observed.ready, observed.size) == (3, 3, bench.case["other_size"])
    bench.driver(cluster).upgrade_pool(bench.pool(min=3), then(bench), surge=3, drain_timeout=60)


def test_the_policy_rules_every_drain(bench: Bench, cluster: Cluster) -> None:
    """Pods go in its order, and against a budget that never lets go once its time is over; each of these is told."""
    upgrade = {"drain_order": ["app=held"], "force_after": "2s", "drain_timeout": "60s"}
    strict = cluster.model_copy(update={"policy": Policy.model_validate({"upgrade": upgrade})})
    told: list[tuple[str, str]] = []
    with bench.client(cluster) as client:
        deploy(client, "held", 2, available=2)
        driver = bench.driver(strict, note=lambda verb, target, why: told.append((verb, target)))
        resized = bench.pool(min=3, size=bench.case["other_size"])
        with observing(client, "shop") as seen:
            driver.upgrade_pool(resized, then(bench), surge=1, drain_timeout=60)
        client.delete("/apis/policy/v1/namespaces/work/poddisruptionbudgets/held")
        client.delete("/apis/apps/v1/namespaces/work/deployments/held")
    assert seen.lowest >= 5, "only what is held back for good is forced"
    assert {verb for verb, _ in told} == {"force eviction"}
    assert all(target.startswith("work/held-") for _, target in told)
    bench.driver(cluster).upgrade_pool(bench.pool(min=3), then(bench), surge=3, drain_timeout=60)


def test_another_size_replaces_the_nodes(bench: Bench, cluster: Cluster) -> None:
    pool = bench.pool(min=3, size=bench.case["other_size"])
    bench.driver(cluster).upgrade_pool(pool, then(bench), surge=3, drain_timeout=60)
    observed = bench.observe(cluster).pools["web"]
    assert (observed.count, observed.size) == (3, bench.case["other_size"])


def test_a_pool_upgrade_cut_off_at_every_change(bench: Bench, cluster: Cluster) -> None:
    pool = bench.pool("cut", taints=["only=cut:NoSchedule"])
    tolerant = {
        "tolerations": [{"key": "only", "operator": "Exists"}],
        "nodeSelector": {"boatyard.dev/pool": "cut"},
    }
    resized = pool.model_copy(update={"size": bench.case["other_size"]})
    bench.driver(cluster).create_pool(resized, now(bench))
    with bench.client(cluster) as client:
        deploy(client, "cut", 3, **tolerant)

    aims = [pool, resized]  # every upgrade that was brought to its end is the next one's beginning

    def attempt(fence: Callable[[], None]) -> None:
        bench.driver(cluster, fence).upgrade_pool(aims[0], then(bench), surge=1, drain_timeout=60)

    def settle() -> None:
        assert bench.observe(cluster).pools["cut"].count == 2, "machines on top are none to be scaled away"
        attempt(lambda: None)
        observed = bench.observe(cluster).pools["cut"]
        assert (observed.count, observed.ready, observed.size) == (2, 2, aims[0].size)
        assert minors(observed.versions) == {then(bench)}
        with bench.client(cluster) as client:
            nodes = client.list("/api/v1/nodes")
            assert not any(node["spec"].get("unschedulable") for node in nodes)
        aims.reverse()

    assert cut_everywhere(attempt, settle) >= 6


@pytest.mark.needs(capability=BlueGreen)
def test_a_pool_blue_and_green_cut_off_at_every_change(bench: Bench, cluster: Cluster) -> None:
    """New nodes beside all old ones, then back, or on; wherever it is cut off, both ways stay open."""
    old, new = bench.pool("green"), bench.pool("green", size=bench.case["other_size"])
    bench.driver(cluster).create_pool(old, then(bench))
    first = set(bench.observe(cluster).pools["green"].versions)

    def cordoned(client: Client) -> set[str]:
        found = client.list("/api/v1/nodes", labelSelector="boatyard.dev/pool=green")
        return {node["metadata"]["name"] for node in found if node["spec"].get("unschedulable")}

    def there_and_back(fence: Callable[[], None]) -> None:
        bench.driver(cluster, fence).prepare_pool(new, then(bench))
        bench.driver(cluster, fence).roll_back_pool("green")

    def settle() -> None:
        bench.driver(cluster).prepare_pool(new, then(bench))
        seen = bench.observe(cluster).pools["green"]
        assert (seen.count, seen.standing_in, seen.ready) == (2, 2, 4)
        with bench.client(cluster) as client:
            assert cordoned(client) == first
            bench.driver(cluster).roll_back_pool("green")
            assert cordoned(client) == set()
        seen = bench.observe(cluster).pools["green"]
        assert (set(seen.versions), seen.size, seen.standing_in) == (first, bench.case["size"], 0)

    assert cut_everywhere(there_and_back, settle) >= 8
    bench.driver(cluster).roll_back_pool("green")
    bench.driver(cluster).prepare_pool(new, then(bench))
    bench.driver(cluster).upgrade_pool(new, then(bench), surge=None, drain_timeout=60)
    seen = bench.observe(cluster).pools["green"]
    assert (seen.count, seen.ready, seen.standing_in, seen.size) == (2, 2, 0, bench.case["other_size"])
    assert not first & set(seen.versions)


def _before(version: str) -> str:
    major, minor = version.split(".")
    return f"{major}.{int(minor) - 1}"
