"""From an app's source to objects, and the digest of the source."""

import threading
from pathlib import Path

import pytest

from boatyard.clock import Stop
from boatyard.errors import Fenced, InvalidSpec, NotFound, Permanent
from boatyard.kube.documents import parse
from boatyard.kube.objects import Ref, adopt
from boatyard.kube.render import Capabilities, digest, render
from boatyard.spec.models import App

APPS = Path(__file__).parents[3] / "deployments" / "apps"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def no_tool(name):
    raise AssertionError(f"{name} must not be run")


def rendered(app, base, tmp_path, tool=no_tool):
    return render(app, base=base, tool=tool, cache=tmp_path / "cache")


def names(result):
    return {str(Ref.of(one.object)) for one in result.objects}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [1", "document 1: line"),
        (CONFIG + "---\n- 1\n", "document 2: expected an object"),
        ("kind: ConfigMap\nmetadata: {name: a}\n", "document 1: apiVersion is missing"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: a}\n", "no metadata.name"),
        (CONFIG + "data: {a: x, a: y}\n", "line 4: the key 'a' is there twice"),
        (CONFIG + "data: {a: " + "9" * 5000 + "}\n", "document 1: "),
        (CONFIG + "data: " + "[" * 100_000, "nested deeper than 1000 levels"),
        (CONFIG + "data: " + "{a: " * 50_000, "nested deeper than 1000 levels"),
        ("- " * 100_000, "nested deeper than 1000 levels"),
        (
            "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)),
            "aliases expand",
        ),
        (CONFIG + "data: \x00\n", "document 1: "),
        ("!!python/object:os.system {}\n", "document 1: line 1"),
    ],
)
def test_what_is_no_object_is_refused_with_its_place(text, complaint):
    with pytest.raises(InvalidSpec) as error:
        parse(text, "web.yaml")
    assert len(error.value.problems) == 1
    assert error.value.problems[0].startswith("web.yaml")
    assert complaint in error.value.problems[0]


def test_text_that_yaml_would_bend_stays_text():
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {port: 22:22, day: 2026-01-02, is: =, n: 12}\n"
    data = parse(text, "a.yaml")[0].object["data"]
    assert data == {"port": "22:22", "day": "2026-01-02", "is": "=", "n": 12}


def test_lists_are_taken_apart():
    item = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"
    text = f"apiVersion: v1\nkind: List\nitems: [{item}]\n---\n{CONFIG}"
    assert [one.where for one in parse(text, "x.yaml")] == ["x.yaml, document 1, item 1", "x.yaml, document 2"]
    typed = "apiVersion: v1\nkind: ConfigMapList\nitems: [{metadata: {name: b}}]\n"
    assert Ref.of(parse(typed, "x.yaml")[0].object) == Ref("", "ConfigMap", "", "b")


def test_folder_of_manifests_ignores_other_files(tmp_path):
    (tmp_path / "m" / "sub").mkdir(parents=True)
    (tmp_path / "m" / "sub" / "a.yml").write_text(CONFIG)
    (tmp_path / "m" / "notes.txt").write_text("{")
    (tmp_path / "m" / ".hidden.yaml").write_text("{")
    app = App(name="a", manifests="m")
    assert names(rendered(app, tmp_path, tmp_path)) == {"ConfigMap a"}


@pytest.mark.parametrize(
    ("source", "error"),
    [({"manifests": "absent"}, NotFound), ({"chart": "./absent"}, NotFound), ({"manifests": "empty"}, InvalidSpec)],
)
def test_sources_that_are_not_there(tmp_path, source, error):
    (tmp_path / "empty").mkdir()
    with pytest.raises(error, match=next(iter(source.values()))):
        rendered(App(name="a", **source), tmp_path, tmp_path)


def test_adopting_fills_in_what_the_kind_needs():
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}
    ours = adopt(secret, app="web", namespace="shop", namespaced=True)
    assert ours["metadata"] == {"name": "s", "namespace": "shop", "labels": {"boatyard.dev/app": "web"}}
    assert ours["data"] == {"a": "Yg=="}
    assert "stringData" not in ours
    node = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "namespace": "x"}}
    assert "namespace" not in adopt(node, app="web", namespace="shop", namespaced=False)["metadata"]


def test_an_empty_value_of_a_secret_is_empty():
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": None}}
    assert adopt(secret, app="web", namespace="shop", namespaced=True)["data"] == {"a": ""}


@pytest.mark.parametrize("values", [{"pin": 73195}, {"pin": True}, {"pin": {"73195": "x"}}, ["73195"]])
@pytest.mark.parametrize("field", ["data", "stringData"])
def test_values_of_secrets_that_are_no_text_are_refused_without_being_shown(field, values):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, field: values}
    with pytest.raises(InvalidSpec, match=rf"Secret s: {field}") as error:
        adopt(secret, app="web", namespace="shop", namespaced=True)
    assert "73195" not in str(error.value)


@pytest.mark.twin
def test_kustomize_renders_overlays(tmp_path, tool):
    app = App(name="guestbook", kustomize="guestbook/overlays/prod")
    result = rendered(app, APPS, tmp_path, tool)
    frontend = next(one.object for one in result.objects if one.object["metadata"]["name"] == "frontend")
    assert "PodDisruptionBudget frontend" in names(result)
    assert {one.object["spec"]["replicas"] for one in result.objects if one.object["kind"] == "Deployment"} == {3}
    assert frontend


@pytest.mark.twin
def test_helm_renders_values_definitions_and_hooks(tmp_path, tool):
    (tmp_path / "more.yaml").write_text("replicas: 2\n")
    app = App(
        name="light",
        namespace="sea",
        chart=str(APPS / "beacon"),
        values_files=("more.yaml",),
        values={"beacons": {"west": {"intervalSeconds": 5}}},
    )
    result = rendered(app, tmp_path, tmp_path, tool)
    assert {"CustomResourceDefinition beacons.example.boatyard.dev", "Beacon west", "Deployment light"} <= names(result)
    assert next(o.object for o in result.objects if o.object["kind"] == "Deployment")["spec"]["replicas"] == 2
    assert [[one.object["metadata"]["name"] for one in group] for group in result.before] == [["light-prepare"]]
    assert "light-test" not in {one.object["metadata"]["name"] for one in result.all}


@pytest.mark.twin
def test_a_chart_may_ask_a_cluster_with_thousands_of_kinds(tmp_path, tool):
    (tmp_path / "c" / "templates").mkdir(parents=True)
    (tmp_path / "c" / "Chart.yaml").write_text("apiVersion: v2\nname: c\nversion: 1.0.0\n")
    has = "{{ .Capabilities.APIVersions.Has %s }}"
    asked = f"{has % '$.Values.first'} {has % '$.Values.last'}"
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{x: '{asked}'}}\n"
    (tmp_path / "c" / "templates" / "a.yaml").write_text(text)
    kinds = tuple(f"database-{number}.aws.provider.example.com/v1beta1/ClusterInstance" for number in range(3000))
    app = App(name="a", chart="./c", values={"first": kinds[0], "last": kinds[-1]})
    able = Capabilities("1.35.0", kinds)
    result = render(app, base=tmp_path, tool=tool, cache=tmp_path / "cache", capabilities=able)
    assert result.objects[0].object["data"] == {"x": "true true"}


@pytest.mark.twin
def test_a_program_says_in_one_sentence_why_it_cannot(tmp_path, tool):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "kustomization.yaml").write_text("resources: [gone.yaml]\n")
    with pytest.raises(Permanent, match=r"gone\.yaml") as error:
        rendered(App(name="a", kustomize="bad"), tmp_path, tmp_path, tool)
    assert "\n" not in str(error.value)
    (tmp_path / "chart").mkdir()
    with pytest.raises(Permanent, match=r"Chart\.yaml"):
        rendered(App(name="a", chart="./chart"), tmp_path, tmp_path, tool)


@pytest.mark.parametrize("source", [{"kustomize": "app"}, {"chart": "oci://charts.example.com/a", "version": "1"}])
def test_a_program_that_loads_for_long_ends_with_its_operation(tmp_path, source):
    (tmp_path / "app").mkdir()
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nsleep 600\n")
    slow.chmod(0o755)
    stopped = Stop()
    threading.Timer(0.2, stopped.set).start()
    with pytest.raises(Fenced, match="stopped together with the operation"):
        render(
            App(name="a", **source),
            base=tmp_path,
            tool=lambda name: slow,
            cache=tmp_path,
            timeout=60,
            stopped=stopped,
        )


def edit(path, text):
    path.write_text(path.read_text() + text)


@pytest.fixture
def sources(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "kustomization.yaml").write_text("resources: [a.yaml]\n")
    (tmp_path / "base" / "a.yaml").write_text(CONFIG)
    (tmp_path / "over").mkdir()
    (tmp_path / "over" / "kustomization.yaml").write_text("resources: [../base]\npatches: [{path: ../patch.yaml}]\n")
    (tmp_path / "patch.yaml").write_text(CONFIG)
    (tmp_path / "values.yaml").write_text("a: 1\n")
    return tmp_path


KUSTOMIZED = App(name="a", kustomize="over")
REMOTE = App(name="a", chart="oci://charts.example.com/a", version="1", values_files=("values.yaml",), values={"a": 1})


@pytest.mark.parametrize("file", ["base/a.yaml", "base/kustomization.yaml", "patch.yaml", "over/kustomization.yaml"])
def test_digest_of_a_kustomization_follows_its_bases(sources, file):
    before = digest(KUSTOMIZED, sources)
    edit(sources / file, "# more\n")
    assert digest(KUSTOMIZED, sources) != before


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)),
        "resources: " + "[" * 100_000,
        "resources: &a [*a]",
    ],
    ids=["aliases", "levels", "itself"],
)
def test_digest_of_a_hostile_kustomization_comes_to_an_end(sources, text):
    before = digest(KUSTOMIZED, sources)
    (sources / "over/kustomization.yaml").write_text(text)
    assert digest(KUSTOMIZED, sources) != before


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("gone.yaml", r"more\.yaml is a link to gone\.yaml, which is not there"),
        ("/proc/self/mem", r"more\.yaml cannot be read"),
    ],
    ids=["lost", "unreadable"],
)
def test_a_file_of_the_source_that_cannot_be_had_is_named_and_not_taken_for_removed(tmp_path, target, said):
    (tmp_path / "m").mkdir()
    (tmp_path / "m/a.yaml").write_text(CONFIG)
    (tmp_path / "m/more.yaml").symlink_to(target)
    app = App(name="a", manifests="m")
    for work in (lambda: digest(app, tmp_path), lambda: rendered(app, tmp_path, tmp_path)):
        with pytest.raises(Permanent, match=said):
            work()


def test_digest_ignores_what_does_not_matter(sources):
    before = digest(KUSTOMIZED, sources)
    edit(sources / "values.yaml", "# more\n")
    assert digest(KUSTOMIZED.model_copy(update={"depends_on": ("b",)}), sources) == before


def test_digest_is_the_same_wherever_the_checkout_lies(sources):
    def all_three(base):
        chart = App(name="a", chart=str(base / "base"), values_files=(str(base / "values.yaml"),))
        return [
            digest(KUSTOMIZED, base),
            digest(App(name="a", manifests=str(base / "base")), base),
            digest(chart, base),
        ]

    before = all_three(sources)
    moved = sources.parent / "moved"
    sources.rename(moved)
    assert all_three(moved) == before
    assert len(set(before)) == 3


@pytest.mark.parametrize("update", [{"version": "2"}, {"values": {"a": 2}}, {"namespace": "b"}, {"name": "b"}])
def test_digest_of_a_remote_chart_is_its_reference(sources, update):
    assert digest(REMOTE.model_copy(update=update), sources) != digest(REMOTE, sources)


def test_digest_counts_values_files(sources):
    before = digest(REMOTE, sources)
    edit(sources / "values.yaml", "b: 1\n")
    assert digest(REMOTE, sources) != before
