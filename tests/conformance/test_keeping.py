"""Sleep, snapshots and repair: what was there is there again."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from boatyard.drivers.base import Hibernatable, Scalable, Snapshotable
from boatyard.errors import InvalidSpec, NotFound, Temporary
from boatyard.kube.client import ApiNotFound
from boatyard.plan.model import Phase
from boatyard.spec.models import Cluster
from tests.conformance.harness import (
    NAMESPACE,
    Bench,
    Bomb,
    Cut,
    cut_everywhere,
    deploy,
    eventually,
    kill,
    lasting,
    pods,
    ready_pods,
)


@pytest.fixture(scope="module", autouse=True)
def _work(bench: Bench, cluster: Cluster) -> None:
    driver = bench.driver(cluster)
    if isinstance(driver, Scalable):
        driver.create_pool(bench.pool(min=2), bench.case["cluster"]["kubernetes"]["version"])
    with bench.client(cluster) as client:
        deploy(client, "shop", 4)


@pytest.mark.needs(capability=Hibernatable)
def test_hibernation_keeps_everything(bench: Bench, cluster: Cluster) -> None:
    before = bench.observe(cluster)
    with bench.client(cluster) as client:
        uids = {pod["metadata"]["uid"] for pod in pods(client, "shop")}
    bench.driver(cluster).hibernate()
    asleep = bench.observe(cluster)
    assert (asleep.phase, asleep.version) == (Phase.HIBERNATED, before.version)
    with pytest.raises(Temporary):
        bench.driver(cluster).kubeconfig()
    bench.driver(cluster).hibernate()
    bench.driver(cluster).wake()
    renewed = bool(bench.case.get("renewed_by_sleep"))
    awake = bench.observe(cluster)
    assert lasting(awake) == lasting(before) if renewed else awake == before
    bench.driver(cluster).wake()
    with bench.client(cluster) as client:
        assert renewed or {pod["metadata"]["uid"] for pod in pods(client, "shop")} == uids
        eventually(lambda: len(ready_pods(client, "shop")) == 4, "pods that are Ready again")


@pytest.mark.needs(capability=Hibernatable)
def test_hibernation_cut_off_at_every_change(bench: Bench, cluster: Cluster) -> None:
    def settle() -> None:
        bench.driver(cluster).hibernate()
        assert bench.observe(cluster).phase is Phase.HIBERNATED
        with pytest.raises(Cut):
            bench.driver(cluster, Bomb(1)).wake()
        assert bench.observe(cluster).phase in (Phase.HIBERNATED, Phase.BROKEN)
        bench.driver(cluster).wake()
        assert bench.observe(cluster).phase is Phase.RUNNING

    assert cut_everywhere(lambda fence: bench.driver(cluster, fence).hibernate(), settle) >= 1


@pytest.mark.needs(capability=Hibernatable)
def test_waking_what_is_not_there(bench: Bench, cluster: Cluster) -> None:
    with pytest.raises(NotFound):
        bench.driver(bench.cluster("nobody")).wake()


@pytest.mark.needs(entry="break")
def test_a_broken_cluster_is_recognised_and_repaired(bench: Bench, cluster: Cluster) -> None:
    program = bench.path("break", cluster)
    before = bench.observe(cluster)
    kill(program)
    broken = bench.observe(cluster)
    assert broken.phase is Phase.BROKEN
    assert broken.version == before.version
    assert broken.detail
    bench.driver(cluster).create()
    assert bench.observe(cluster) == before


@pytest.mark.needs(capability=Snapshotable)
def test_a_snapshot_brings_deleted_objects_back(bench: Bench, cluster: Cluster, tmp_path: Path) -> None:
    base = f"/api/v1/namespaces/{NAMESPACE}"
    with bench.client(cluster) as client:
        _furnish(client)
        file = tmp_path / "snapshot.gz"
        bench.driver(cluster).snapshot(file)
        assert file.stat().st_mode & 0o777 == 0o600
        claim = client.get(f"{base}/persistentvolumeclaims/data")
        client.delete(f"/api/v1/namespaces/{NAMESPACE}")
        client.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/boats.example.com")
        client.delete("/apis/rbac.authorization.k8s.io/v1/clusterroles/sailor")
        eventually(lambda: _gone(client, f"/api/v1/namespaces/{NAMESPACE}"), "the end of the namespace", 120)
        eventually(lambda: _gone(client, "/apis/example.com/v1/boats"), "the end of the kind")
        client.create("/api/v1/namespaces", {"metadata": {"name": "came-later"}})

        bench.driver(cluster).restore(file)

        assert client.get(f"{base}/configmaps/settings")["data"] == {"sail": "up"}
        assert client.get(f"{base}/secrets/key")["data"] == {"word": "b2Fr"}
        assert client.get("/apis/example.com/v1/namespaces/work/boats/ketch")["spec"] == {"masts": 2}
        assert client.get(f"{base}/persistentvolumeclaims/data")["spec"]["resources"] == claim["spec"]["resources"]
        assert client.get(f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets/shop")
        assert client.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/sailor")
        assert client.get("/api/v1/namespaces/came-later")
        eventually(lambda: len(ready_pods(client, "shop")) == 4, "the workload")
        sets = client.list(f"/apis/apps/v1/namespaces/{NAMESPACE}/replicasets")
        deployment = client.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/shop")
        assert [each["metadata"]["ownerReferences"][0]["uid"] for each in sets] == [deployment["metadata"]["uid"]]
        child = client.get(f"{base}/configmaps/child")
        parent = client.get(f"{base}/configmaps/settings")
        assert child["metadata"]["ownerReferences"][0]["uid"] == parent["metadata"]["uid"]
        owners = {entry["manager"] for entry in child["metadata"]["managedFields"]}
        assert "the-deployer" in owners


@pytest.mark.needs(capability=Snapshotable)
def test_a_snapshot_sets_changed_objects_back_and_leaves_the_rest(
    bench: Bench, cluster: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "snapshot.gz"
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/settings"
    with bench.client(cluster) as client:
        bench.driver(cluster).snapshot(file)
        uids = {pod["metadata"]["uid"] for pod in pods(client, "shop")}
        client.patch(path, {"data": {"sail": "down", "added": "later"}})
        untouched = client.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/shop")["metadata"]["generation"]
        bench.driver(cluster).restore(file)
        assert client.get(path)["data"] == {"sail": "up"}
        deployment = client.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/shop")
        assert deployment["metadata"]["generation"] == untouched
        assert {pod["metadata"]["uid"] for pod in pods(client, "shop")} == uids


@pytest.mark.needs(capability=Snapshotable)
def test_a_restore_cut_off_at_every_change(bench: Bench, cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "snapshot.gz"
    base = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    bench.driver(cluster).snapshot(file)
    with bench.client(cluster) as client:

        def attempt(fence: Callable[[], None]) -> None:
            for name in ("settings", "child"):
                if not _gone(client, f"{base}/{name}"):
                    client.delete(f"{base}/{name}", propagation="Orphan")
            bench.driver(cluster, fence).restore(file)

        def settle() -> None:
            bench.driver(cluster).restore(file)
            owner = client.get(f"{base}/child")["metadata"]["ownerReferences"][0]["uid"]
            assert owner == client.get(f"{base}/settings")["metadata"]["uid"]

        assert cut_everywhere(attempt, settle) >= 2


@pytest.mark.needs(capability=Snapshotable)
@pytest.mark.parametrize(
    "content",
    [b"", b"not gzip", gzip.compress(b"{}\n", mtime=0), gzip.compress(b"[1]\n", mtime=0)],
    ids=["empty", "no gzip", "no object", "a list"],
)
def test_a_file_that_is_no_snapshot(bench: Bench, cluster: Cluster, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "no-snapshot"
    file.write_bytes(content)
    before = bench.observe(cluster)
    with pytest.raises(InvalidSpec, match="no-snapshot"):
        bench.driver(cluster).restore(file)
    with pytest.raises(InvalidSpec):
        bench.driver(cluster).restore(tmp_path / "missing")
    assert bench.observe(cluster) == before


@pytest.mark.needs(capability=Snapshotable)
def test_a_snapshot_cut_short_is_refused(bench: Bench, cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "snapshot.gz"
    bench.driver(cluster).snapshot(file)
    file.write_bytes(gzip.compress(b"\n".join(gzip.decompress(file.read_bytes()).splitlines()[:-1]) + b"\n"))
    with pytest.raises(InvalidSpec, match="promises"):
        bench.driver(cluster).restore(file)


def _gone(client: object, path: str) -> bool:
    try:
        client.get(path)  # type: ignore[attr-defined]
    except ApiNotFound:
        return True
    return False


def _furnish(client: object) -> None:
    """One object of each sort that a careless restore would lose or break."""
    create = client.create  # type: ignore[attr-defined]
    base = f"/api/v1/namespaces/{NAMESPACE}"
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    create(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        {
            "metadata": {"name": "boats.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {"plural": "boats", "singular": "boat", "kind": "Boat", "listKind": "BoatList"},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
            },
        },
    )
    eventually(lambda: not _gone(client, "/apis/example.com/v1/boats"), "the new kind")
    create(
        "/apis/example.com/v1/namespaces/work/boats",
        {"apiVersion": "example.com/v1", "kind": "Boat", "metadata": {"name": "ketch"}, "spec": {"masts": 2}},
    )
    parent = create(f"{base}/configmaps", {"metadata": {"name": "settings"}, "data": {"sail": "up"}})
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "settings", "uid": parent["metadata"]["uid"]}
    child = {"metadata": {"name": "child", "ownerReferences": [owner]}, "data": {"of": "settings"}}
    create(f"{base}/configmaps", child, fieldManager="the-deployer")
    create(f"{base}/secrets", {"metadata": {"name": "key"}, "data": {"word": "b2Fr"}})
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    create(f"{base}/persistentvolumeclaims", {"metadata": {"name": "data"}, "spec": claim})
    port = {"port": 80, "protocol": "TCP"}
    create(f"{base}/services", {"metadata": {"name": "shop"}, "spec": {"selector": {"app": "shop"}, "ports": [port]}})
    rule = {"apiGroups": ["example.com"], "resources": ["boats"], "verbs": ["get"]}
    create("/apis/rbac.authorization.k8s.io/v1/clusterroles", {"metadata": {"name": "sailor"}, "rules": [rule]})
