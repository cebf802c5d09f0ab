"""An upgrade is rehearsed on a twin: the report names what is wrong and nothing else, and the cluster is only read."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from prefect import flow

from boatyard.errors import Unsafe
from boatyard.kube.client import STRATEGIC_PATCH, Client
from boatyard.sandbox.rehearsal.blank import PLACEHOLDER
from boatyard.sandbox.rehearsal.report import Report
from boatyard.spec.models import Cluster
from flows.cleanup_idle import cleanup_idle
from flows.rehearse import rehearse_upgrade
from tasks.rehearsal import require_rehearsed
from tasks.yard import operate
from tests.faults.harness import Flow, House, running_below, until
from tests.flows import rehearsed

pytestmark = [pytest.mark.twin, pytest.mark.server]

TWIN = "rehearsal-shop"
RESTLESS = {"Event", "Lease", "ComponentStatus"}


@pytest.fixture(scope="module")
def shop(house: House) -> Iterator[Cluster]:
    """A cluster with 500 objects of ours on it, at rest."""
    made = house.spec(
        "shop",
        apps=False,
        version="1.33",
        provider={"kind": "kwok", "audit": True, "runtime_config": {rehearsed.BETA: True}},
        pools=[
            {"name": "web", "min": 3, "max": 4, "labels": {"tier": "web"}},
            {"name": "batch", "min": 1, "taints": ["batch=true:NoSchedule"]},
        ],
    )
    house.set_up(made)
    with house.client(made) as client:
        few = list(rehearsed.objects())
        for item in few:
            create(client, item)
        rehearsed.operated(client)
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(lambda item: create(client, item), rehearsed.many(rehearsed.OBJECTS - len(few) - 4)))
        until(lambda: at_rest(client), "pods of the cluster")
    return made


def create(client: Client, item: dict[str, Any]) -> None:
    client.create(client.path_of(item).rpartition("/")[0], item, fieldManager="kubectl")


def at_rest(client: Client) -> bool:
    """All pods run, and all budgets have counted them."""
    pods = client.list("/api/v1/pods")
    budgets = client.list("/apis/policy/v1/poddisruptionbudgets")
    ready = [any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"]["conditions"]) for pod in pods]
    return (
        len(pods) == 50
        and all(ready)
        and all(each["status"].get("currentHealthy") == each["status"].get("expectedPods") == 2 for each in budgets)
    )


def versions(client: Client) -> dict[tuple[str, ...], str]:
    """The resourceVersion of every object there is; of a node, whose kubelet reports all the time, what it is to be."""
    found = {}
    for resource in client.discovery.all():
        if "list" in resource.verbs and resource.kind not in RESTLESS:
            for item in client.list(resource.path()):
                metadata = item["metadata"]
                if resource.kind == "Node":
                    shown = {key: metadata[key] for key in ("uid", "labels", "annotations")} | item["spec"]
                    version = json.dumps(shown, sort_keys=True)
                else:
                    version = metadata["resourceVersion"]
                found[resource.api_version, resource.kind, metadata.get("namespace", ""), metadata["name"]] = version
    return found


def audited(house: House, since: int) -> list[dict[str, Any]]:
    """Requests to the cluster's API server, but for those of its components, which run here as its administrator."""
    lines = (house.home / "kwok/clusters/shop/logs/audit.log").read_text().splitlines()[since:]
    own = ("kube-", "kwok-controller/")
    return [each for each in map(json.loads, lines) if not each["userAgent"].startswith(own)]


def requests_so_far(house: House) -> int:
    return len((house.home / "kwok/clusters/shop/logs/audit.log").read_text().splitlines())


def left(house: House) -> list[str]:
    """Whatever there is of a twin: processes and files."""
    files = [str(path) for path in house.home.rglob(f"*{TWIN}*")]
    return files + running_below(house.home / "kwok/clusters" / TWIN)


def blocking(report: Report) -> dict[str, set[tuple[str, ...]]]:
    """Everything that a report says stands in the way."""
    return {
        "objects": {(each.kind, each.name, each.api_version, str(each.replacement)) for each in report.unloadable},
        "budgets": {(each.namespace, each.name, *each.owners) for each in report.holds if each.for_ever},
        "pending": {(each.workload,) for each in report.waiting if each.at_the_end},
        "failed": {(step.what, step.error) for step in report.steps if step.error},
    }


def test_exactly_what_is_wrong_is_named_and_the_cluster_is_only_read(house: House, shop: Cluster) -> None:
    with house.client(shop) as client:
        before, since = versions(client), requests_so_far(house)

        report = rehearse_upgrade("shop", "1.34")

        asked = audited(house, since)
        assert versions(client) == before
    assert {each["verb"] for each in asked} <= {"get", "list", "watch"}
    ours = [each for each in asked if each["userAgent"] == "boatyard-rehearsal"]
    assert {"secrets", "validatingadmissionpolicies"} <= {each.get("objectRef", {}).get("resource") for each in ours}
    assert [(each.what, each.known) for each in report.left_out] == [("4 validations", False)]
    assert blocking(report) == {
        "objects": {
            (kind, name, rehearsed.BETA, "admissionregistration.k8s.io/v1")
            for kind, name in (
                ("ValidatingAdmissionPolicy", "few-replicas"),
                ("ValidatingAdmissionPolicy", "named-owners"),
                ("ValidatingAdmissionPolicyBinding", "few-replicas"),
            )
        },
        "budgets": {("team-0", "stubborn", "Deployment team-0/stubborn")},
        "pending": set(),
        "failed": set(),
    }
    assert {each.written_by for each in report.unloadable} == {("kubectl",)}
    assert len(report.blockers) == 4
    assert report.objects >= rehearsed.OBJECTS
    assert (report.nodes, report.pods) == (4, 50)
    assert [step.what for step in report.steps] == [
        "upgrade control plane shop",
        "upgrade pool web",
        "upgrade pool batch",
    ]
    assert {each.pool for each in report.drained} == {"web", "batch"}
    assert len(report.drained) == 4
    assert report.gone == ("Pod team-3/lonely",)
    assert not [note for note in report.notes if "could not" in note], report.notes
    assert left(house) == []
    kept = house.yard.store.rehearsals.last("shop", "1.34")
    assert kept is not None
    assert Report.model_validate(kept.report) == report


@flow
def begin_upgrade() -> None:
    """What the upgrade's flow does before its first step."""
    with operate("shop", "upgrade") as op, op.wanting(op.at_version("1.34")):
        require_rehearsed("1.34")


def test_a_policy_makes_the_rehearsal_a_gate(house: House, shop: Cluster) -> None:
    begin_upgrade()
    strict = shop.model_copy(update={"policy": shop.policy.model_validate({"upgrade": {"rehearse": True}})})
    house.yard.store.clusters.put(strict.model_dump(mode="json"))
    with pytest.raises(Unsafe, match=r"the last rehearsal to 1\.34 found: ValidatingAdmissionPolicy few-replicas"):
        begin_upgrade()
    house.yard.store.clusters.put(shop.model_dump(mode="json"))


def test_a_killed_rehearsal_leaves_no_secret_and_nothing_after_the_next_one(house: House, shop: Cluster) -> None:
    """The next one rehearses the mended cluster, with one workload that can only run on a node that goes, and another
    of whose pods one does not come up, so that its budget has no room."""
    killed = house.begin("flows.rehearse:rehearse_upgrade", name="shop", to="1.34")
    until(lambda: "objects are on the twin" in said(killed), "a loaded twin", 120)
    killed.kill()
    assert len(running_below(house.home / "kwok/clusters" / TWIN)) == 5
    assert on_disk(house.home / "kwok/clusters" / TWIN, PLACEHOLDER)
    assert not on_disk(house.home / "kwok/clusters" / TWIN, rehearsed.SECRET)

    with house.client(shop) as client:
        policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
        for path in (f"{policies}/few-replicas", f"{policies}/named-owners", f"{policies[:-3]}ybindings/few-replicas"):
            client.delete(path)
        client.delete("/apis/policy/v1/namespaces/team-0/poddisruptionbudgets/stubborn")
        pinned = rehearsed.deployment("pinned", "team-0", 1, nodeSelector={"kubernetes.io/hostname": "web-001"})
        create(client, pinned)
        create(client, rehearsed.deployment("sick", "team-0", 3))
        create(client, rehearsed.budget("sick", "team-0", maxUnavailable=1))
        until(lambda: len(client.list("/api/v1/pods", fieldSelector="status.phase=Running")) == 54, "four more pods")
        (one, *_) = client.list("/api/v1/namespaces/team-0/pods", labelSelector="app=sick")
        body = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
        client.patch(f"{client.path_of(one)}/status", body, STRATEGIC_PATCH)
    report = rehearse_upgrade("shop", "1.34")

    assert left(house) == []
    assert blocking(report) == {
        "objects": set(),
        "budgets": {("team-0", "sick", "Deployment team-0/sick")},
        "pending": {("Deployment team-0/pinned",)},
        "failed": set(),
    }
    (pending,) = [each for each in report.waiting if each.at_the_end]
    (sick,) = [each for each in report.holds if each.for_ever]
    assert sick.why == "2 of its 3 pods are ready in the cluster, 2 must stay (maxUnavailable 1)"
    assert "didn't match Pod's node affinity/selector" in pending.reason


def test_clean_up_removes_the_twin_of_a_killed_rehearsal(house: House, shop: Cluster) -> None:
    killed = house.begin("flows.rehearse:rehearse_upgrade", name="shop", to="1.34")
    until(lambda: running_below(house.home / "kwok/clusters" / TWIN), "a twin's first process", 120)
    killed.kill()
    cleanup_idle([])
    assert left(house) == []
    house.is_free(TWIN)


def said(run: Flow) -> str:
    """What a flow has logged by now."""
    return run.log if (run.out / "log").exists() else ""


def on_disk(folder: Path, text: str) -> list[str]:
    """Files that hold the text."""
    wanted = text.encode()
    return [str(path) for path in folder.rglob("*") if path.is_file() and wanted in path.read_bytes()]
