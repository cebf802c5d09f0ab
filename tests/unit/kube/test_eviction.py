"""Which pods must leave a node, and what their budgets allow: the API server's own rules."""

from typing import Any

import pytest

from boatyard.kube.eviction import Budget, Pod, budgets_of, matches, read_budget, read_pod


def pod(phase: str = "Running", ready: bool = True, **meta: Any) -> Pod:
    return read_pod(
        {
            "metadata": {"uid": "u", "namespace": "shop", "name": "web-1", "labels": {"app": "web"}, **meta},
            "spec": {"nodeName": "n1"},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]},
        }
    )


def budget(name: str = "web", *, generation: int = 1, spec: dict[str, Any] | None = None, **status: Any) -> Budget:
    return read_budget(
        {
            "metadata": {"namespace": "shop", "name": name, "generation": generation, "resourceVersion": "7"},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}, **(spec or {})},
            "status": {
                "observedGeneration": 1,
                "disruptionsAllowed": 0,
                "currentHealthy": 2,
                "desiredHealthy": 3,
                "expectedPods": 4,
                **status,
            },
        }
    )


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        (None, {"a": "1"}, False),
        ({}, {}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "2"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, {"a": "2"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {"a": "1"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
        ({"matchLabels": {"b": "1"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": "1"}, False),
    ],
)
def test_selector(selector: dict[str, Any] | None, labels: dict[str, str], expected: bool) -> None:
    assert matches(selector, labels) is expected


@pytest.mark.parametrize(
    ("meta", "phase", "stays"),
    [
        ({}, "Running", False),
        ({"ownerReferences": [{"kind": "ReplicaSet", "controller": True}]}, "Running", False),
        ({"ownerReferences": [{"kind": "DaemonSet", "controller": True}]}, "Running", True),
        ({"ownerReferences": [{"kind": "DaemonSet"}]}, "Running", False),
        ({"annotations": {"kubernetes.io/config.mirror": "x"}}, "Running", True),
        ({}, "Succeeded", True),
        ({}, "Failed", True),
        ({}, "Pending", False),
    ],
)
def test_who_stays(meta: dict[str, Any], phase: str, stays: bool) -> None:
    assert pod(phase, **meta).stays is stays


@pytest.mark.parametrize(
    ("one", "held", "spent", "admits"),
    [
        (pod(), budget(disruptionsAllowed=1), 0, True),
        (pod(), budget(disruptionsAllowed=1), 1, False),
        (pod(), budget(disruptionsAllowed=0), 0, False),
        (pod(), budget(disruptionsAllowed=1, generation=2), 0, False),
        (pod("Pending"), budget(disruptionsAllowed=0), 0, True),
        (pod(deletionTimestamp="2026-01-01T00:00:00Z"), budget(disruptionsAllowed=0), 0, True),
        (pod(ready=False), budget(disruptionsAllowed=0), 0, False),
        (pod(ready=False), budget(currentHealthy=3), 0, True),
        (pod(ready=False), budget(currentHealthy=0, desiredHealthy=0), 0, False),
        (pod(ready=False), budget(spec={"unhealthyPodEvictionPolicy": "AlwaysAllow"}), 0, True),
    ],
)
def test_what_a_budget_admits(one: Pod, held: Budget, spent: int, admits: bool) -> None:
    assert held.admits(one, spent) is admits


def test_a_budget_says_what_it_allows() -> None:
    assert budget().explain() == (
        "PodDisruptionBudget shop/web (maxUnavailable 1) allows 0 disruptions: 2 of 4 pods healthy, 3 must stay"
    )


def test_budgets_of_other_namespaces_do_not_count() -> None:
    other = budget("other")
    other.namespace = "elsewhere"
    assert [found.name for found in budgets_of(pod(), [budget("b"), other, budget("a")])] == ["a", "b"]
