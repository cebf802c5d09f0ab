"""Server-side apply against a real API server."""

import threading

import pytest

from boatyard.clock import Deadline, SystemClock
from boatyard.errors import DeadlineExceeded, Fenced, NotFound, Permanent, Temporary
from boatyard.kube.apply import ApplyConflicts, apply_objects
from boatyard.kube.client import APPLY, Client
from boatyard.kube.objects import Ref, adopt
from boatyard.kube.prune import prune

pytestmark = pytest.mark.twin


def soon():
    return Deadline.after(60, "the test", SystemClock())


def config_map(name, namespace, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def definition(plural):
    kind = plural.capitalize()
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.test.boatyard.dev"},
        "spec": {
            "group": "test.boatyard.dev",
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def actions(applied):
    return [one.action for one in applied]


def test_tells_created_configured_and_unchanged_apart(client, namespace):
    objects = [config_map(f"a{n}", namespace, color="red") for n in range(3)]
    assert actions(apply_objects(client, objects, deadline=soon())) == ["created"] * 3
    assert actions(apply_objects(client, objects, deadline=soon())) == ["unchanged"] * 3
    objects[1] = config_map("a1", namespace, color="blue")
    assert actions(apply_objects(client, objects, deadline=soon())) == ["unchanged", "configured", "unchanged"]


def test_what_others_changed_is_not_counted_as_ours(client, namespace):
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "c"}]},
            },
        },
    }
    first = apply_objects(client, [deployment], deadline=soon())[0]
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    for event in client.watch(path, resource_version=first.object["metadata"]["resourceVersion"], timeout=20):
        if event.object.get("status", {}).get("observedGeneration") == 1:
            break
    assert actions(apply_objects(client, [deployment], deadline=soon())) == ["unchanged"]


def test_definitions_and_namespaces_come_before_what_needs_them(client, namespace):
    other = f"{namespace}-more"
    objects = [
        {"apiVersion": "test.boatyard.dev/v1", "kind": "Boats", "metadata": {"name": "b", "namespace": other}},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p", "namespace": other},
            "spec": {"containers": [{"name": "c", "image": "c"}]},
        },
        definition("boats"),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}},
    ]
    try:
        assert actions(apply_objects(client, objects, deadline=soon())) == ["created"] * 4
    finally:
        client.delete(f"/api/v1/namespaces/{other}")
        client.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/boats.test.boatyard.dev")


def test_a_definition_that_serves_nothing_is_applied_and_not_pruned(client):
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/rafts.test.boatyard.dev"
    unserved = adopt(definition("rafts"), app="retired", namespace="", namespaced=False)
    unserved["spec"]["versions"][0]["served"] = False
    try:
        assert actions(apply_objects(client, [unserved], deadline=soon())) == ["created"]
        gone = prune(client, "retired", [Ref.of(unserved)], deadline=soon())
        assert (gone.deleted, list(gone.held)) == ((), [Ref.of(unserved)])
        assert "none of its versions is served" in gone.kept[0][1]
    finally:
        client.delete(path)


def test_all_conflicts_are_told_at_once_and_force_takes_over(client, namespace):
    objects = [config_map(f"a{n}", namespace, color="blue") for n in range(3)]
    for name, manager in (("a0", "alice"), ("a2", "bob")):
        path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
        client.patch(path, config_map(name, namespace, color="red"), APPLY, fieldManager=manager)
    with pytest.raises(ApplyConflicts) as error:
        apply_objects(client, objects, deadline=soon())
    assert error.value.conflicts == (
        (Ref("", "ConfigMap", namespace, "a0"), ".data.color", "alice"),
        (Ref("", "ConfigMap", namespace, "a2"), ".data.color", "bob"),
    )
    assert actions(apply_objects(client, objects, deadline=soon(), force=True)) == [
        "configured",
        "unchanged",
        "configured",
    ]


def test_every_refusal_is_told_and_the_rest_is_applied(client, namespace):
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": namespace}, "spec": {}}
    lost = config_map("lost", "no-such-namespace")
    with pytest.raises(Permanent) as error:
        apply_objects(client, [wrong, lost, config_map("fine", namespace)], deadline=soon())
    assert f"Service {namespace}/s: " in str(error.value)
    assert "ConfigMap no-such-namespace/lost: " in str(error.value)
    assert client.get(f"/api/v1/namespaces/{namespace}/configmaps/fine")


def test_a_job_of_ours_with_another_template_is_replaced(client, namespace):
    def job(image, **labels):
        pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": image}]}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": f"j{len(labels)}", "namespace": namespace, "labels": labels},
            "spec": {"template": {"spec": pod}},
        }

    mine = {"boatyard.dev/app": "x"}
    apply_objects(client, [job("a"), job("a", **mine)], deadline=soon())
    assert actions(apply_objects(client, [job("b", **mine)], deadline=soon())) == ["replaced"]
    with pytest.raises(Permanent, match="immutable"):
        apply_objects(client, [job("b")], deadline=soon())


def test_nothing_is_written_once_the_lease_is_lost(client, namespace):
    def fence():
        raise Fenced("lost")

    with pytest.raises(Fenced):
        apply_objects(client, [config_map("a", namespace)], deadline=soon(), fence=fence)
    assert client.list(f"/api/v1/namespaces/{namespace}/configmaps", fieldSelector="metadata.name=a") == []


def test_dry_run_changes_nothing(client, namespace):
    apply_objects(client, [config_map("a", namespace)], deadline=soon(), dry_run=True)
    assert client.list(f"/api/v1/namespaces/{namespace}/configmaps", fieldSelector="metadata.name=a") == []


def test_the_same_object_twice_is_refused(client, namespace):
    with pytest.raises(Permanent, match="twice"):
        apply_objects(client, [config_map("a", namespace)] * 2, deadline=soon())


def test_what_is_being_deleted_is_made_anew_once_it_has_gone(client, namespace):
    collection = f"/api/v1/namespaces/{namespace}/configmaps"
    client.create(collection, {"metadata": {"name": "a", "finalizers": ["example.com/x"]}, "data": {"x": "1"}})
    client.delete(f"{collection}/a")

    def let_go():
        with client.watch(collection, timeout=30, fieldSelector="metadata.name=a") as watch:
            next(event for event in watch if (event.object.get("data") or {}).get("x") == "2")
        client.patch(f"{collection}/a", {"metadata": {"finalizers": None}})

    short = Deadline.after(0.5, "the test", SystemClock())
    with pytest.raises(DeadlineExceeded, match=r"ConfigMap \S+/a \(held by the finalizers example.com/x\)"):
        apply_objects(client, [config_map("a", namespace, x="1")], deadline=short, force=True)
    other = threading.Thread(target=let_go)
    other.start()
    done = apply_objects(client, [config_map("a", namespace, x="2")], deadline=soon(), force=True)
    other.join()
    assert actions(done) == ["replaced"]
    assert "deletionTimestamp" not in client.get(f"{collection}/a")["metadata"]


def test_a_namespace_on_its_way_out_is_waited_for_and_says_what_holds_it(client):
    collection = "/api/v1/namespaces/leaving/configmaps"
    client.create("/api/v1/namespaces", {"metadata": {"name": "leaving"}})
    client.create(collection, {"metadata": {"name": "held", "finalizers": ["example.com/x"]}})
    client.delete("/api/v1/namespaces/leaving")
    with client.watch("/api/v1/namespaces", timeout=30, fieldSelector="metadata.name=leaving") as watch:
        next(event for event in watch if "NamespaceFinalizersRemaining" in str(event.object.get("status")))
    with pytest.raises(Temporary, match="being terminated"):  # made by others: it may come back
        apply_objects(client, [config_map("a", "leaving")], deadline=soon())
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "leaving"}}
    short = Deadline.after(1, "the test", SystemClock())
    with pytest.raises(DeadlineExceeded, match=r"Namespace leaving \(.*example.com/x in 1 resource instances"):
        apply_objects(client, [space, config_map("a", "leaving")], deadline=short)
    client.patch(f"{collection}/held", {"metadata": {"finalizers": None}})
    done = apply_objects(client, [space, config_map("a", "leaving")], deadline=soon())
    assert done[1].action == "created"
    client.delete("/api/v1/namespaces/leaving")


def test_a_new_kind_that_another_server_has_not_heard_of_yet_is_waited_for(client, kubeconfig, namespace):
    """Discovery lags behind, as that of the second of three API servers does."""
    asked = []

    class Lagging(Client):
        def resource(self, api_version, kind):
            if kind == "Buoys":
                asked.append(kind)
                if len(asked) < 3:
                    raise NotFound(f"The API server has no kind {kind}")
            return super().resource(api_version, kind)

    own = {"apiVersion": "test.boatyard.dev/v1", "kind": "Buoys", "metadata": {"name": "b", "namespace": namespace}}
    with Lagging(kubeconfig) as lagging:
        done = apply_objects(lagging, [definition("buoys"), own], deadline=soon())
    assert actions(done) == ["created", "created"]
    client.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/buoys.test.boatyard.dev")


def test_what_an_operator_makes_anew_at_once_is_not_waited_for(client, kubeconfig, namespace):
    apply_objects(client, [adopt(config_map("a", namespace), app="x", namespace="", namespaced=True)], deadline=soon())
    collection = f"/api/v1/namespaces/{namespace}/configmaps"

    class Watched(Client):
        def delete(self, path, **options):
            answer = super().delete(path, **options)
            client.create(collection, {"metadata": {"name": "a"}})
            return answer

    ref = Ref("", "ConfigMap", namespace, "a")
    with Watched(kubeconfig) as watched:
        assert prune(watched, "x", [ref], deadline=soon()).deleted == (ref,)
    assert client.get(f"{collection}/a")
