"""Budgets, pods that would be lost, room, stuck deletions: the rules' edges."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatyard.kube.preflight.budgets import budgets
from boatyard.kube.preflight.pods import SAFE, SAFE_VOLUMES, pods
from boatyard.kube.preflight.room import needs, quantity, room
from boatyard.kube.preflight.seen import BUDGETS, PODS
from boatyard.kube.preflight.stuck import stuck
from tests.unit.kube.preflight.scene import ago, node, owned, pod, scene, thing

REPLICAS = thing("apps/v1", "ReplicaSet", "web-1", spec={"replicas": 1})


def budget(name: str = "web", *, allowed: int = 0, desired: int = 1, expected: int = 2, **spec: Any) -> dict[str, Any]:
    status = {"disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": desired, "expectedPods": expected}
    rule = {"selector": {"matchLabels": {"app": "web"}}, **(spec or {"minAvailable": 1})}
    return thing("policy/v1", "PodDisruptionBudget", name, spec=rule, status=status)


def checks(found: Any) -> list[tuple[str, str]]:
    return [(each.check, each.object.name) for each in found]


WEB = {"labels": {"app": "web"}}


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (budget(allowed=1), []),
        (budget(), [("pdb-blocks-now", "web")]),
        (budget(desired=2), [("pdb-blocks", "web")]),
        (budget(maxUnavailable="0%"), [("pdb-blocks", "web")]),
        (budget(selector={"matchLabels": {"app": "other"}}), [("pdb-empty", "web")]),
    ],
)
def test_what_a_budget_allows_the_pods_it_covers(one: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert checks(budgets(*scene(one, pod("a", meta=WEB), pod("b", meta=WEB, ready=False)))) == expected


@pytest.mark.parametrize(
    "covered",
    [
        pod("a", meta=WEB, phase="Pending"),
        pod("a", meta=WEB, phase="Succeeded"),
        pod("a", meta=WEB | {"deletionTimestamp": ago(seconds=1)}),
        pod("a", meta=WEB | owned(thing("apps/v1", "DaemonSet", "all"))),
    ],
    ids=["not started", "finished", "going", "of a DaemonSet"],
)
def test_a_budget_blocks_nothing_that_need_not_be_evicted(covered: dict[str, Any]) -> None:
    assert checks(budgets(*scene(budget(desired=2), covered))) == []


def test_a_budget_of_something_scaled_to_zero_is_not_empty() -> None:
    template = {"metadata": {"labels": {"app": "web"}}}
    asleep = thing("apps/v1", "Deployment", "web", spec={"replicas": 0, "template": template})
    assert checks(budgets(*scene(budget(), asleep))) == []


def test_unready_pods_may_go_where_the_budget_says_so() -> None:
    one = budget(minAvailable=1, unhealthyPodEvictionPolicy="AlwaysAllow")
    assert checks(budgets(*scene(one, pod("a", meta=WEB, ready=False)))) == []


@pytest.mark.parametrize("read", [(PODS,), (BUDGETS,)])
def test_nothing_is_concluded_from_a_list_that_is_missing(read: Any) -> None:
    documents = [budget()] if BUDGETS in read else [pod("a", meta=WEB)]
    assert checks(budgets(*scene(*documents, read=read))) == []


JOB = thing("batch/v1", "Job", "once", spec={"backoffLimit": 0})
GONE = thing("apps/v1", "ReplicaSet", "gone")


@pytest.mark.parametrize(
    ("one", "others", "expected"),
    [
        (pod("a"), [], "No controller"),
        (pod("a", meta={"annotations": {SAFE: "true"}}), [], ""),
        (pod("a", meta=owned(GONE)), [REPLICAS], "does not exist any more"),
        (pod("a", meta=owned(GONE)), [], ""),
        (pod("a", meta=owned(GONE) | {"creationTimestamp": ago(seconds=20)}), [REPLICAS], ""),
        (pod("a", meta=owned(JOB)), [JOB], "no second attempt"),
        (pod("a", phase="Succeeded"), [], ""),
        (pod("a", meta={"annotations": {"kubernetes.io/config.mirror": "x"}}), [], ""),
        (pod("canary-1", namespace="boatyard-system"), [], ""),
    ],
    ids=["bare", "agreed", "orphan", "kind not read", "young", "job", "finished", "mirror", "our own"],
)
def test_pods_that_no_controller_would_replace(one: Any, others: list[Any], expected: str) -> None:
    found = list(pods(*scene(one, *others)))
    assert [each.check for each in found] == (["pod-unmanaged"] if expected else [])
    assert all(expected in each.why for each in found)


@pytest.mark.parametrize(
    ("volume", "notes", "expected"),
    [
        ({"emptyDir": {}}, {}, "emptyDir data"),
        ({"emptyDir": {"medium": "Memory"}}, {}, ""),
        ({"hostPath": {"path": "/var"}}, {}, "hostPath data"),
        ({"hostPath": {"path": "/var"}}, {SAFE_VOLUMES: "logs, data"}, ""),
        ({"emptyDir": {}}, {SAFE: "true"}, ""),
        ({"configMap": {"name": "x"}}, {}, ""),
    ],
)
def test_local_storage_of_a_single_replica(volume: Any, notes: dict[str, str], expected: str) -> None:
    one = pod("a", meta=owned(REPLICAS) | {"annotations": notes}, spec={"volumes": [{"name": "data", **volume}]})
    found = list(pods(*scene(one, REPLICAS)))
    assert [(each.check, each.blocks) for each in found] == ([("local-storage", True)] if expected else [])
    assert all(expected in each.why for each in found)


def test_two_replicas_may_lose_what_one_of_them_keeps() -> None:
    both = thing("apps/v1", "ReplicaSet", "web-1", spec={"replicas": 2})
    one = pod("a", meta=owned(both), spec={"volumes": [{"name": "data", "emptyDir": {}}]})
    assert checks(pods(*scene(one, both))) == []


def test_a_workload_that_an_operator_made_counts_by_its_own_replicas() -> None:
    above = thing("db.example.com/v1", "Database", "main")
    single = thing("apps/v1", "StatefulSet", "main", spec={"replicas": 1}, meta=owned(above))
    [found] = pods(*scene(pod("main-0", meta=owned(single)), single, above))
    assert (found.check, found.owner) == ("single-stateful", "Database shop/main")


def test_add_ons_of_the_distribution_are_only_warned_of() -> None:
    replicas = thing("apps/v1", "ReplicaSet", "dns-1", "kube-system", spec={"replicas": 1})
    volumes = {"volumes": [{"name": "tmp", "emptyDir": {}}]}
    [found] = pods(*scene(pod("dns", namespace="kube-system", meta=owned(replicas), spec=volumes), replicas))
    assert (found.check, found.blocks) == ("local-storage", False)


def test_the_controller_on_top_is_the_owner_with_where_it_came_from() -> None:
    deployment = thing("apps/v1", "Deployment", "web", meta={"labels": {"boatyard.dev/app": "shop"}})
    replicas = thing("apps/v1", "ReplicaSet", "web-1", spec={"replicas": 2}, meta=owned(deployment))
    one = pod("a", meta=owned(replicas))
    _, owners = scene(one, replicas, deployment)
    assert owners.of(one) == "Deployment shop/web (app shop)"
    assert owners.of(deployment) == "app shop"


def test_a_pod_that_does_not_go_blocks_and_other_things_warn() -> None:
    marked = {"deletionTimestamp": ago(hours=2), "finalizers": ["example.com/x"]}
    held = thing("v1", "ConfigMap", "held", meta=marked)
    young = thing("v1", "ConfigMap", "young", meta={"deletionTimestamp": ago(minutes=1)})
    found = list(stuck(*scene(pod("a", meta=marked), held, young)))
    assert {(each.check, each.blocks) for each in found} == {("pod-stuck", True), ("finalizer-stuck", False)}
    assert all("2h" in each.why and "example.com/x" in each.why for each in found)


def test_pods_of_the_busiest_node_that_fit_nowhere_else_are_named() -> None:
    big, small = {"cpu": "3"}, {"cpu": "500m"}
    found = list(
        room(
            *scene(
                node("n1"),
                node("n2"),
                pod("big", requests=big, meta=owned(REPLICAS)),
                pod("small", requests=small, meta=owned(REPLICAS)),
                pod("other", node="n2", requests={"cpu": "2"}, meta=owned(REPLICAS)),
            )
        )
    )
    assert checks(found) == [("no-room", "n1")]
    assert "of the 2 pods that must leave it 1 would" in found[0].why
    assert "shop/big" in found[0].why


@pytest.mark.parametrize(
    ("spare", "spec", "fits"),
    [
        ({}, {}, True),
        ({"unschedulable": True}, {}, False),
        ({"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}, {}, False),
        ({"taints": [{"key": "gpu", "value": "yes", "effect": "PreferNoSchedule"}]}, {}, True),
        ({"taints": [{"key": "gpu", "effect": "NoSchedule"}]}, {"tolerations": [{"operator": "Exists"}]}, True),
        ({}, {"nodeSelector": {"disk": "fast"}}, False),
    ],
)
def test_a_node_is_room_only_for_pods_that_it_takes(spare: Any, spec: Any, fits: bool) -> None:
    one = pod("a", requests={"cpu": "2"}, meta=owned(REPLICAS), spec=spec)
    found = list(room(*scene(node("n1"), node("n2", spec=spare), one)))
    assert (found == []) is fits


def test_needs_are_those_of_all_containers_or_of_the_largest_init_container() -> None:
    inits = [
        {"name": "once", "resources": {"requests": {"cpu": "3"}}},
        {"name": "beside", "restartPolicy": "Always", "resources": {"requests": {"cpu": "500m"}}},
    ]
    assert needs(pod("a", requests={"cpu": "1"}, spec={"initContainers": inits}))["cpu"] == 3
    assert needs(pod("a", requests={"cpu": "3"}, spec={"initContainers": inits}))["cpu"] == 3.5


@pytest.mark.parametrize(
    ("text", "number"), [("250m", 0.25), ("1.5Gi", 1.5 * 2**30), ("2e3", 2000), ("2E", 2e18), ("", 0), ("lots", 0)]
)
def test_quantities(text: str, number: float) -> None:
    assert quantity(text) == pytest.approx(number)


@given(st.integers(0, 10**6), st.sampled_from(["", "k", "M", "G", "Ki", "Mi", "Gi"]))
def test_a_quantity_grows_with_its_number_and_its_unit(number: int, unit: str) -> None:
    assert quantity(f"{number}{unit}") <= quantity(f"{number + 1}{unit}")
    assert quantity(f"{number}{unit}") >= number
