"""What a snapshot keeps, in which order it comes back, and what is undone on the way: pure."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from boatyard.drivers.kwok import restore, snapshot
from boatyard.errors import InvalidSpec


def item(kind: str, name: str, *owners: str, **fields: Any) -> dict[str, Any]:
    references = [{"uid": owner, "controller": True} for owner in owners]
    metadata = {"name": name, "namespace": "work", "uid": name} | ({"ownerReferences": references} if owners else {})
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": {}} | fields


@pytest.mark.parametrize(
    ("kept", "thing"),
    [
        (True, item("Pod", "bare", status={"phase": "Running"})),
        (False, item("Pod", "owned", "rs", status={"phase": "Running"})),
        (False, item("Pod", "done", status={"phase": "Succeeded"})),
        (False, item("Job", "done", status={"conditions": [{"type": "Complete", "status": "True"}]})),
        (True, item("Job", "going", status={"conditions": []})),
        (False, item("ConfigMap", "kube-root-ca.crt")),
        (True, item("ConfigMap", "mine")),
        (True, item("Endpoints", "by-hand")),
        (False, item("Endpoints", "selected")),
    ],
)
def test_what_is_kept(kept: bool, thing: dict[str, Any]) -> None:
    assert snapshot._ephemeral(thing, {("work", "selected")}) is not kept


def test_owners_come_first_and_hooks_last() -> None:
    objects = [
        item("MutatingWebhookConfiguration", "hook"),
        item("Pod", "grandchild", "child"),
        item("ReplicaSet", "child", "parent"),
        item("Deployment", "parent"),
        item("Secret", "word"),
        item("Namespace", "work"),
    ]
    waves = [[each["metadata"]["name"] for each in wave] for wave in restore._waves(objects)]
    assert waves == [["work"], ["word"], ["parent"], ["child"], ["grandchild"], ["hook"]]


def test_owners_in_a_circle_come_to_an_end() -> None:
    objects = [item("Boat", "a", "b"), item("Boat", "b", "a")]
    assert [len(wave) for wave in restore._waves(objects)] == [2]


def test_a_pod_is_scheduled_anew() -> None:
    mount = {"name": "kube-api-access-x1", "mountPath": "/var/run"}
    pod = item("Pod", "p")
    pod["spec"] = {
        "nodeName": "gone",
        "volumes": [{"name": "kube-api-access-x1"}, {"name": "own"}],
        "containers": [{"name": "c", "volumeMounts": [mount, {"name": "own"}]}],
    }
    wanted = restore.prepared(pod, [])
    assert wanted["spec"] == {
        "volumes": [{"name": "own"}],
        "containers": [{"name": "c", "volumeMounts": [{"name": "own"}]}],
    }
    assert pod["spec"]["nodeName"] == "gone", "the snapshot itself is not changed"


def test_a_job_gets_a_new_selector() -> None:
    job = item("Job", "j")
    labels = {"controller-uid": "old", "job-name": "j"}
    job["spec"] = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": dict(labels)}}}
    assert restore.prepared(job, [])["spec"] == {"template": {"metadata": {"labels": {"job-name": "j"}}}}


def test_a_volume_waits_for_the_claim_of_that_name() -> None:
    volume = item("PersistentVolume", "v")
    volume["spec"] = {"claimRef": {"name": "data", "namespace": "work", "uid": "old", "resourceVersion": "1"}}
    assert restore.prepared(volume, [])["spec"]["claimRef"] == {"name": "data", "namespace": "work"}


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [{"format": "boatyard/snapshot-v9", "objects": 0}],
        [{"format": snapshot.FORMAT, "objects": 2}, item("ConfigMap", "one")],
        [{"format": snapshot.FORMAT, "objects": 1}, ["not an object"]],
        [{"format": snapshot.FORMAT, "objects": 1}, {"kind": "ConfigMap"}],
    ],
)
def test_a_file_that_is_no_whole_snapshot(tmp_path: Path, lines: list[Any]) -> None:
    file = tmp_path / "it.gz"
    file.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    with pytest.raises(InvalidSpec, match=r"it\.gz"):
        snapshot.read(file)


def test_a_folder_is_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec):
        snapshot.read(tmp_path)
