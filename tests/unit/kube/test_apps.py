"""The whole way of an app: deployed, changed, compared, waited for, removed; on a real control plane."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from boatyard.clock import Deadline, SystemClock
from boatyard.errors import DeadlineExceeded, Fenced, InvalidSpec, Permanent
from boatyard.kube import inventory
from boatyard.kube.apps import Sources, deploy, observed_apps, remove
from boatyard.kube.client import ApiNotFound
from boatyard.kube.diff import diff, diff_removed
from boatyard.kube.objects import Ref
from boatyard.kube.waiting import wait_ready
from boatyard.spec.models import App

pytestmark = pytest.mark.twin
APPS = Path(__file__).parents[3] / "deployments" / "apps"


def within(seconds=60):
    return Deadline.after(seconds, "the test", SystemClock())


@pytest.fixture
def sources(tmp_path, tool):
    return Sources(tmp_path, tool, tmp_path / "cache")


def config_map(name, **data):
    lines = "".join(f'  {key}: "{value}"\n' for key, value in data.items())
    return f"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n{lines}"


def deployment(name, *, spec="", replicas=1):
    return f"""---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers: [{{name: c, image: shop}}]
{spec}"""


def names(client, namespace, kind="configmaps"):
    items = client.list(f"/api/v1/namespaces/{namespace}/{kind}")
    return {item["metadata"]["name"] for item in items} - {"kube-root-ca.crt"}


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("web", {"manifests": "web"}),
        ("guestbook", {"kustomize": "guestbook/overlays/prod"}),
        ("beacon", {"chart": "./beacon", "values": {"replicas": 2}}),
    ],
)
def test_example_apps_live_their_whole_life(client, node, tool, tmp_path, name, source):
    app = App(name=name, namespace=f"example-{name}", **source)
    here = Sources(APPS, tool, tmp_path)
    lines = []
    first = deploy(client, app, here, deadline=within(), report=lines.append)
    assert {one.action for one in first.applied} == {"created"}
    assert any(line.startswith("applying") for line in lines)
    known = observed_apps(client)[name]
    assert (known.digest, known.complete) == (first.digest, True)
    again = deploy(client, app, here, deadline=within())
    assert {one.action for one in again.applied if one.ref.kind != "Job"} == {"unchanged"}
    assert {change.action for change in diff(client, app, here) if change.ref.kind != "Job"} == {"same"}
    gone = remove(client, name, deadline=within())
    assert gone.kept == ()
    assert name not in observed_apps(client)
    with pytest.raises(ApiNotFound):
        client.get(f"/api/v1/namespaces/example-{name}")
    assert remove(client, name, deadline=within()).pruned == ()


def test_what_left_the_source_is_pruned_but_only_if_it_is_ours(client, namespace, sources):
    app = App(name="shop", namespace=namespace, manifests="m.yaml")
    file = sources.base / "m.yaml"
    file.write_text(config_map("a", x="1") + config_map("b", x="1") + config_map("c", x="1"))
    deploy(client, app, sources, deadline=within())
    client.patch(f"/api/v1/namespaces/{namespace}/configmaps/c", {"metadata": {"labels": {"boatyard.dev/app": None}}})
    file.write_text(config_map("a", x="1"))
    result = deploy(client, app, sources, deadline=within())
    assert result.pruned == (Ref("", "ConfigMap", namespace, "b"),)
    assert [ref.name for ref, _ in result.kept] == ["c"]
    assert names(client, namespace) == {"a", "c"}
    assert remove(client, "shop", deadline=within()).pruned == (Ref("", "ConfigMap", namespace, "a"),)


def test_a_deployment_killed_in_the_middle_has_lost_nothing(client, namespace, sources):
    app = App(name="killed", namespace=namespace, manifests="m.yaml")
    file = sources.base / "m.yaml"
    file.write_text(config_map("a", x="1") + config_map("b", x="1"))
    deploy(client, app, sources, deadline=within())
    file.write_text(config_map("a", x="2") + config_map("c", x="1"))
    calls = []

    def fence():  # the second call is right before the first object
        calls.append(1)
        if len(calls) > 1:
            raise Fenced("killed")

    with pytest.raises(Fenced):
        deploy(client, app, sources, deadline=within(), fence=fence)
    cut = inventory.read_all(client)["killed"]
    assert not cut.complete
    assert {ref.name for ref in cut.refs} == {"a", "b", "c"}
    assert names(client, namespace) == {"a", "b"}
    deploy(client, app, sources, deadline=within())
    assert names(client, namespace) == {"a", "c"}
    assert observed_apps(client)["killed"].complete
    remove(client, "killed", deadline=within())


def test_a_namespace_with_the_data_of_others_is_kept(client, sources):
    (sources.base / "m.yaml").write_text(config_map("a", x="1"))
    app = App(name="tenant", namespace="tenant-space", manifests="m.yaml")
    deploy(client, app, sources, deadline=within())
    path = "/api/v1/namespaces/tenant-space/secrets"
    client.create(path, {"metadata": {"name": "precious"}})
    result = remove(client, "tenant", deadline=within())
    assert [(ref.kind, reason) for ref, reason in result.kept] == [("Namespace", "it holds Secret precious")]
    assert names(client, "tenant-space", "secrets") == {"precious"}
    assert names(client, "tenant-space") == set()
    client.delete("/api/v1/namespaces/tenant-space")


def test_what_a_chart_asks_to_keep_outlives_its_namespace_s_app(client, sources):
    app = App(name="keeper", namespace="keeper", manifests="m.yaml")
    keep = '{name: a, annotations: {"helm.sh/resource-policy": keep}}'
    (sources.base / "m.yaml").write_text(config_map("a", x="1").replace("{name: a}", keep) + config_map("b", x="1"))
    deploy(client, app, sources, deadline=within())
    result = remove(client, "keeper", deadline=within())
    assert [ref.name for ref in result.pruned] == ["b"]
    assert dict(result.kept)[Ref("", "Namespace", "", "keeper")] == "it holds ConfigMap a"
    assert names(client, "keeper") == {"a"}
    client.delete("/api/v1/namespaces/keeper")


def chart(folder, **templates):
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: c\nversion: 1.0.0\n")
    for name, text in templates.items():
        (folder / "templates" / f"{name}.yaml").write_text(text)


def test_hooks_of_installation_run_once_and_stay_and_those_of_upgrades_run_after_it(client, namespace, sources):
    hooks = {f"{when}-{what}": f"{when}-{what}" for when in ("pre", "post") for what in ("install", "upgrade")}
    text = {
        name: config_map(name, x="{{ .Values.x }}").replace(
            f"{{name: {name}}}", f'{{name: {name}, annotations: {{"helm.sh/hook": {hook}}}}}'
        )
        for name, hook in hooks.items()
    }
    chart(sources.base / "c", **text)

    def value(name):
        return client.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")["data"]["x"]

    def app(x):
        return App(name="hooked", namespace=namespace, chart="./c", values={"x": x})

    calls = []

    def killed():
        calls.append(1)
        if len(calls) > 1:
            raise Fenced("killed")

    deploy(client, app("1"), sources, deadline=within())
    assert names(client, namespace) == {"pre-install", "post-install"}
    with pytest.raises(Fenced):
        deploy(client, app("2"), sources, deadline=within(), fence=killed)
    deploy(client, app("2"), sources, deadline=within())
    assert {name: value(name) for name in hooks} == {
        "pre-install": "1",
        "post-install": "1",
        "pre-upgrade": "2",
        "post-upgrade": "2",
    }
    remove(client, "hooked", deadline=within())
    assert names(client, namespace) == set()


def test_a_pod_that_is_a_hook_is_waited_for_to_its_end(client, node, namespace, sources):
    pod = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: migrate, annotations: {helm.sh/hook: pre-install}}\n"
        "spec: {restartPolicy: Never, containers: [{name: c, image: a}]}\n"
    )
    chart(sources.base / "c", pod=pod, app=config_map("a", x="1"))
    seen = []

    def end():
        pods = f"/api/v1/namespaces/{namespace}/pods"
        with client.watch(pods, timeout=30) as watch:
            next(e for e in watch if any(c == ("Ready", "True") for c in conditions(e.object)))
        report.wait(1)  # set only if the deployment goes on without its end
        seen.append(names(client, namespace))
        client.patch(f"{pods}/migrate/status", {"status": {"phase": "Succeeded"}})

    def conditions(pod):
        return [(each["type"], each["status"]) for each in (pod.get("status") or {}).get("conditions") or ()]

    report, other = threading.Event(), threading.Thread(target=end)
    other.start()
    app = App(name="h", namespace=namespace, chart="./c")
    deploy(client, app, sources, deadline=within(), report=lambda line: report.set() if "applying" in line else None)
    other.join()
    assert seen == [set()]
    assert names(client, namespace) == {"a"}


def test_a_job_that_went_after_its_work_counts_as_done(client, node, namespace, sources):
    job = (
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\n"
        "spec: {ttlSecondsAfterFinished: 0, "
        "template: {spec: {restartPolicy: Never, containers: [{name: c, image: a}]}}}\n"
    )
    slow = deployment("slow").replace("image: shop}]", "image: shop}]\n      nodeSelector: {no: where}")
    (sources.base / "m.yaml").write_text(job + slow)
    app = App(name="ttl", namespace=namespace, manifests="m.yaml")

    def let_go():
        gone = client.watch(f"/apis/batch/v1/namespaces/{namespace}/jobs", timeout=30)
        next(event for event in gone if event.type == "DELETED")
        client.patch(f"/apis/apps/v1/namespaces/{namespace}/deployments/slow", {"spec": {"replicas": 0}})

    other = threading.Thread(target=let_go)
    other.start()
    deploy(client, app, sources, deadline=within(40))
    other.join()
    with pytest.raises(ApiNotFound):
        client.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/j")


def test_an_object_belongs_to_one_app(client, namespace, sources):
    (sources.base / "m.yaml").write_text(config_map("a", x="1"))
    deploy(client, App(name="one", namespace=namespace, manifests="m.yaml"), sources, deadline=within())
    with pytest.raises(Permanent, match="from app one"):
        deploy(client, App(name="two", namespace=namespace, manifests="m.yaml"), sources, deadline=within())
    assert "two" not in observed_apps(client)
    remove(client, "one", deadline=within())


def test_an_unknown_kind_is_named_before_anything_changes(client, namespace, sources):
    text = config_map("a", x="1") + "---\napiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n"
    (sources.base / "m.yaml").write_text(text)
    with pytest.raises(InvalidSpec, match=r"document 2: .*no kind Widget"):
        deploy(client, App(name="odd", namespace=namespace, manifests="m.yaml"), sources, deadline=within())
    assert names(client, namespace) == set()


def test_diff_shows_fields_and_masks_secrets(client, namespace, sources):
    secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: %s}\n"
    file = sources.base / "m.yaml"
    app = App(name="compared", namespace=namespace, manifests="m.yaml")
    file.write_text(config_map("a", color="red") + config_map("b", x="1") + secret % "tulip")
    deploy(client, app, sources, deadline=within())
    file.write_text(config_map("a", color="blue") + config_map("c", x="1") + secret % "orchid")
    changes = {change.ref.name: change for change in diff(client, app, sources)}
    assert {name: change.action for name, change in changes.items()} == {
        "a": "change",
        "b": "delete",
        "c": "create",
        "s": "change",
    }
    edits = [line for line in changes["a"].text.splitlines()[2:] if line[0] in "+-"]
    assert edits == ["-  color: red", "+  color: blue"]
    assert "+  password: '*** (changed)'" in changes["s"].text
    assert "b3JjaGlk" not in changes["s"].text
    note = {"kubectl.kubernetes.io/last-applied-configuration": '{"data": {"password": "dHVsaXA="}}'}
    client.patch(f"/api/v1/namespaces/{namespace}/secrets/s", {"metadata": {"annotations": note}})
    file.write_text(config_map("a", color="red"))
    assert "dHVsaXA" not in "".join(change.text for change in diff(client, app, sources))
    file.write_text(config_map("a", color="blue") + config_map("c", x="1"))
    assert names(client, namespace) == {"a", "b"}
    remove(client, "compared", deadline=within())


def test_diff_shows_a_job_that_is_replaced(client, node, namespace, sources):
    job = (
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\n"
        "spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: %s}]}}}\n"
    )
    app = App(name="replaced", namespace=namespace, manifests="m.yaml")
    (sources.base / "m.yaml").write_text(job % "old")
    deploy(client, app, sources, deadline=within())
    (sources.base / "m.yaml").write_text(job % "new")
    [change] = diff(client, app, sources)
    edits = [line.split()[-1] for line in change.text.splitlines()[2:] if line[0] in "+-"]
    assert (change.action, edits) == ("replace", ["old", "new"])
    remove(client, "replaced", deadline=within())


def test_diff_shows_hooks_only_where_they_would_run(client, namespace, sources):
    hook = config_map("hook", x="1").replace("{name: hook}", "{name: hook, annotations: {helm.sh/hook: 'pre-install'}}")
    chart(sources.base / "c", hook=hook, app=config_map("a", x="{{ .Values.x }}"))
    app = App(name="calm", namespace=namespace, chart="./c", values={"x": "1"})
    assert {change.ref.name for change in diff(client, app, sources)} == {"a", "hook"}
    deploy(client, app, sources, deadline=within())
    client.delete(f"/api/v1/namespaces/{namespace}/configmaps/hook")
    assert [change.action for change in diff(client, app, sources)] == ["same"]
    remove(client, "calm", deadline=within())


def test_diff_shows_what_is_removed_and_not_what_is_kept(client, namespace, sources):
    keep = "{name: b, annotations: {helm.sh/resource-policy: keep}}"
    text = config_map("a", x="1") + config_map("b", x="1").replace("{name: b}", keep)
    (sources.base / "m.yaml").write_text(text)
    deploy(client, App(name="leaver", namespace=namespace, manifests="m.yaml"), sources, deadline=within())
    gone = diff_removed(client, {"stayer"})["leaver"]
    assert [(change.ref.name, change.action) for change in gone] == [("a", "delete")]
    assert "leaver" not in diff_removed(client, {"leaver"})
    remove(client, "leaver", deadline=within())


@pytest.mark.parametrize(
    ("text", "causes"),
    [
        (deployment("d", spec="      nodeSelector: {disk: none}\n"), ["no node takes it", "node affinity"]),
        (
            deployment("d", spec="      volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]\n")
            + "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: "
            + "{accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n",
            ["PersistentVolumeClaim data has no volume", "no persistent volumes available"],
        ),
        (
            "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q}\nspec: {hard: {pods: 0}}\n" + deployment("d"),
            ["the namespace's quota is used up", "limited: pods=0"],
        ),
    ],
    ids=["unschedulable", "volume", "quota"],
)
def test_the_deadline_says_why(client, node, namespace, sources, text, causes):
    (sources.base / "m.yaml").write_text(text)
    app = App(name="stuck", namespace=namespace, manifests="m.yaml", timeout=timedelta(seconds=4))
    with pytest.raises(DeadlineExceeded) as error:
        deploy(client, app, sources, deadline=within())
    assert str(error.value).startswith("deploying app stuck did not end in time:\n")
    for cause in causes:
        assert cause in str(error.value)
    assert not observed_apps(client)["stuck"].complete
    remove(client, "stuck", deadline=within())


def test_a_failed_job_ends_the_wait_at_once(client, namespace, sources):
    text = """apiVersion: batch/v1
kind: Job
metadata: {name: j}
spec:
  activeDeadlineSeconds: 1
  template: {spec: {restartPolicy: Never, nodeSelector: {disk: none}, containers: [{name: c, image: c}]}}
"""
    (sources.base / "m.yaml").write_text(text)
    app = App(name="doomed", namespace=namespace, manifests="m.yaml")
    with pytest.raises(Permanent, match="has failed: Job was active longer"):
        deploy(client, app, sources, deadline=within())
    remove(client, "doomed", deadline=within())


def test_waiting_hears_of_what_appears_later(client, namespace):
    ref = Ref("", "Pod", namespace, "late")
    lines: list[str] = []
    told = threading.Event()

    def report(line):
        lines.append(line)
        told.set()

    def create_when_told():
        told.wait(20)
        pod = {"metadata": {"name": "late"}, "spec": {"containers": [{"name": "c", "image": "c"}]}}
        client.create(f"/api/v1/namespaces/{namespace}/pods", pod)
        client.patch(
            f"/api/v1/namespaces/{namespace}/pods/late/status",
            {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}},
        )

    thread = threading.Thread(target=create_when_told)
    thread.start()
    wait_ready(client, [ref], deadline=within(20), report=report)
    thread.join()
    assert "does not exist" in lines[0]
