"""Draining real nodes: budgets hold, whoever watches; nothing goes but by eviction; what cannot go is named."""

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from boatyard.clock import Deadline, SystemClock
from boatyard.errors import DeadlineExceeded, Fenced, Permanent, Unsafe
from boatyard.kube.client import ApiBusy, ApiNotFound, Client, Response
from boatyard.kube.drain import Rules, cordon, drain_nodes, uncordon
from boatyard.kube.health import node_ready

pytestmark = pytest.mark.twin

CLOCK = SystemClock()
NODES = "/api/v1/nodes"


def within(seconds: float = 60) -> Deadline:
    return Deadline.after(seconds, "the drain", CLOCK)


class Yard:
    """Nodes and pods of one test's own, kept apart from other tests' by a label and a taint."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client, self.namespace = client, namespace

    @property
    def pods_path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def nodes(self, *names: str) -> list[str]:
        full = [f"{self.namespace}-{name}" for name in names]
        for name in full:
            capacity = {"cpu": "64", "memory": "256Gi", "pods": "200"}
            self.client.create(
                NODES,
                {
                    "metadata": {
                        "name": name,
                        "annotations": {"kwok.x-k8s.io/node": "fake"},
                        "labels": {"yard": self.namespace, "kubernetes.io/hostname": name},
                    },
                    "spec": {"taints": [{"key": "yard", "value": self.namespace, "effect": "NoSchedule"}]},
                    "status": {"allocatable": capacity, "capacity": capacity},
                },
            )
        self.until(NODES, lambda nodes: all(node_ready(node) for node in nodes), labelSelector=f"yard={self.namespace}")
        return full

    def template(self, app: str, node: str | None = None) -> dict[str, Any]:
        spec = {
            "tolerations": [{"key": "yard", "operator": "Exists"}],
            "nodeSelector": {"yard": self.namespace} | ({"kubernetes.io/hostname": node} if node else {}),
            "containers": [{"name": "c", "image": "registry.k8s.io/pause"}],
        }
        return {"metadata": {"labels": {"app": app}}, "spec": spec}

    def workload(self, app: str, replicas: int, kind: str = "Deployment", node: str | None = None) -> None:
        spec: dict[str, Any] = {"selector": {"matchLabels": {"app": app}}, "template": self.template(app, node)}
        if kind == "StatefulSet":
            spec |= {"serviceName": app, "podManagementPolicy": "Parallel"}
        if kind != "DaemonSet":
            spec["replicas"] = replicas
        path = f"/apis/apps/v1/namespaces/{self.namespace}/{kind.lower()}s"
        self.client.create(path, {"metadata": {"name": app}, "spec": spec})
        self.ready(app, replicas)

    def bare(self, name: str, node: str, **meta: Any) -> None:
        body = self.template(name, None)
        body["metadata"] = {"name": name, "labels": {"app": name}, **meta}
        body["spec"]["nodeName"] = node
        self.client.create(self.pods_path, body)
        self.ready(name, 1)

    def budget(self, app: str, name: str = "", **rule: Any) -> None:
        path = f"/apis/policy/v1/namespaces/{self.namespace}/poddisruptionbudgets"
        selector = {"selector": {"matchLabels": {"app": app}}}
        self.client.create(path, {"metadata": {"name": name or app}, "spec": rule | selector})
        self.until(
            path,
            lambda found: all((b.get("status") or {}).get("observedGeneration") for b in found),
            fieldSelector=f"metadata.name={name or app}",
        )

    def ready(self, app: str, count: int) -> None:
        self.until(self.pods_path, lambda pods: sum(map(is_up, pods)) >= count, labelSelector=f"app={app}")

    def until(self, path: str, good: Callable[[list[Any]], bool], **params: Any) -> None:
        """Wait by watch until the collection is `good`."""
        seen: dict[str, Any] = {}
        synced = False
        with self.client.watch(path, timeout=60, **params) as watch:
            for event in watch:
                synced = synced or event.type == "SYNCED"
                if event.type != "SYNCED":
                    seen[event.object["metadata"]["uid"]] = event.object
                if event.type == "DELETED":
                    del seen[event.object["metadata"]["uid"]]
                if synced and seen and good(list(seen.values())):
                    return
        pytest.fail(f"{path} did not become as wanted")

    def pods_on(self, node: str) -> list[str]:
        pods = self.client.list(self.pods_path, fieldSelector=f"spec.nodeName={node}")
        return sorted(pod["metadata"]["labels"]["app"] for pod in pods)

    def cordoned(self, node: str) -> bool:
        return bool(self.client.get(f"{NODES}/{node}")["spec"].get("unschedulable"))


def is_up(pod: Any) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


@pytest.fixture
def yard(client: Client, namespace: str) -> Iterator[Yard]:
    yield Yard(client, namespace)
    for node in client.list(NODES, labelSelector=f"yard={namespace}"):
        with contextlib.suppress(ApiNotFound):
            client.delete(f"{NODES}/{node['metadata']['name']}")


class Observer:
    """Watches pods over a connection of its own and keeps the fewest that were ever up, by app."""

    def __init__(self, kubeconfig: dict[str, object], path: str) -> None:
        self._client = Client(kubeconfig)
        self._watch = self._client.watch(path)
        self._up: dict[str, set[str]] = defaultdict(set)
        self._synced = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.fewest: dict[str, int] = {}

    def _run(self) -> None:
        for event in self._watch:
            if event.type == "SYNCED":
                self.fewest = {app: len(up) for app, up in self._up.items()}
                self._synced.set()
                continue
            app, uid = event.object["metadata"]["labels"]["app"], event.object["metadata"]["uid"]
            (self._up[app].add if event.type != "DELETED" and is_up(event.object) else self._up[app].discard)(uid)
            if self._synced.is_set():
                self.fewest[app] = min(self.fewest[app], len(self._up[app]))

    def __enter__(self) -> "Observer":
        self._thread.start()
        assert self._synced.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.stop()
        self._thread.join(10)
        self._client.close()


class Recorder(Client):
    """Notes every request that changes something."""

    def __init__(self, kubeconfig: dict[str, object]) -> None:
        super().__init__(kubeconfig)
        self.changes: list[tuple[str, str]] = []

    def raw(self, method: str, path: str, **more: Any) -> Response:
        if method != "GET":
            self.changes.append((method, path.rpartition("/")[2] if "/pods/" in path else path.split("/")[3]))
        return super().raw(method, path, **more)


def test_tight_budgets_are_never_violated(yard: Yard, kubeconfig: dict[str, object]) -> None:
    old = yard.nodes("a", "b", "c", "d")
    yard.workload("web", 8)
    yard.workload("api", 11)
    yard.workload("db", 8)
    yard.workload("free", 8, "StatefulSet")
    yard.budget("web", maxUnavailable=1)
    yard.budget("api", minAvailable="90%")
    yard.budget("db", minAvailable=7)
    yard.nodes("e", "f")
    emptied: list[str] = []

    def on_empty(node: str) -> None:
        assert yard.pods_on(node) == []
        emptied.append(node)

    with Observer(kubeconfig, yard.pods_path) as observer, Recorder(kubeconfig) as recorder:
        drain_nodes(recorder, old, deadline=within(), on_empty=on_empty)
        yard.until(yard.pods_path, lambda pods: sum(map(is_up, pods)) == 8 + 11 + 8 + 8)

    assert sorted(emptied) == sorted(old)
    assert all(yard.cordoned(node) for node in old)
    assert observer.fewest["web"] >= 7
    assert observer.fewest["db"] >= 7
    assert observer.fewest["api"] >= 10
    assert set(recorder.changes) == {("PATCH", "nodes"), ("POST", "eviction")}


def test_daemons_mirrors_and_finished_pods_stay(yard: Yard) -> None:
    [node] = yard.nodes("a")
    yard.workload("daemon", 1, "DaemonSet")
    yard.bare("mirror", node, annotations={"kubernetes.io/config.mirror": "x"})
    yard.bare("done", node)
    yard.client.patch(f"{yard.pods_path}/done/status", {"status": {"phase": "Succeeded"}})
    yard.bare("single", node)
    lines: list[str] = []
    drain_nodes(yard.client, [node], deadline=within(), report=lines.append)
    assert yard.pods_on(node) == ["daemon", "done", "mirror"]
    assert f"pod {yard.namespace}/single on node {node} has no controller: it will be gone after its eviction" in lines


def test_on_deadline_node_pod_and_budget_are_named_and_the_node_stays_cordoned(yard: Yard) -> None:
    [node] = yard.nodes("a")
    yard.workload("web", 2)
    yard.budget("web", maxUnavailable=0)
    with pytest.raises(DeadlineExceeded) as caught:
        drain_nodes(yard.client, [node], deadline=within(1.5))
    for part in (f"node {node}: pod {yard.namespace}/web-", "PodDisruptionBudget", "maxUnavailable 0", "allows 0"):
        assert part in str(caught.value)
    assert yard.cordoned(node)
    pods = yard.client.list(yard.pods_path)
    assert not any(pod["metadata"].get("deletionTimestamp") for pod in pods)


def test_head_room_that_appears_later_is_noticed(yard: Yard) -> None:
    [node] = yard.nodes("a")
    yard.workload("web", 3)
    yard.budget("web", maxUnavailable=0)
    yard.nodes("b")
    waiting = threading.Event()

    def report(line: str) -> None:
        if "waiting for head-room" in line:
            waiting.set()

    def relent() -> None:
        assert waiting.wait(30)
        path = f"/apis/policy/v1/namespaces/{yard.namespace}/poddisruptionbudgets/web"
        yard.client.patch(path, {"spec": {"maxUnavailable": 1}})

    helper = threading.Thread(target=relent)
    helper.start()
    drain_nodes(yard.client, [node], deadline=within(), report=report)
    helper.join()
    assert yard.pods_on(node) == []


def test_pods_leave_in_the_order_of_their_labels(yard: Yard, kubeconfig: dict[str, object]) -> None:
    nodes = yard.nodes("a", "b")
    for app in ("web", "batch", "db"):
        yard.workload(app, 4)
    gone: list[str] = []
    with Client(kubeconfig) as client, client.watch(yard.pods_path, timeout=60) as watch:
        done = threading.Thread(
            target=drain_nodes,
            args=(yard.client, nodes),
            kwargs={"deadline": within(), "rules": Rules(order=("app=batch", "nobody=has", "app=web"))},
        )
        done.start()
        for event in watch:
            if event.type == "DELETED" and event.object["spec"].get("nodeName") in nodes:
                gone.append(event.object["metadata"]["labels"]["app"])
            if len(gone) == 12:
                break
        done.join()
    assert gone == ["batch"] * 4 + ["web"] * 4 + ["db"] * 4


def test_a_budget_that_never_lets_go_is_passed_over_when_the_policy_says_so(
    yard: Yard, kubeconfig: dict[str, object]
) -> None:
    [node] = yard.nodes("a")
    yard.workload("frozen", 2)
    yard.workload("web", 3)
    yard.budget("frozen", maxUnavailable=0)
    yard.budget("web", maxUnavailable=1)
    yard.nodes("b")
    told: list[tuple[str, str]] = []
    lines: list[str] = []
    rules = Rules(force_after=1.0, on_forced=lambda pod, why: told.append((pod, why)))
    with Recorder(kubeconfig) as recorder:
        drain_nodes(recorder, [node], deadline=within(), report=lines.append, rules=rules)
    assert yard.pods_on(node) == []
    assert len(told) == 2
    for pod, why in told:
        assert pod.startswith(f"{yard.namespace}/frozen-")
        assert f"on {node} it was held back for 1 s" in why
        assert "maxUnavailable 0" in why
    methods = [method for method, name in recorder.changes if name != "nodes"]
    assert methods.count("POST") == 3, "those whose budget let them go were evicted"
    assert methods.count("DELETE") == 2
    assert len([line for line in lines if line.startswith("forcing ")]) == 2


def test_nothing_is_forced_without_a_policy_and_patience_ends_the_wait(yard: Yard) -> None:
    [node, empty] = yard.nodes("a", "b")
    yard.bare("frozen", node)
    yard.budget("frozen", maxUnavailable=0)
    with pytest.raises(DeadlineExceeded, match=r"the drain did not end in time.*frozen is held back"):
        drain_nodes(yard.client, [node, empty], deadline=within(), rules=Rules(patience=1.5))
    assert yard.pods_on(node) == ["frozen"]


def test_two_budgets_on_a_pod_are_refused_before_anything_changes(yard: Yard) -> None:
    [node] = yard.nodes("a")
    yard.workload("web", 1)
    yard.budget("web", "one", maxUnavailable=1)
    yard.budget("web", "two", maxUnavailable=1)
    with pytest.raises(Permanent, match="PodDisruptionBudgets one and two"):
        drain_nodes(yard.client, [node], deadline=within())
    assert not yard.cordoned(node)


def test_bare_pods_can_be_protected(yard: Yard) -> None:
    [node] = yard.nodes("a")
    yard.bare("single", node)
    with pytest.raises(Unsafe, match=f"{yard.namespace}/single"):
        drain_nodes(yard.client, [node], deadline=within(), force_unmanaged=False)
    assert not yard.cordoned(node)
    assert yard.pods_on(node) == ["single"]


def test_a_lost_lease_stops_before_the_next_change(yard: Yard) -> None:
    [node] = yard.nodes("a")
    yard.workload("web", 2)
    calls: list[int] = []

    def fence() -> None:
        calls.append(1)
        if len(calls) > 1:
            raise Fenced("the lease was lost")

    with pytest.raises(Fenced):
        drain_nodes(yard.client, [node], deadline=within(), fence=fence)
    assert yard.pods_on(node) == ["web", "web"]


def test_a_drain_that_is_stopped_evicts_nothing_more_and_leaves_its_node_for_the_next(yard: Yard) -> None:
    """It may wait for a budget's head-room for an hour; Ctrl-C and a lost lease are not to wait with it."""
    [node] = yard.nodes("a")
    yard.bare("frozen", node)
    yard.budget("frozen", maxUnavailable=0)
    deadline, emptied = within(), []

    def stop(line: str) -> None:
        if line.startswith("waiting for head-room"):
            threading.Timer(0.2, deadline.stopped.set, ("Ctrl-C",)).start()

    with pytest.raises(Fenced, match="the drain was broken off: Ctrl-C"):
        drain_nodes(yard.client, [node], deadline=deadline, report=stop, on_empty=emptied.append)
    assert (yard.pods_on(node), yard.cordoned(node), emptied) == (["frozen"], True, [])
    yard.client.delete(f"/apis/policy/v1/namespaces/{yard.namespace}/poddisruptionbudgets/frozen")
    drain_nodes(yard.client, [node], deadline=within(), on_empty=emptied.append)
    assert emptied == [node]


def test_what_on_empty_raises_ends_the_drain(yard: Yard) -> None:
    nodes = yard.nodes("a", "b")

    def on_empty(node: str) -> None:
        raise Permanent(f"cannot remove {node}")

    with pytest.raises(Permanent, match="cannot remove"):
        drain_nodes(yard.client, nodes, deadline=within(), on_empty=on_empty)


def test_a_second_drain_and_a_missing_node_are_no_trouble(yard: Yard) -> None:
    [node] = yard.nodes("a")
    for _ in range(2):
        emptied: list[str] = []
        drain_nodes(yard.client, [node, "long-gone"], deadline=within(), on_empty=emptied.append)
        assert sorted(emptied) == sorted([node, "long-gone"])


def test_a_pressed_server_is_asked_again_when_it_says(yard: Yard, kubeconfig: dict[str, object]) -> None:
    """A 429 by the server's priority rules is no budget's word: it is waited out."""
    [node] = yard.nodes("a")
    yard.workload("web", 2)
    yard.nodes("b")
    refused: list[str] = []

    class Pressed(Client):
        def create(self, path: str, body: Any, **params: Any) -> Any:
            if path.endswith("/eviction") and not refused:
                refused.append(path)
                raise ApiBusy("too many requests", status=429, reason="TooManyRequests", delay=0.1)
            return super().create(path, body, **params)

    with Pressed(kubeconfig) as client:
        drain_nodes(client, [node], deadline=within())
    assert refused
    assert yard.pods_on(node) == []


def test_a_server_that_is_away_when_a_node_is_empty_ends_no_drain(yard: Yard, kubeconfig: dict[str, object]) -> None:
    [node] = yard.nodes("a")
    yard.workload("web", 2)
    yard.nodes("b")
    away: list[str] = []

    class Away(Client):
        def list(self, path: str, **params: Any) -> Any:
            if "spec.nodeName" in str(params.get("fieldSelector")) and len(away) < 3:
                away.append(path)
                raise ApiBusy("connection refused", delay=0.05)
            return super().list(path, **params)

    emptied: list[str] = []
    with Away(kubeconfig) as client:
        drain_nodes(client, [node], deadline=within(), on_empty=emptied.append)
    assert (len(away), emptied) == (3, [node])


def test_why_a_pod_cannot_be_evicted_is_told(yard: Yard, kubeconfig: dict[str, object]) -> None:
    [node] = yard.nodes("a")
    yard.workload("web", 1)

    class Refusing(Client):
        def create(self, path: str, body: Any, **params: Any) -> Any:
            if path.endswith("/eviction"):
                raise ApiBusy("failed calling webhook guard.example.com.", status=500, delay=0.1)
            return super().create(path, body, **params)

    with (
        Refusing(kubeconfig) as client,
        pytest.raises(DeadlineExceeded, match=r"web-\S+ could not be evicted yet: failed calling webhook guard"),
    ):
        drain_nodes(client, [node], deadline=within(2))


def test_cordon_and_uncordon_say_whether_they_changed_something(yard: Yard) -> None:
    [node] = yard.nodes("a")
    assert [cordon(yard.client, node), cordon(yard.client, node)] == [True, False]
    assert yard.cordoned(node)
    assert [uncordon(yard.client, node), uncordon(yard.client, node)] == [True, False]
    assert not yard.cordoned(node)
