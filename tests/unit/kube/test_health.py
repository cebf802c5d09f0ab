"""What a reading says about a cluster: pools against the spec, joining told apart from broken, versions, DNS."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from boatyard.errors import Temporary
from boatyard.kube.health import Check, State, judge, served_version
from boatyard.kube.reading import Reading, parse_readyz
from boatyard.spec.models import Cluster

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
VERSION = {"gitVersion": "v1.36.3", "emulationMajor": "1", "emulationMinor": "36"}


def cluster(low: int = 2, high: int | None = None) -> Cluster:
    return Cluster.model_validate(
        {
            "name": "demo",
            "provider": {"kind": "kwok"},
            "kubernetes": {"version": "1.36"},
            "pools": [{"name": "web", "min": low, "max": high}],
        }
    )


def thing(name: str, ready: bool, minutes: float, **more: Any) -> dict[str, Any]:
    born = (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = [{"type": "Ready", "status": str(ready), "message": "container runtime is down"}]
    return {
        "metadata": {"name": name, "creationTimestamp": born, "labels": {}} | more.pop("metadata", {}),
        "spec": more.pop("spec", {}),
        "status": {"conditions": conditions, "nodeInfo": {"kubeletVersion": "v1.36.0"}} | more,
    }


def node(name: str, ready: bool = True, minutes: float = 60, pool: str = "web", **more: Any) -> dict[str, Any]:
    document = thing(name, ready, minutes, **more)
    document["metadata"]["labels"] |= {"boatyard.dev/pool": pool}
    return document


def look(*nodes: dict[str, Any], spec: Cluster | None = None, expected: str | None = None, **parts: Any) -> list[Check]:
    reading = Reading(
        **{"readyz": {"ping": True}, "version": VERSION, "nodes": list(nodes), "system_pods": [], "dns": None} | parts
    )
    return judge(reading, spec or cluster(), NOW, expected_version=expected)


def check(name: str, checks: list[Check]) -> Check:
    return next(check for check in checks if check.name == name)


@pytest.mark.parametrize(
    ("nodes", "low", "high", "status", "says"),
    [
        ([node("a"), node("b")], 2, None, State.OK, "2 nodes Ready, 2 wanted"),
        ([node("a")], 2, None, State.FAIL, "1 missing"),
        ([node("a"), node("b", False, 3)], 2, None, State.WAITING, "joining: b"),
        ([node("a"), node("b", False, 30)], 2, None, State.FAIL, "not Ready: b (container runtime is down)"),
        ([node("a"), node("b"), node("c")], 2, None, State.FAIL, "1 more than the spec allows"),
        ([node("a"), node("b"), node("c")], 2, 3, State.OK, "3 nodes Ready, 2 to 3 wanted"),
        ([node("a"), node("b"), node("c", False, 3)], 2, 3, State.WARN, "being added: c"),
        ([node("a"), node("b"), node("c", False, 30)], 2, 3, State.FAIL, "not Ready: c"),
        ([node("a"), node("b", False, 3)], 3, 5, State.FAIL, "1 missing"),
        ([node("a"), node("b", spec={"unschedulable": True})], 2, None, State.WARN, "cordoned: b"),
        (
            [node("a"), node("b"), node("c", metadata={"deletionTimestamp": "x", "labels": {}})],
            2,
            None,
            State.WARN,
            "being removed: c",
        ),
        ([], 0, 3, State.OK, "0 nodes Ready"),
    ],
)
def test_pool(nodes: list[dict[str, Any]], low: int, high: int | None, status: State, says: str) -> None:
    for one in nodes:
        one["metadata"].setdefault("creationTimestamp", "2026-03-02T11:00:00Z")
    result = check("pool/web", look(*nodes, spec=cluster(low, high)))
    assert (result.status, says in result.message) == (status, True), result


def test_an_evicted_system_pod_that_another_replaced_is_noted() -> None:
    old = thing("dns-old", False, 600, phase="Failed", reason="Evicted")
    old["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "dns", "controller": True}]
    found = check("system-pods", look(system_pods=[thing("dns", True, 600), old]))
    assert (found.status, "dns-old (Evicted)" in found.message) == (State.WARN, True)
    bare = thing("alone", False, 600, phase="Failed", reason="Evicted")
    assert check("system-pods", look(system_pods=[thing("dns", True, 600), bare])).status is State.FAIL


def test_pressure_is_noted() -> None:
    pressed = node("b")
    pressed["status"]["conditions"].append({"type": "DiskPressure", "status": "True"})
    result = check("pool/web", look(node("a"), pressed))
    assert (result.status, "b DiskPressure" in result.message) == (State.WARN, True)


def test_control_plane_nodes_must_be_ready_and_strangers_are_named() -> None:
    control = {"labels": {"node-role.kubernetes.io/control-plane": ""}}
    bad = thing("cp-1", False, 60, metadata=control | {"name": "cp-1", "creationTimestamp": "2026-03-02T09:00:00Z"})
    checks = look(node("a"), node("b"), bad, node("odd", pool="gone"))
    assert check("nodes/control-plane", checks).status is State.FAIL
    assert check("nodes/other", checks) == Check("nodes/other", State.WARN, "1 nodes belong to no pool: odd")


@pytest.mark.parametrize(
    ("pods", "status", "says"),
    [
        ([], State.OK, "none"),
        ([thing("dns", True, 9)], State.OK, "1 Ready"),
        ([thing("dns", True, 9), thing("proxy", False, 2)], State.WAITING, "1 of 2 not Ready: proxy"),
        ([thing("proxy", False, 20, phase="Pending")], State.FAIL, "proxy (Pending)"),
        ([thing("job", False, 20, phase="Succeeded")], State.OK, "none"),
        (
            [
                thing(
                    "dns",
                    False,
                    20,
                    containerStatuses=[{"state": {"waiting": {"reason": "ImagePullBackOff"}}}],
                )
            ],
            State.FAIL,
            "ImagePullBackOff",
        ),
    ],
)
def test_system_pods(pods: list[dict[str, Any]], status: State, says: str) -> None:
    result = check("system-pods", look(system_pods=pods))
    assert (result.status, says in result.message) == (status, True), result


@pytest.mark.parametrize(
    ("expected", "status"),
    [
        (None, State.OK),
        ("1.36", State.OK),
        ("1.36.3", State.OK),
        ("1.36.1", State.WARN),
        ("1.36.4", State.FAIL),
        ("1.35", State.FAIL),
    ],
)
def test_version(expected: str | None, status: State) -> None:
    assert check("version", look(expected=expected)).status is status


@pytest.mark.parametrize(
    ("served", "wanted", "channel", "status"),
    [
        ("1.36.3", "1.36", "stable", State.OK),
        ("1.36.3", "1.35", "stable", State.OK),
        ("1.36.3", "1.35", "pinned", State.WARN),
        ("1.36.3", "1.36.5", "stable", State.WARN),
        ("1.35.9", "1.36", "rapid", State.WARN),
        ("nonsense", "1.36", "rapid", State.FAIL),
    ],
)
def test_without_an_expected_version_the_spec_is_a_floor(served: str, wanted: str, channel: str, status: State) -> None:
    kubernetes = {"version": wanted, "channel": channel}
    spec = Cluster.model_validate({"name": "demo", "provider": {"kind": "kwok"}, "kubernetes": kubernetes})
    nothing = Reading({}, {"gitVersion": f"v{served}"}, [], [], None)
    assert check("version", judge(nothing, spec, NOW)).status is status


def test_an_emulated_minor_is_what_counts() -> None:
    assert served_version({"gitVersion": "v1.36.3", "emulationMajor": "1", "emulationMinor": "34"}) == "1.34"
    assert served_version({"gitVersion": "v1.33.1-eks-1"}) == "1.33.1-eks-1"


def test_skew() -> None:
    def kubelet(version: str) -> Check:
        return check("skew", look(node("a"), node("b", nodeInfo={"kubeletVersion": version})))

    assert kubelet("v1.33.9").status is State.OK
    assert kubelet("v1.32.9").status is State.FAIL
    assert kubelet("v1.37.0").status is State.FAIL
    assert kubelet("kwok-v0.8.0") == Check("skew", State.WARN, "no readable kubelet version on b")


@pytest.mark.parametrize(("dns", "status"), [(None, State.OK), (0, State.FAIL), (2, State.OK)])
def test_dns(dns: int | None, status: State) -> None:
    assert check("dns", look(dns=dns)).status is status


def test_readyz_is_one_check_each() -> None:
    text = "[+]ping ok\n[-]etcd failed: reason withheld\n[+]x excluded: ok\nreadyz check failed\n"
    checks = look(readyz=parse_readyz(text))
    assert [(c.name, c.status) for c in checks if c.name.startswith("readyz")] == [
        ("readyz/ping", State.OK),
        ("readyz/etcd", State.FAIL),
        ("readyz/x", State.OK),
    ]


def test_what_cannot_be_read_fails_by_name() -> None:
    gone = Temporary("connection refused.")
    checks = look(readyz=gone, version=gone, nodes=gone, system_pods=gone, dns=gone)
    assert {c.name for c in checks if c.status is State.FAIL} == {
        "readyz",
        "nodes",
        "system-pods",
        "version",
        "skew",
        "dns",
    }
    assert all("connection refused" in c.message for c in checks)
