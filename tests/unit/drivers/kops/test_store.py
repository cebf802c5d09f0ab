"""A cluster's part of the state store, on the emulated account."""

import io
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from boatyard.aws.account import Account
from boatyard.drivers.kops.store import PLACEHOLDER, Record, Store, registered
from boatyard.errors import Permanent
from tests.unit.drivers.kops.conftest import BUCKET, NAME, Fence

NOW = datetime(2026, 11, 22, 16, 43, tzinfo=UTC)
Put = Callable[[str, str], None]
Documents = dict[str, dict[str, Any]]


@pytest.fixture
def store(account: Account, put: Put, documents: Documents, fence: Fence) -> Store:
    for key, document in documents.items():
        put(f"{NAME}/{key}", yaml.safe_dump(document))
    put(f"{NAME}/backups/etcd/main/2026-11-22T16:43:25Z-000001/etcd.backup.gz", "big")
    return Store(account, f"s3://{BUCKET}", NAME, fence=fence)


def test_neither_bucket_nor_cluster_is_an_empty_record(account: Account, put: Put) -> None:
    assert Store(account, "s3://no-such-bucket", NAME).read() == Record()
    assert Store(account, f"s3://{BUCKET}", "other.example.com").read() == Record()


def test_what_is_registered(store: Store, put: Put) -> None:
    record = store.read()
    assert (record.version, record.control_plane, record.pools) == ("1.35.5", ["control-plane-a"], ["web"])
    assert (record.applied, record.deleting, record.authority, record.kops) == (False, False, "", "")
    put(f"{NAME}/cluster-completed.spec", "whole")
    put(f"{NAME}/kops-version.txt", "1.36.2\n")
    put(f"{NAME}/pki/private/kubernetes-ca/keyset.yaml", "one")
    first = store.read()
    assert (first.applied, first.kops) == (True, "1.36.2")
    put(f"{NAME}/pki/private/kubernetes-ca/keyset.yaml", "another")
    assert store.read().authority not in ("", first.authority)


def test_the_group_that_stands_for_none_is_no_pool(store: Store, put: Put) -> None:
    put(f"{NAME}/instancegroup/none", yaml.safe_dump({"metadata": {"name": PLACEHOLDER}, "spec": {"role": "Node"}}))
    record = store.read()
    assert PLACEHOLDER in record.groups
    assert record.pools == ["web"]


def test_a_group_is_labelled_with_its_cluster_as_kops_does_it_when_it_reads(store: Store, put: Put) -> None:
    bare = {"metadata": {"name": "bare"}, "spec": {"role": "Node"}}
    put(f"{NAME}/instancegroup/bare", yaml.safe_dump(bare))
    assert store.read().groups["bare"]["metadata"] == {"name": "bare", "labels": {"kops.k8s.io/cluster": NAME}}


@pytest.mark.parametrize("text", ["a: [", "just words", "{}"])
def test_a_damaged_document_is_named(store: Store, put: Put, text: str) -> None:
    put(f"{NAME}/config", text)
    with pytest.raises(Permanent, match=f"{NAME}/config"):
        store.read()


def test_a_snapshot_brings_documents_back_and_takes_new_groups_away(store: Store, put: Put) -> None:
    before = store.read()
    snapshot = store.snapshot(NOW)
    assert snapshot == f"boatyard/{NAME}/snapshots/2026-11-22T16-43-00Z.tar.gz"
    put(f"{NAME}/config", yaml.safe_dump({"metadata": {"name": NAME}, "spec": {"kubernetesVersion": "1.36.1"}}))
    put(f"{NAME}/instancegroup/more", yaml.safe_dump({"metadata": {"name": "more"}, "spec": {"role": "Node"}}))
    assert store.read() != before
    store.put_back(snapshot)
    assert store.read() == before


def test_a_snapshot_leaves_etcds_backups_out_and_only_the_newest_are_kept(store: Store, account: Account) -> None:
    for minutes in range(25):
        store.snapshot(NOW + timedelta(minutes=minutes))
    kept = store.ours()
    assert len(kept) == 20
    assert kept[-1].endswith("17-07-00Z.tar.gz")
    body = account.client("s3").get_object(Bucket=BUCKET, Key=kept[-1])["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        names = archive.getnames()
    assert f"{NAME}/config" in names
    assert not [name for name in names if "backups" in name]


def test_forgetting_takes_ours_and_nothing_of_kops(store: Store, fence: Fence) -> None:
    store.mark_deleting()
    store.snapshot(NOW)
    assert store.read().deleting
    store.forget()
    assert store.read().deleting is False
    assert store.ours() == []
    assert store.read().version == "1.35.5"
    assert fence.calls == 3


def test_nothing_is_written_behind_the_fence(store: Store, fence: Fence) -> None:
    fence.closed = True
    for change in (store.mark_deleting, lambda: store.snapshot(NOW)):
        with pytest.raises(RuntimeError):
            change()
    assert store.ours() == []


@pytest.mark.parametrize("prefix", ["", "/teams/shop"])
def test_the_clusters_of_a_store(account: Account, put: Put, documents: Documents, prefix: str) -> None:
    below = f"{prefix.lstrip('/')}/".lstrip("/")
    for name in (NAME, "second.example.com"):
        put(f"{below}{name}/config", yaml.safe_dump(documents["config"]))
    put(f"{below}boatyard/{NAME}/deleting", "")
    put(f"{below}no-cluster/notes.txt", "")
    assert registered(account, f"s3://{BUCKET}{prefix}") == [NAME, "second.example.com"]
    assert Store(account, f"s3://{BUCKET}{prefix}", NAME).read().deleting
