"""The client against a real API server."""

import threading

import pytest

from boatyard.clock import Deadline, SystemClock
from boatyard.errors import Fenced, NotFound, Permanent, Temporary
from boatyard.kube.client import APPLY, ApiConflict, ApiInvalid, ApiNotFound, Client

pytestmark = pytest.mark.twin


def config_map(name, namespace, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def test_writes_and_reads_back(client, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    client.create(path, config_map("a", namespace, color="red"))
    client.patch(f"{path}/a", {"data": {"color": "blue"}})
    assert client.get(f"{path}/a")["data"] == {"color": "blue"}
    client.delete(f"{path}/a")
    with pytest.raises(ApiNotFound) as error:
        client.get(f"{path}/a")
    assert isinstance(error.value, NotFound)
    assert error.value.status == 404


def test_list_goes_over_all_chunks_and_fills_in_kinds(client, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for number in range(7):
        client.create(path, config_map(f"c{number}", namespace))
    items = [i for i in client.list(path, limit=2) if i["metadata"]["name"].startswith("c")]
    assert len(items) == 7
    assert {(i["apiVersion"], i["kind"]) for i in items} == {("v1", "ConfigMap")}


def test_apply_conflict_names_field_and_manager(client, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps/a"
    client.patch(path, config_map("a", namespace, color="red"), APPLY, fieldManager="someone")
    with pytest.raises(ApiConflict) as error:
        client.patch(path, config_map("a", namespace, color="blue"), APPLY, fieldManager="boatyard")
    assert [(c.manager, c.field) for c in error.value.fields] == [("someone", ".data.color")]


def test_invalid_object_is_permanent(client, namespace):
    with pytest.raises(ApiInvalid) as error:
        client.create(f"/api/v1/namespaces/{namespace}/services", {"metadata": {"name": "s"}, "spec": {}})
    assert "spec.ports" in str(error.value)
    assert isinstance(error.value, Permanent)


def test_discovery_knows_paths_and_scopes(client):
    deployment = client.resource("apps/v1", "Deployment")
    assert deployment.path("shop", "web") == "/apis/apps/v1/namespaces/shop/deployments/web"
    assert "status" in deployment.subresources
    node = client.resource("v1", "Node")
    assert node.path("ignored", "n") == "/api/v1/nodes/n"
    assert (
        client.resource("rbac.authorization.k8s.io/v1", "ClusterRole").path(name="system:node").endswith("/system:node")
    )
    with pytest.raises(NotFound, match="apps/v1"):
        client.resource("apps/v1beta1", "Deployment")


def test_kinds_of_an_api_whose_server_is_away_are_unknown_and_not_gone(client):
    """Another server's API, which the API server only passes on."""
    path, name = "/apis/apiregistration.k8s.io/v1/apiservices", "v1.away.example.com"
    spec = {
        "group": "away.example.com",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 10,
        "insecureSkipTLSVerify": True,
        "service": {"name": "none", "namespace": "default"},
    }
    client.create(path, {"metadata": {"name": name}, "spec": spec})
    deadline = Deadline.after(20, "the API server's news of it", SystemClock())
    try:
        while not isinstance(_asked(client), Temporary):
            deadline.check("the API server's news of it")
            deadline.clock.wait(threading.Event(), 0.1)
        with pytest.raises(Temporary, match=f"describe apiservice {name}"):
            client.discovery.preferred("away.example.com", "Thing")
        assert client.resource("apps/v1", "Deployment")
        with pytest.raises(NotFound):
            client.discovery.preferred("nowhere.example.com", "Thing")
    finally:
        client.delete(f"{path}/{name}")


def _asked(client):
    try:
        return client.resource("away.example.com/v1", "Thing")
    except (NotFound, Temporary) as error:
        return error


def test_watch_gives_the_list_then_changes(client, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    client.create(path, config_map("a", namespace))
    seen = []
    for event in client.watch(path, timeout=20, fieldSelector="metadata.name=a"):
        seen.append(event.type)
        if event.type == "SYNCED":
            client.patch(f"{path}/a", {"data": {"x": "1"}})
        elif event.type == "MODIFIED":
            client.delete(f"{path}/a")
        elif event.type == "DELETED":
            break
    assert seen == ["ADDED", "SYNCED", "MODIFIED", "DELETED"]


def test_watch_ends_at_its_timeout(client, namespace):
    watch = client.watch(f"/api/v1/namespaces/{namespace}/secrets", timeout=0.5)
    assert [event.type for event in watch] == ["SYNCED"]


def test_watch_is_stopped_from_another_thread(client, namespace):
    watch = client.watch(f"/api/v1/namespaces/{namespace}/secrets")
    synced = threading.Event()
    events = []

    def read():
        for event in watch:
            events.append(event.type)
            synced.set()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    assert synced.wait(20)
    watch.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert events == ["SYNCED"]


def test_watch_ends_with_the_operation_it_is_for(client, namespace):
    deadline = Deadline.after(60, "waiting for secrets", SystemClock())
    watch = client.watch(f"/api/v1/namespaces/{namespace}/secrets", deadline=deadline)
    events = iter(watch)
    assert next(events).type == "SYNCED"
    threading.Timer(0.2, deadline.stopped.set, ("the lease was lost",)).start()
    with pytest.raises(Fenced, match="waiting for secrets was broken off: the lease was lost"):
        next(events)


def test_watch_from_a_version_too_old_lists_again(client, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    client.create(path, config_map("a", namespace))
    watch = client.watch(path, resource_version="1", timeout=20, fieldSelector="metadata.name=a")
    first = next(iter(watch))
    assert first.type == "ADDED"
    assert first.object["metadata"]["name"] == "a"


def test_no_server_is_temporary():
    document = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c"}}],
    }
    with Client(document, retries=0) as nobody, pytest.raises(Temporary, match="connection refused"):
        nobody.version()


def test_no_key_file_is_left(kubeconfig, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with Client(kubeconfig) as other:
        assert other.version()["major"] == "1"
    assert list(tmp_path.iterdir()) == []
