"""Evidence of use: people's writes count, controllers' do not, and what cannot be read proves nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from boatyard.clock import SystemClock
from boatyard.kube.activity import is_controller, is_user_namespace, newest_write, usage
from boatyard.kube.client import ApiForbidden, Client, Response

CLOCK = SystemClock()


def item(*entries: dict[str, Any], namespace: str = "shop", **meta: Any) -> dict[str, Any]:
    base = {"name": "web", "namespace": namespace, "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": base | {"managedFields": list(entries)} | meta}


def wrote(manager: str, day: int, **more: str) -> dict[str, Any]:
    return {"manager": manager, "time": f"2026-02-{day:02}T00:00:00Z", **more}


@pytest.mark.parametrize(
    ("items", "day", "by"),
    [
        ([item(wrote("kubectl", 3), wrote("kube-controller-manager", 9))], 3, "kubectl"),
        ([item(wrote("kubectl", 3)), item(wrote("helm", 7))], 7, "helm"),
        ([item(wrote("kubectl-client-side-apply", 3), wrote("kubectl-edit", 8))], 8, "kubectl-edit"),
        ([item(wrote("someone", 3), wrote("someone", 9, subresource="status"))], 3, "someone"),
    ],
)
def test_the_newest_write_by_a_person(items: list[Any], day: int, by: str) -> None:
    found = newest_write("Deployment", items)
    assert found is not None
    assert found.at == datetime(2026, 2, day, tzinfo=UTC)
    assert found.text == f"Deployment shop/web was written by {by}"


@pytest.mark.parametrize(
    "one",
    [
        item(wrote("kube-controller-manager", 9), wrote("boatyard", 10), wrote("kwok", 11)),
        item(wrote("kubectl", 9), namespace="kube-system"),
        item(wrote("kubectl", 9), namespace="boatyard-system"),
        item(ownerReferences=[{"kind": "CronJob", "controller": True}]),
    ],
)
def test_writes_that_say_nothing_of_people(one: Any) -> None:
    assert newest_write("Job", [one]) is None


def test_without_notes_the_creation_counts() -> None:
    found = newest_write("ConfigMap", [item()])
    assert found is not None
    assert (found.at, found.text) == (datetime(2026, 1, 1, tzinfo=UTC), "ConfigMap shop/web was created")


@pytest.mark.parametrize(
    ("manager", "known"),
    [
        ("kube-scheduler", True),
        ("kubelet", True),
        ("kubectl", False),
        ("kubectl-scale", False),
        ("helm", False),
        ("argocd-application-controller", True),
        ("cluster-autoscaler", True),
        ("Mozilla", False),
        ("terraform", False),
    ],
)
def test_known_controllers(manager: str, known: bool) -> None:
    assert is_controller(manager) is known


def test_namespaces() -> None:
    assert [is_user_namespace(name) for name in ("default", "shop", "kube-system", "boatyard-system")] == [
        True,
        True,
        False,
        False,
    ]


def alone(client: Client) -> None:
    """Wait until the pods of other tests are gone with their namespaces."""
    left = {p["metadata"]["uid"] for p in client.list("/api/v1/pods") if is_user_namespace(p["metadata"]["namespace"])}
    with client.watch("/api/v1/pods", timeout=60) as watch:
        for event in watch:
            if event.type == "DELETED":
                left.discard(event.object["metadata"]["uid"])
            if event.type != "ADDED" and not left:
                return
    pytest.fail(f"{len(left)} pods of other tests do not go")


@pytest.mark.twin
def test_a_pod_is_use_now_and_a_write_is_use_then(client: Client, namespace: str) -> None:
    alone(client)
    now = CLOCK.now()
    notes = {"metadata": {"name": "notes"}, "data": {"a": "b"}}
    client.create(f"/api/v1/namespaces/{namespace}/configmaps", notes, fieldManager="kubectl")
    written = usage(client, now)
    assert written.conclusive
    assert written.last_active is not None
    assert abs(written.last_active - now) < timedelta(minutes=1)
    assert written.evidence == f"no user pods; ConfigMap {namespace}/notes was written by kubectl"

    spec = {"containers": [{"name": "c", "image": "x"}], "nodeSelector": {"no": "where"}}
    client.create(f"/api/v1/namespaces/{namespace}/pods", {"metadata": {"name": "web"}, "spec": spec})
    later = now + timedelta(hours=1)
    assert usage(client, later).last_active == later
    assert f"user pod {namespace}/web" in usage(client, later).evidence


@pytest.mark.twin
def test_what_cannot_be_read_proves_nothing(kubeconfig: dict[str, object], namespace: str) -> None:
    class Blind(Client):
        def raw(self, method: str, path: str, **more: Any) -> Response:
            if path.endswith(("/secrets", "/pods")):
                raise ApiForbidden("secrets is forbidden", status=403)
            return super().raw(method, path, **more)

    with Blind(kubeconfig) as client:
        found = usage(client, CLOCK.now())
    assert not found.conclusive
    assert "secrets is forbidden" in found.evidence


@pytest.mark.twin
def test_secrets_are_not_read(kubeconfig: dict[str, object], namespace: str) -> None:
    answers: list[bytes] = []

    class Listening(Client):
        def raw(self, method: str, path: str, **more: Any) -> Response:
            answer = super().raw(method, path, **more)
            answers.append(answer.data)
            return answer

    with Listening(kubeconfig) as client:
        client.create(
            f"/api/v1/namespaces/{namespace}/secrets",
            {"metadata": {"name": "key"}, "stringData": {"a": "b"}},
        )
        answers.clear()
        usage(client, CLOCK.now())
    assert any(b'"key"' in answer for answer in answers)
    assert not any(b'"data"' in answer for answer in answers)


def test_an_absent_server_is_not_conclusive() -> None:
    nowhere = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c"}}],
    }
    with Client(nowhere, retries=0) as client:
        found = usage(client, CLOCK.now())
    assert (found.last_active, found.conclusive) == (None, False)
