"""Validation and the monitor on a real control plane: stable rounds, the canary, what an absent server looks like."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from boatyard.clock import Deadline, SystemClock
from boatyard.errors import DeadlineExceeded, Fenced, Permanent
from boatyard.kube import canary
from boatyard.kube.checks import State, validate
from boatyard.kube.client import Client, Response
from boatyard.kube.conditions import TYPES, observe_health
from boatyard.kube.health import takes_pods
from boatyard.plan.model import Observed, Phase, Plan, Step, Verb
from boatyard.spec.models import Cluster

pytestmark = pytest.mark.twin

CLOCK = SystemClock()
NODES = "/api/v1/nodes"
CANARIES = "/api/v1/namespaces/boatyard-system/pods"


def cluster(pool: str, low: int = 1, high: int | None = None) -> Cluster:
    return Cluster.model_validate(
        {
            "name": "demo",
            "provider": {"kind": "kwok"},
            "kubernetes": {"version": "1.36"},
            "pools": [{"name": pool, "min": low, "max": high}],
        }
    )


def within(seconds: float = 60) -> Deadline:
    return Deadline.after(seconds, "the validation", CLOCK)


def add_node(client: Client, name: str, pool: str) -> None:
    """A node of a pool, which KWOK makes Ready."""
    capacity = {"cpu": "8", "memory": "32Gi", "pods": "100"}
    client.create(
        NODES,
        {
            "metadata": {
                "name": name,
                "labels": {"boatyard.dev/pool": pool},
                "annotations": {"kwok.x-k8s.io/node": "fake"},
            },
            "status": {
                "allocatable": capacity,
                "capacity": capacity,
                "nodeInfo": dict.fromkeys(
                    (
                        "machineID",
                        "systemUUID",
                        "bootID",
                        "kernelVersion",
                        "osImage",
                        "containerRuntimeVersion",
                        "kubeProxyVersion",
                        "operatingSystem",
                        "architecture",
                    ),
                    "x",
                )
                | {"kubeletVersion": "v1.36.0"},
            },
        },
    )


@pytest.fixture
def pool(client: Client, namespace: str) -> Iterator[str]:
    """A pool of one node, of the test's own."""
    add_node(client, f"{namespace}-1", namespace)
    with client.watch(NODES, timeout=30, fieldSelector=f"metadata.name={namespace}-1") as watch:
        assert any(event.object and takes_pods(event.object) for event in watch)
    yield namespace
    for node in client.list(NODES, labelSelector=f"boatyard.dev/pool={namespace}"):
        client.delete(f"{NODES}/{node['metadata']['name']}")


def canaries(client: Client) -> list[Any]:
    return client.list(CANARIES, labelSelector=canary.LABEL)


def test_a_healthy_cluster_passes_its_rounds_and_the_canary_is_gone(client: Client, pool: str) -> None:
    result = validate(client, cluster(pool), expected_version="1.36", deadline=within(), clock=CLOCK, interval=0.05)
    assert result.require().ok, result.problems
    assert result.rounds >= 3
    statuses = {check.name: check.status for check in result.checks}
    assert statuses["canary"] is State.OK
    assert statuses["readyz/etcd"] is State.OK
    assert statuses[f"pool/{pool}"] is State.OK
    assert [check.name for check in result.summary].count("readyz") == 1
    assert canaries(client) == []


def test_a_node_that_comes_later_is_awaited(client: Client, pool: str) -> None:
    lines: list[str] = []
    told = threading.Event()

    def report(line: str) -> None:
        lines.append(line)
        told.set()

    def helper() -> None:
        assert told.wait(30)
        add_node(client, f"{pool}-2", pool)

    thread = threading.Thread(target=helper)
    thread.start()
    result = validate(
        client, cluster(pool, 2), deadline=within(), clock=CLOCK, interval=0.01, report=report, send_canary=False
    )
    thread.join()
    assert result.ok, result.problems
    assert any("1 missing" in line for line in lines)


def test_a_broken_pool_fails_after_patience_and_says_why(client: Client, pool: str) -> None:
    result = validate(client, cluster(pool, 2), deadline=within(), clock=CLOCK, patience=0.2)
    assert not result.ok
    assert [check.name for check in result.problems] == [f"pool/{pool}"]
    with pytest.raises(Permanent, match=f"pool/{pool}: 1 nodes Ready, 2 wanted; 1 missing"):
        result.require()


def test_a_joining_node_is_waited_for_until_the_deadline(client: Client, kubeconfig: dict[str, Any], pool: str) -> None:
    add_node(client, f"{pool}-2", pool)

    class Young(Client):
        """Shows the second node as one that has just registered."""

        def list(self, path: str, **params: Any) -> list[dict[str, Any]]:
            items = super().list(path, **params)
            for item in items:
                if item["metadata"]["name"] == f"{pool}-2":
                    item["status"]["conditions"] = []
            return items

    with Young(kubeconfig) as young:
        result = validate(young, cluster(pool, 2), deadline=within(1.0), clock=CLOCK, patience=0.1, send_canary=False)
    assert [(check.name, check.status) for check in result.problems] == [(f"pool/{pool}", State.WAITING)]
    with pytest.raises(DeadlineExceeded, match=f"joining: {pool}-2"):
        result.require()


def test_a_validation_ends_with_its_operation_whether_it_waits_for_time_or_for_news(client: Client, pool: str) -> None:
    """One that passed so far waits for its next round, one that did not for a node that joins."""
    for low in (1, 2):
        deadline = within()

        class Stopping(SystemClock):
            def wait(self, event: threading.Event, seconds: float) -> bool:
                deadline.stopped.set("Ctrl-C")  # noqa: B023 - used up in this round of the loop
                return event.wait(60)

        with pytest.raises(Fenced, match="was broken off: Ctrl-C"):
            validate(client, cluster(pool, low), deadline=deadline, clock=Stopping(), rounds=2)
    assert canaries(client) == []


def test_the_wrong_version_fails(client: Client, pool: str) -> None:
    result = validate(
        client, cluster(pool), expected_version="1.35", deadline=within(), clock=CLOCK, patience=0, send_canary=False
    )
    assert [check.name for check in result.problems] == ["version"]


def test_an_absent_server_is_a_failed_check_and_no_exception() -> None:
    with Client(nowhere(), retries=0) as client:
        result = validate(client, cluster("web"), deadline=within(5), clock=CLOCK, patience=0)
    assert not result.ok
    assert all("does not answer" in check.message for check in result.problems)


def test_canaries_of_dead_runs_are_swept_and_those_of_live_ones_are_not(client: Client, pool: str) -> None:
    canary._namespace(client, within())
    dead, live = canary._create(client, within()), canary._create(client, within())
    holder = dead["metadata"]["annotations"]["boatyard.dev/canary-of"].split(" ")
    holder[2] = "1"  # the same process id, started at another time: the process that held it is gone
    patch = {"metadata": {"annotations": {"boatyard.dev/canary-of": " ".join(holder)}}}
    client.patch(f"{CANARIES}/{dead['metadata']['name']}", patch)
    assert canary.sweep(client, CLOCK.now()) == [dead["metadata"]["name"]]
    assert canary.sweep(client, CLOCK.now() + timedelta(minutes=3)) == [live["metadata"]["name"]]


def test_a_lost_lease_keeps_the_canary_home(client: Client, pool: str) -> None:
    def lost() -> None:
        raise Fenced("the lease was lost")

    with pytest.raises(Fenced):
        validate(client, cluster(pool), deadline=within(), clock=CLOCK, fence=lost)
    assert canaries(client) == []


def nowhere() -> dict[str, Any]:
    return {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


class ReadOnly(Client):
    """Fails on anything but GET."""

    def raw(self, method: str, path: str, **more: Any) -> Response:
        assert method == "GET"
        return super().raw(method, path, **more)


def test_the_monitor_reads_every_side_and_writes_nothing(kubeconfig: dict[str, Any], pool: str) -> None:
    observed = Observed(phase=Phase.RUNNING, version="1.36")
    plan = Plan(cluster="demo", provider="kwok")
    with ReadOnly(kubeconfig) as client:
        found = observe_health(client, cluster(pool), observed, CLOCK.now(), plan=plan, kubeconfig=kubeconfig)
    by_type = {condition.type: condition for condition in found}
    assert tuple(by_type) == TYPES
    for name in ("Reachable", "ControlPlaneReady", "VersionCurrent", "CertificatesValid", "InSync"):
        assert by_type[name].status == "True", by_type[name]
    assert "API server's certificate ends" in by_type["CertificatesValid"].message
    assert "client certificate ends" in by_type["CertificatesValid"].message


def test_drift_is_told_by_its_steps(kubeconfig: dict[str, Any], client: Client, pool: str) -> None:
    step = Step(id="a", verb=Verb.SCALE_POOL, target="web", reason="2 nodes, 3 wanted")
    plan = Plan(cluster="demo", provider="kwok", steps=(step,))
    found = observe_health(client, cluster(pool), Observed(phase=Phase.RUNNING), CLOCK.now(), plan=plan)
    assert (found[-1].status, found[-1].reason) == ("False", "Drifted")
    assert "scale pool web" in found[-1].message


def test_certificates_that_end_soon_are_told(kubeconfig: dict[str, Any], client: Client, pool: str) -> None:
    later = CLOCK.now() + timedelta(days=366 * 200)
    observed = Observed(phase=Phase.RUNNING)
    found = observe_health(client, cluster(pool), observed, later, kubeconfig=kubeconfig)
    certificates = next(c for c in found if c.type == "CertificatesValid")
    assert (certificates.status, certificates.reason) == ("False", "Expired")


def test_an_unreachable_cluster_is_false_once_and_unknown_else() -> None:
    with Client(nowhere(), retries=0) as client:
        found = observe_health(client, cluster("web"), Observed(phase=Phase.BROKEN), CLOCK.now(), timeout=2)
    assert [c.status for c in found] == ["False"] + ["Unknown"] * (len(TYPES) - 1)
    assert "127.0.0.1:9" in found[0].message


def test_a_sleeping_cluster_is_no_alarm() -> None:
    found = observe_health(None, cluster("web"), Observed(phase=Phase.HIBERNATED), CLOCK.now())
    assert {c.status for c in found} == {"Unknown"}
    assert found[0].reason == "Hibernated"
