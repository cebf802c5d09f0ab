"""A cluster's etcd is backed up into its state store, and goes back to a backup as etcd-manager does it."""

import gzip
import json
import time
from collections.abc import Iterator

import pytest

from boatyard.errors import Permanent
from boatyard.kube.client import ApiNotFound, Client
from boatyard.sandbox.aws import Sandbox
from boatyard.sandbox.aws.etcd import keys_of
from boatyard.settings import Settings
from boatyard.tools import Toolbox
from tests.unit.sandbox.kops import STORE, KopsCluster, until

pytestmark = pytest.mark.twin

MAPS = "/api/v1/namespaces/default/configmaps"
SPEC = b'{\n  "memberCount": 1,\n  "etcdVersion": "3.6.6"\n}'
"""As kOps writes it."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KopsCluster]:
    with Sandbox.start(tmp_path_factory.mktemp("sandbox"), Toolbox(Settings.load().cache)) as sandbox:
        cluster = KopsCluster(sandbox, "kept.example.com")
        cluster.put("config", b"spec: {}\n")
        for etcd in ("main", "events"):
            cluster.put(f"backups/etcd/{etcd}/control/etcd-cluster-spec", SPEC)
        cluster.until("the cluster", cluster.follows)
        yield cluster


def below(cluster: KopsCluster, folder: str) -> list[str]:
    """Keys of the state store, from the folder on."""
    prefix = f"{cluster.name}/backups/etcd/{folder}/"
    found = cluster.s3.list_objects_v2(Bucket=STORE, Prefix=prefix).get("Contents") or []
    return [each["Key"].removeprefix(prefix) for each in found]


def read(cluster: KopsCluster, path: str) -> bytes:
    found: bytes = cluster.s3.get_object(Bucket=STORE, Key=f"{cluster.name}/backups/etcd/{path}")["Body"].read()
    return found


def backups(cluster: KopsCluster, etcd: str = "main") -> list[str]:
    """Names of those that are whole, the newest last: `etcd-manager-ctl list-backups`."""
    return sorted(key.partition("/")[0] for key in below(cluster, etcd) if key.endswith("/_etcd_backup.meta"))


def write(client: Client, name: str) -> None:
    client.create(MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"of": name}})


def there(client: Client, name: str) -> bool:
    try:
        return bool(client.get(f"{MAPS}/{name}")["data"] == {"of": name})
    except ApiNotFound:
        return False


def replaced(cluster: KopsCluster, number: int) -> None:
    """Another control-plane machine, and so another etcd-manager, whose first deed is a backup."""
    cluster.replace("control-plane")
    until("a backup of the new machine's", lambda: len(backups(cluster)) == number)
    cluster.until("the cluster", cluster.follows)


def restore(cluster: KopsCluster, etcd: str, backup: str) -> None:
    """`etcd-manager-ctl --backup-store=…/ETCD restore-backup BACKUP`."""
    spec = json.loads(read(cluster, f"{etcd}/control/etcd-cluster-spec"))
    command = {"timestamp": str(time.time_ns()), "restoreBackup": {"clusterSpec": spec, "backup": backup}}
    name = f"backups/etcd/{etcd}/control/2026-11-22T17:00:00Z-000000/_command.json"
    cluster.put(name, json.dumps(command).encode())


def test_both_etcds_have_a_backup_in_etcd_managers_layout(cluster: KopsCluster) -> None:
    until("backups", lambda: backups(cluster) and backups(cluster, "events"))
    (name,) = backups(cluster)
    meta = json.loads(read(cluster, f"main/{name}/_etcd_backup.meta"))
    assert meta["clusterSpec"] == {"memberCount": 1, "etcdVersion": meta["etcdVersion"]}
    assert meta["etcdVersion"].startswith("3.")
    keys = keys_of(gzip.decompress(read(cluster, f"main/{name}/etcd.backup.gz")))
    assert b"/registry/namespaces/default" in keys


def test_what_kops_wrote_for_etcd_manager_stays_as_it_is(cluster: KopsCluster) -> None:
    """Else kOps would find something to modify after each backup."""
    until("backups", lambda: backups(cluster) and backups(cluster, "events"))
    assert [read(cluster, f"{etcd}/control/etcd-cluster-spec") for etcd in ("main", "events")] == [SPEC, SPEC]


def test_what_a_backup_holds_comes_back_and_what_came_later_does_not(cluster: KopsCluster) -> None:
    with cluster.client() as client:
        write(client, "before")
    replaced(cluster, 2)
    wanted = backups(cluster)[-1]
    with cluster.client() as client:
        write(client, "later")
        client.delete(f"{MAPS}/before")
    for etcd in ("main", "events"):
        restore(cluster, etcd, wanted)
    with cluster.client() as client:
        assert there(client, "later"), "a wish alone changes nothing"
    replaced(cluster, 3)
    with cluster.client() as client:
        assert there(client, "before")
        assert not there(client, "later")
        write(client, "new")
        names = {node["metadata"]["name"] for node in client.list("/api/v1/nodes")}
    assert names == {each for group in cluster.templates for each in cluster.instances(group)}
    assert [key for key in below(cluster, "main") if key.endswith("_command.json")] == []


def test_a_backup_that_is_not_there_stops_nothing(cluster: KopsCluster) -> None:
    restore(cluster, "main", "2020-01-01T00:00:00Z-000001")
    replaced(cluster, 4)
    with cluster.client() as client:
        assert there(client, "before")


@pytest.mark.parametrize("data", [b"", b"x" * 4096, b"\0" * 8192])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(Permanent, match="no snapshot of etcd"):
        keys_of(data)


def test_a_real_snapshot_cut_off_is_refused(cluster: KopsCluster) -> None:
    data = gzip.decompress(read(cluster, f"main/{backups(cluster)[0]}/etcd.backup.gz"))
    with pytest.raises(Permanent):
        keys_of(data[: len(data) // 8])
