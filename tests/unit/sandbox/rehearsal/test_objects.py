"""Which objects go onto a twin, and what of them stays behind."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatyard.drivers.kwok import nodes as kwok_nodes
from boatyard.drivers.kwok.shapes import shape_of, shaped
from boatyard.sandbox.rehearsal import objects, shapes
from boatyard.sandbox.rehearsal.blank import PLACEHOLDER, blanked
from boatyard.sandbox.rehearsal.budgets import sick, uncountable
from boatyard.sandbox.rehearsal.report import Hold
from boatyard.sandbox.rehearsal.source import _writers
from boatyard.sandbox.rehearsal.workloads import STANDS_IN, census, place, workload
from boatyard.spec.models import Pool
from tests.unit.sandbox.rehearsal.documents import budget, obj, pod, unscheduled

Json = dict[str, Any]
KEYS = st.text("abcdefghij.-", min_size=1, max_size=8)
VALUES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=12, max_size=40)


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.dictionaries(KEYS, VALUES, max_size=3))
def test_nothing_of_a_secrets_values_is_left_and_all_of_its_keys(data: dict[str, str], plain: dict[str, str]) -> None:
    coded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": coded}), "kept": "yes"}
    item = obj("Secret", "s", metadata={"annotations": applied}, data=coded, stringData=plain, type="Opaque")

    found = blanked(item)

    assert set(found.get("data") or {}) == set(data) | set(plain)
    text = json.dumps(found)
    assert not [value for value in (*coded.values(), *data.values(), *plain.values()) if value in text]
    assert found["metadata"]["annotations"] == {"kept": "yes"}
    assert found["type"] == "Opaque"
    assert item["data"] == coded


def test_a_pull_secret_stays_readable_and_other_objects_stay_as_they_are() -> None:
    pull = blanked(obj("Secret", "p", type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": "c2VjcmV0"}))
    assert base64.b64decode(pull["data"][".dockerconfigjson"]) == b"{}"
    settings = obj("ConfigMap", "c", data={"key": "value"})
    assert blanked(settings) is settings
    assert base64.b64decode(blanked(obj("Secret", "s", data={"a": "eA=="}))["data"]["a"]).decode() == PLACEHOLDER


@pytest.mark.parametrize(
    ("item", "anew"),
    [
        (obj("ReplicaSet", "web", api="apps/v1", owner="Deployment"), True),
        (obj("Job", "nightly-1", api="batch/v1", owner="CronJob"), True),
        (obj("ControllerRevision", "store", api="apps/v1", owner="StatefulSet"), True),
        (obj("PersistentVolumeClaim", "data-store-0", owner="StatefulSet"), False),
        (obj("Deployment", "main", api="apps/v1", owner="Database"), False),
        (obj("Pod", "lonely"), False),
        (obj("Service", "kubernetes", "default"), True),
        (obj("Service", "kubernetes", "team"), False),
        (obj("APIService", "v1.metrics.k8s.io", "", api="apiregistration.k8s.io/v1"), True),
        (obj("CertificateSigningRequest", "csr-1", "", api="certificates.k8s.io/v1"), True),
    ],
)
def test_what_controllers_make_is_left_to_them(item: Json, anew: bool) -> None:
    assert objects.made_anew(item) is anew


def test_objects_lose_their_identity_and_what_would_wait_for_somebody_elsewhere() -> None:
    metadata = {"finalizers": ["example.com/wait"], "managedFields": [{}], "resourceVersion": "7", "labels": {"a": "b"}}
    sent = objects.for_twin(obj("Deployment", "main", api="apps/v1", owner="Database", metadata=metadata, spec={}))
    assert sent["metadata"] == {"name": "main", "namespace": "team", "labels": {"a": "b"}}


def test_a_service_keeps_being_headless_and_gives_its_addresses_back() -> None:
    spec = {"clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"], "ipFamilies": ["IPv6"], "ports": [{"port": 80}]}
    assert objects.for_twin(obj("Service", "web", spec=spec))["spec"] == {"ports": [{"port": 80}]}
    assert objects.for_twin(obj("Service", "web", spec=spec | {"clusterIP": "None"}))["spec"]["clusterIP"] == "None"


def test_webhooks_are_there_and_match_nothing_and_conversion_calls_nobody() -> None:
    hooks = obj(
        "MutatingWebhookConfiguration",
        "closed",
        "",
        api="admissionregistration.k8s.io/v1",
        webhooks=[{"name": "a.example.com", "failurePolicy": "Fail"}],
    )
    (hook,) = objects.for_twin(hooks)["webhooks"]
    assert hook["failurePolicy"] == "Ignore"
    assert hook["objectSelector"]["matchExpressions"][0]["operator"] == "Exists"
    conversion = {"strategy": "Webhook", "webhook": {"clientConfig": {}}}
    defined = obj("CustomResourceDefinition", "d", "", api="apiextensions.k8s.io/v1", spec={"conversion": conversion})
    assert objects.for_twin(defined)["spec"]["conversion"] == {"strategy": "None"}
    assert objects.for_twin(obj("CronJob", "c", api="batch/v1", spec={"schedule": "x"}))["spec"]["suspend"] is True


def test_a_pod_of_an_operator_gets_a_stand_in_that_budgets_and_reports_know() -> None:
    there = pod("main-0", owner="Database", app="database")
    assert objects.stranded(there)
    assert not objects.stranded(pod("web-1", owner="ReplicaSet"))
    assert not objects.stranded(pod("kube-proxy", owner="Node"))
    made = objects.stand_in(there, {})
    template = made["spec"]["template"]
    assert made["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert template["metadata"]["labels"]["app"] == "database"
    assert "nodeName" not in template["spec"]
    again = pod("main-0-abcde", owner="ReplicaSet")
    again["metadata"]["ownerReferences"][0]["name"] = made["metadata"]["name"]
    assert workload(again, {place(made): made}) == workload(there, {}) == "Database team/main-0"
    assert made["metadata"]["annotations"][STANDS_IN] == "Database team/main-0"


def test_workloads_are_counted_by_what_they_belong_to() -> None:
    replica_set = obj("ReplicaSet", "web", api="apps/v1", owner="Deployment")
    finished = pod("done", owner="ReplicaSet")
    finished["status"]["phase"] = "Succeeded"
    pods = [
        pod("web", owner="ReplicaSet"),
        pod("web", owner="ReplicaSet", node=""),
        pod("lonely"),
        unscheduled("big", "0/3 nodes are available: 3 Insufficient cpu."),
        pod("job", owner="Job"),
        finished,
    ]
    found = census(pods, {place(replica_set): replica_set})
    assert dict(found.bound) == {"Deployment team/web": 1, "Pod team/lonely": 1}
    assert dict(found.pending) == {"Deployment team/web": 1, "Pod team/big": 1}


def test_the_twin_serves_the_betas_that_the_cluster_serves_itself() -> None:
    served = [
        "v1",
        "apps/v1",
        "storage.k8s.io/v1beta1",
        "example.com/v1beta1",
        "metrics.k8s.io/v1beta1",
        "cloud.k8s.io/v1alpha1",
    ]
    assert objects.beta_apis(served, ["example.com", "metrics.k8s.io"]) == {"storage.k8s.io/v1beta1": True}


def test_who_wrote_an_object_in_which_version() -> None:
    fields = [
        {"manager": "kubectl", "apiVersion": "x/v1beta1"},
        {"manager": "helm", "apiVersion": "x/v1beta1"},
        {"manager": "kubectl", "apiVersion": "x/v1"},
        {"manager": "controller", "apiVersion": "x/v1alpha1", "subresource": "status"},
    ]
    assert _writers(obj("X", "x", metadata={"managedFields": fields})) == {
        "x/v1beta1": ("kubectl", "helm"),
        "x/v1": ("kubectl",),
    }


def test_a_budget_whose_pods_cannot_be_counted_is_told_by_the_clusters_own_word() -> None:
    stuck = budget("database", allowed=0, healthy=0, desired=0, expected=0)
    stuck["status"]["conditions"] = [{"type": "DisruptionAllowed", "reason": "SyncFailed", "message": "no scale."}]
    (found,) = uncountable([stuck], [pod("main-0", owner="Database", app="database")], {})
    assert (found.name, found.for_ever, found.owners) == ("database", True, ("Database team/main-0",))
    assert found.why.endswith("no scale")
    assert uncountable([stuck], [pod("main-0", owner="Database", app="other")], {}) == []


def source_node(**labels: str) -> Json:
    return {
        "metadata": {"name": "ip-10-0-0-1", "uid": "u1", "labels": {"kubernetes.io/hostname": "ip-10-0-0-1", **labels}},
        "spec": {
            "taints": [
                {"key": "batch", "value": "true", "effect": "NoSchedule"},
                {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"},
            ],
            "unschedulable": True,
        },
        "status": {
            "capacity": {"cpu": "4", "memory": "16Gi", "pods": "58"},
            "allocatable": {"cpu": "3920m", "memory": "15Gi", "pods": "58"},
            "nodeInfo": {"kubeletVersion": "v1.34.5"},
        },
    }


def test_a_node_keeps_its_shape_also_through_the_one_that_takes_its_place() -> None:
    zone = {"topology.kubernetes.io/zone": "eu-central-1b", "node.kubernetes.io/instance-type": "m6i.xlarge"}
    pool = Pool(name="batch", labels={"team": "data"}, taints=("batch=true:NoSchedule",))
    made = shapes.twin_node(source_node(**zone), pool, "rehearsal-shop")
    record = shapes.record(pool, "1.35")
    successor = shaped(
        kwok_nodes.build("rehearsal-shop", "batch", record, "batch-001", 1, replaces="u1"), shape_of(made)
    )

    for node, name, version in ((made, "ip-10-0-0-1", "v1.34.0"), (successor, "batch-001", "v1.35.0")):
        assert node["status"]["allocatable"] == {"cpu": "3920m", "memory": "15Gi", "pods": "58"}
        assert zone.items() <= node["metadata"]["labels"].items()
        assert node["metadata"]["labels"][kwok_nodes.HOSTNAME] == name
        assert node["metadata"]["labels"][kwok_nodes.POOL] == "batch"
        assert node["spec"]["taints"] == [{"key": "batch", "value": "true", "effect": "NoSchedule"}]
        assert node["status"]["nodeInfo"]["kubeletVersion"] == version
        assert kwok_nodes.our_labels(node) == {"team": "data"}
    assert made["spec"]["unschedulable"]
    assert "unschedulable" not in successor["spec"]


def test_a_node_of_no_pool_is_in_none_on_the_twin() -> None:
    made = shapes.twin_node(source_node(), None, "rehearsal-shop")
    assert kwok_nodes.pool_of(made) == ""


def test_pools_on_the_twin_have_the_nodes_there_are() -> None:
    pools = (Pool(name="web", size="m6i.large", min=1, max=9), Pool(name="idle", min=0))
    web, idle = shapes.twin_pools(pools, {"web": [source_node()] * 3})
    assert (web.size, web.min, web.upper) == (None, 3, 9)
    assert (idle.min, idle.upper) == (0, 0)


def test_a_budget_with_pods_that_are_not_ready_allows_no_more_on_the_twin_where_all_are() -> None:
    document = budget("a", allowed=0, healthy=2, desired=2, expected=3)
    document["spec"] = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "a"}}}
    unready = pod("a-3", ready=False, app="a")
    leaving = pod("a-4", ready=False, app="a")
    leaving["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    others = [pod("a-5", node="", ready=False, app="a"), pod("b-1", ready=False, app="b")]

    found = sick([document, budget("b", allowed=1, healthy=1, desired=0, expected=1)], [unready, leaving, *others])

    ill = found["team", "a"]
    assert found["team", "b"].count == 1
    assert ill.tightened(document)["spec"] == {"minAvailable": 3, "selector": {"matchLabels": {"app": "a"}}}
    held = Hold(namespace="team", name="a", rule="minAvailable 3", seconds=10, for_ever=True, why="on the twin")
    told = ill.told(held)
    assert (told.rule, told.why) == (
        "maxUnavailable 1",
        "2 of its 3 pods are ready in the cluster, 2 must stay (maxUnavailable 1)",
    )
    assert ill.told(held.model_copy(update={"for_ever": False, "why": ""})).why == ""
