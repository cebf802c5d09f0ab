"""The rule of each kind: ready, waiting or failed, from the object alone."""

import pytest

from boatyard.kube.diagnose import pod_causes
from boatyard.kube.readiness import status


def obj(kind, spec=None, state=None, *, generation=2, **metadata):
    version = {
        "Deployment": "apps/v1",
        "StatefulSet": "apps/v1",
        "DaemonSet": "apps/v1",
        "ReplicaSet": "apps/v1",
        "Job": "batch/v1",
        "CustomResourceDefinition": "apiextensions.k8s.io/v1",
        "APIService": "apiregistration.k8s.io/v1",
        "Widget": "example.com/v1",
    }.get(kind, "v1")
    metadata = {"name": "x", "generation": generation, **metadata}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec or {}, "status": state or {}}


def has(kind, value="True", **more):
    return {"conditions": [{"type": kind, "status": value, **more}]}


SEEN = {"observedGeneration": 2}
ROLLED = {**SEEN, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}
SET = {**SEEN, "readyReplicas": 3, "updatedReplicas": 3, "currentRevision": "a", "updateRevision": "a"}
DAEMONS = {**SEEN, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}

CASES = [
    ("deployment rolled out", obj("Deployment", {"replicas": 3}, ROLLED), "ready", ""),
    ("deployment unseen", obj("Deployment", {"replicas": 3}, {**ROLLED, "observedGeneration": 1}), "waiting", "newest"),
    ("deployment new", obj("Deployment", {}, {}), "waiting", "newest"),
    (
        "deployment half",
        obj("Deployment", {"replicas": 3}, {**ROLLED, "updatedReplicas": 1}),
        "waiting",
        "1 of 3 pods upd",
    ),
    (
        "deployment with old pods",
        obj("Deployment", {"replicas": 3}, {**ROLLED, "replicas": 4}),
        "waiting",
        "1 old pods",
    ),
    (
        "deployment unavailable",
        obj("Deployment", {"replicas": 3}, {**ROLLED, "availableReplicas": 2}),
        "waiting",
        "2 of 3",
    ),
    ("deployment of none", obj("Deployment", {"replicas": 0}, SEEN), "ready", ""),
    ("set ready", obj("StatefulSet", {"replicas": 3}, SET), "ready", ""),
    (
        "set rolling",
        obj("StatefulSet", {"replicas": 3}, {**SET, "updatedReplicas": 1}),
        "waiting",
        "1 of 3 pods updated",
    ),
    ("set unready", obj("StatefulSet", {"replicas": 3}, {**SET, "readyReplicas": 0}), "waiting", "0 of 3 pods ready"),
    (
        "set with partition",
        obj(
            "StatefulSet",
            {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
            {**SET, "updatedReplicas": 1, "updateRevision": "b"},
        ),
        "ready",
        "",
    ),
    ("daemons ready", obj("DaemonSet", {}, DAEMONS), "ready", ""),
    ("daemons without nodes", obj("DaemonSet", {}, SEEN), "ready", ""),
    (
        "daemons rolling",
        obj("DaemonSet", {}, {**DAEMONS, "updatedNumberScheduled": 1}),
        "waiting",
        "1 of 2 pods updated",
    ),
    ("daemons unavailable", obj("DaemonSet", {}, {**DAEMONS, "numberAvailable": 0}), "waiting", "0 of 2"),
    ("replica set", obj("ReplicaSet", {"replicas": 1}, {**SEEN, "availableReplicas": 1}), "ready", ""),
    ("pod ready", obj("Pod", {}, {"phase": "Running", **has("Ready")}), "ready", ""),
    ("pod done", obj("Pod", {}, {"phase": "Succeeded"}), "ready", ""),
    ("pod failed", obj("Pod", {}, {"phase": "Failed", "reason": "Evicted"}), "failed", "Evicted"),
    ("pod without node", obj("Pod", {}, {"phase": "Pending", **has("PodScheduled", "False")}), "waiting", "no node"),
    ("pod unready", obj("Pod", {}, {"phase": "Running", **has("Ready", "False")}), "waiting", "not ready"),
    ("job done", obj("Job", {"completions": 1}, has("Complete")), "ready", ""),
    ("job failed", obj("Job", {}, has("Failed", message="too often")), "failed", "too often"),
    ("job at work", obj("Job", {"completions": 3}, {"succeeded": 1}), "waiting", "1 of 3"),
    ("service", obj("Service", {"type": "ClusterIP"}), "ready", ""),
    ("balancer without address", obj("Service", {"type": "LoadBalancer"}), "waiting", "no load balancer"),
    (
        "balancer with address",
        obj("Service", {"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}),
        "ready",
        "",
    ),
    ("claim bound", obj("PersistentVolumeClaim", {}, {"phase": "Bound"}), "ready", ""),
    ("claim pending", obj("PersistentVolumeClaim", {}, {"phase": "Pending"}), "waiting", "no volume"),
    ("claim lost", obj("PersistentVolumeClaim", {}, {"phase": "Lost"}), "failed", "lost"),
    ("namespace", obj("Namespace", {}, {"phase": "Active"}), "ready", ""),
    ("namespace going", obj("Namespace", {}, {"phase": "Active"}, deletionTimestamp="now"), "waiting", "deleted"),
    ("definition served", obj("CustomResourceDefinition", {}, has("Established")), "ready", ""),
    ("definition new", obj("CustomResourceDefinition"), "waiting", "not served"),
    ("definition that clashes", obj("CustomResourceDefinition", {}, has("NamesAccepted", "False")), "failed", "clash"),
    (
        "api service down",
        obj("APIService", {}, has("Available", "False", message="no endpoints")),
        "waiting",
        "no endp",
    ),
    ("config map", obj("ConfigMap"), "ready", ""),
    ("own kind without status", obj("Widget"), "ready", ""),
    ("own kind ready", obj("Widget", {}, {**SEEN, **has("Ready")}), "ready", ""),
    ("own kind unready", obj("Widget", {}, has("Ready", "False", message="soon")), "waiting", "soon"),
    ("own kind unseen", obj("Widget", {}, {"observedGeneration": 1, **has("Ready")}), "waiting", "newest"),
    ("own kind with a word for status", obj("Widget", {}, "fine"), "ready", ""),
    ("own kind with conditions of its own form", obj("Widget", {}, {"conditions": {"Ready": "x"}}), "ready", ""),
    ("own kind with a list of words", obj("Widget", {}, {"conditions": ["Ready"]}), "ready", ""),
    ("own kind with a hash", obj("Widget", {}, {"observedGeneration": "a1", **has("Ready")}), "ready", ""),
    ("own kind stalled", obj("Widget", {}, has("Stalled", message="bad image")), "failed", "bad image"),
]


@pytest.mark.parametrize(("document", "state", "reason"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_status(document, state, reason):
    now = status(document)
    assert now.state == state
    assert reason in now.reason
    assert bool(now) is (state == "ready")


def pod(uid="1", **state):
    return {"metadata": {"name": "p", "uid": uid}, "status": state}


def container(**state):
    return {"name": "app", "image": "shop:1", **state}


def warning(uid, reason, message):
    return {"involvedObject": {"uid": uid}, "reason": reason, "message": message, "metadata": {}}


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        (
            {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling"}},
            "image shop:1 of app cannot be pulled",
        ),
        (
            {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "s" not found'}},
            'secret "s" not found',
        ),
        ({"running": {}}, "its probe fails: HTTP 500"),
        ({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, "OOMKilled, exit code 137"),
    ],
)
def test_causes_from_containers(state, cause):
    events = [warning("1", "Unhealthy", "HTTP 500"), warning("2", "Unhealthy", "of another pod")]
    found = pod_causes([pod(phase="Running", containerStatuses=[container(state=state, ready=False)])], events)
    assert len(found) == 1
    assert found[0].startswith("1 pod: ")
    assert cause in found[0]


def test_crash_loop_names_the_last_exit():
    crashed = container(
        state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": {"exitCode": 3, "reason": "Error"}}
    )
    assert pod_causes([pod(containerStatuses=[crashed])], []) == ["1 pod: app keeps crashing (exit code 3)"]


def test_alike_causes_are_counted_and_ready_pods_left_out():
    stuck = has("PodScheduled", "False", message="0/1 nodes are available: 1 Insufficient cpu.")
    pods = [pod("1", **stuck), pod("2", **stuck), pod("3", **has("Ready"))]
    assert pod_causes(pods, []) == ["2 pods: no node takes it: 0/1 nodes are available: 1 Insufficient cpu"]
