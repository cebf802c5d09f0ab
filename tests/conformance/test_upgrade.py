"""One minor up, control plane then nodes, with workloads kept; cut off anywhere, and it still arrives."""

from collections.abc import Callable

import pytest

from boatyard.drivers.base import Scalable, Upgradable
from boatyard.errors import Unsafe
from boatyard.plan.model import Observed, Phase
from boatyard.spec.models import Cluster
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

    def attempt(fence: Callable[[], None]) -> None:
        bench.driver(cluster, fence).upgrade_pool(pool, then(bench), surge=1, drain_timeout=60)

    def settle() -> None:
        assert 2 <= bench.observe(cluster).pools["cut"].count <= 3
        attempt(lambda: None)
        observed = bench.observe(cluster).pools["cut"]
        assert (observed.count, observed.ready) == (2, 2)
        assert minors(observed.versions) == {then(bench)}
        with bench.client(cluster) as client:
            nodes = client.list("/api/v1/nodes")
            assert not any(node["spec"].get("unschedulable") for node in nodes)
        bench.driver(cluster).upgrade_pool(resized, then(bench), surge=2, drain_timeout=60)

    assert cut_everywhere(attempt, settle) >= 6


def _before(version: str) -> str:
    major, minor = version.split(".")
    return f"{major}.{int(minor) - 1}"
