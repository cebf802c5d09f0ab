"""A cluster worth rehearsing: objects of many kinds, three of them kept in an API that the next minor removes, and a
PodDisruptionBudget that never lets go."""

import base64
from collections.abc import Iterator
from typing import Any

from boatyard.kube.client import Client

Json = dict[str, Any]

BETA = "admissionregistration.k8s.io/v1beta1"
"""Served by Kubernetes 1.33 where a server is told to, by 1.34 never."""
OBJECTS = 500
SECRET = "correct horse battery staple"
NAMESPACES = [f"team-{number}" for number in range(5)]


def meta(name: str, namespace: str = "", **more: Any) -> Json:
    return {"name": name, **({"namespace": namespace} if namespace else {}), **more}


def template(app: str, cpu: str = "50m", **spec: Any) -> Json:
    container = {"name": "main", "image": "registry.example.com/app:1", "resources": {"requests": {"cpu": cpu}}}
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container], **spec}}


def deployment(name: str, namespace: str, replicas: int = 2, **spec: Any) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta(name, namespace),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, **spec),
        },
    }


def budget(name: str, namespace: str, **rule: Any) -> Json:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": meta(name, namespace),
        "spec": {"selector": {"matchLabels": {"app": name}}, **rule},
    }


def objects() -> Iterator[Json]:
    """In an order in which they can be created."""
    for name in NAMESPACES:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": meta(name)}
    yield {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": meta("important"),
        "value": 1000,
    }
    yield {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": meta("disk"),
        "provisioner": "disk.example.com",
    }
    yield from _removed()
    yield from _extended()
    yield from _stateful()
    for namespace in NAMESPACES:
        yield {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": meta("all", namespace),
            "spec": {"hard": {"pods": "50"}},
        }
        for number in range(4):
            name = f"app-{number}"
            yield deployment(name, namespace, priorityClassName="important")
            yield budget(name, namespace, maxUnavailable=1)
            ports = [{"name": "http", "port": 80}]
            yield {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": meta(name, namespace),
                "spec": {"selector": {"app": name}, "ports": ports},
            }
    yield deployment("stubborn", "team-0")
    yield budget("stubborn", "team-0", minAvailable=2)
    yield {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": meta("agent", "team-1"),
        "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template("agent")},
    }
    yield {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": meta("nightly", "team-2"),
        "spec": {
            "schedule": "0 3 * * *",
            "jobTemplate": {"spec": {"template": template("nightly", restartPolicy="Never")}},
        },
    }
    yield {"apiVersion": "v1", "kind": "Pod", "metadata": meta("lonely", "team-3"), **_only_spec("lonely")}
    yield {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": meta("closed"),
        "webhooks": [
            {
                "name": "closed.example.com",
                "clientConfig": {"service": {"name": "nobody", "namespace": "team-0"}},
                "rules": [
                    {
                        "apiGroups": ["apps"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["statefulsets"],
                    }
                ],
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
            }
        ],
    }


def many(count: int) -> Iterator[Json]:
    """Configuration and secrets, as many as are asked for."""
    for number in range(count):
        namespace = NAMESPACES[number % len(NAMESPACES)]
        if number % 4:
            data = {"key": f"value {number}"}
            yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(f"c-{number}", namespace), "data": data}
        else:
            coded = {"password": base64.b64encode(SECRET.encode()).decode()}
            yield {"apiVersion": "v1", "kind": "Secret", "metadata": meta(f"s-{number}", namespace), "data": coded}


def _only_spec(app: str) -> Json:
    return {"spec": template(app)["spec"]}


def _removed() -> Iterator[Json]:
    """Three objects that their owner keeps in a version which goes away."""
    rules = [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}]
    for name in ("few-replicas", "named-owners"):
        yield {
            "apiVersion": BETA,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": meta(name),
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": rules},
                "validations": [{"expression": "object.spec.replicas <= 100"}],
            },
        }
    yield {
        "apiVersion": BETA,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": meta("few-replicas"),
        "spec": {"policyName": "few-replicas", "validationActions": ["Deny"]},
    }


def _extended() -> Iterator[Json]:
    """A custom resource."""
    yield {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": meta("databases.example.com"),
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Database", "plural": "databases", "singular": "database"},
            "versions": [
                {
                    "name": "v1beta1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }


def operated(client: Client) -> None:
    """A custom resource, and two pods that its operator made, under a budget."""
    path = "/apis/example.com/v1beta1/namespaces/team-4/databases"
    body = {"apiVersion": "example.com/v1beta1", "kind": "Database", "metadata": meta("main", "team-4")}
    made = client.create(path, body)
    owner = {
        "apiVersion": "example.com/v1beta1",
        "kind": "Database",
        "name": "main",
        "uid": made["metadata"]["uid"],
        "controller": True,
    }
    for number in range(2):
        metadata = meta(f"database-{number}", "team-4", labels={"app": "database"}, ownerReferences=[owner])
        client.create("/api/v1/namespaces/team-4/pods", {"metadata": metadata, **_only_spec("database")})
    client.create(
        "/apis/policy/v1/namespaces/team-4/poddisruptionbudgets", budget("database", "team-4", minAvailable=1)
    )


def _stateful() -> Iterator[Json]:
    """A stateful set with volumes that nobody could provision anew."""
    for number in range(2):
        yield {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": meta(f"volume-{number}"),
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "disk",
                "csi": {"driver": "disk.example.com", "volumeHandle": f"v-{number}"},
                "claimRef": {"namespace": "team-0", "name": f"data-store-{number}"},
            },
        }
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "disk",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    container = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    pod = template("store")
    pod["spec"]["containers"][0] |= container
    yield {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": meta("store", "team-0"),
        "spec": {
            "replicas": 2,
            "serviceName": "store",
            "selector": {"matchLabels": {"app": "store"}},
            "template": pod,
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    }
