"""Good specs: what they become, and where their paths lead."""

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from boatyard.errors import InvalidSpec
from boatyard.run import run
from boatyard.spec.document import parse
from boatyard.spec.load import load_cluster, load_text
from boatyard.spec.models import Cluster, Pool
from boatyard.spec.types import format_duration, parse_duration

HEAD = 'name: shop\nprovider: {kind: kwok}\nkubernetes: {version: "1.35"}\n'


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_defaults_fill_what_is_left_out(tmp_path: Path) -> None:
    cluster = load_cluster(write(tmp_path / "shop.yaml", HEAD))
    assert cluster.kubernetes.channel == "stable"
    assert cluster.control_plane.count == 1
    assert cluster.policy.upgrade.drain_timeout == timedelta(minutes=15)


def test_paths_start_at_the_file_and_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    write(tmp_path / "apps" / "web.yaml", "")
    write(tmp_path / "apps" / "kustomization.yaml", "")
    write(tmp_path / "chart" / "Chart.yaml", "")
    apps = (
        "apps:\n  - {name: a, manifests: ../apps/web.yaml}\n  - {name: b, kustomize: ../apps}\n"
        "  - {name: c, chart: ../chart, values_files: [../apps/web.yaml]}\n"
        "  - {name: d, chart: web, repository: https://charts.example.com}\n  - {name: e, chart: oci://example.com/web}\n"
    )
    write(tmp_path / "clusters" / "shop.yaml", HEAD + apps)
    monkeypatch.chdir(tmp_path / "apps")
    cluster = load_cluster(Path("../clusters/shop.yaml"))
    root = tmp_path.resolve()
    assert [app.manifests or app.kustomize or app.chart for app in cluster.apps] == [
        str(root / "apps" / "web.yaml"),
        str(root / "apps"),
        str(root / "chart"),
        "web",
        "oci://example.com/web",
    ]
    assert cluster.apps[2].values_files == (str(root / "apps" / "web.yaml"),)


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_symbolic_link_does_not_lead_out_of_the_project(link: str, tmp_path: Path) -> None:
    write(tmp_path / "secret" / "password", "x")
    project = tmp_path / "project"
    spec = write(project / "shop.yaml", HEAD + "apps: [{name: a, manifests: inside}]\n")
    (project / "inside").symlink_to(tmp_path / "secret" / ("password" if link == "file" else ""))
    with pytest.raises(InvalidSpec, match="outside the project"):
        load_cluster(spec)


def test_without_a_project_only_the_files_own_folder_counts(tmp_path: Path) -> None:
    write(tmp_path / "web.yaml", "")
    spec = write(tmp_path / "specs" / "shop.yaml", HEAD + "apps: [{name: a, manifests: ../web.yaml}]\n")
    with pytest.raises(InvalidSpec, match="outside the project"):
        load_cluster(spec)
    write(tmp_path / "fleet.yaml", "kind: Fleet\n")
    assert load_cluster(spec).apps[0].manifests == str((tmp_path / "web.yaml").resolve())


def test_anchors_save_typing() -> None:
    cluster = load_text(HEAD + "labels: &l {a: b}\npools: [{name: web, labels: *l}]\n")
    assert cluster.pools[0].labels == {"a": "b"}


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert load_text(b"\xef\xbb\xbf" + HEAD.encode()).name == "shop"


def test_rules_between_fields_hold_for_clusters_from_forms_too() -> None:
    with pytest.raises(ValidationError, match="at least min"):
        Pool(name="web", min=3, max=1)
    good = load_text(HEAD).model_dump(mode="json")
    with pytest.raises(ValidationError, match="overlaps"):
        Cluster.model_validate({**good, "network": {"pods": "10.0.0.0/8"}})


def test_a_stored_cluster_outlives_the_versions_its_provider_offers() -> None:
    stored = load_text(HEAD).model_dump(mode="json") | {"kubernetes": {"version": "1.20"}}
    assert Cluster.model_validate(stored).kubernetes.version == "1.20"


NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
LABELS = st.dictionaries(NAMES, st.sampled_from(["", "a", "no", "1.0", "true"]), max_size=2)
POOLS = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "min": st.integers(0, 5)},
        optional={"max": st.integers(5, 9), "labels": LABELS, "spot": st.booleans()},
    ),
    unique_by=lambda pool: pool["name"],
    max_size=4,
)
WORDS = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" \n\t"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(-1e300, 1e300) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
SPECS = st.fixed_dictionaries(
    {"name": NAMES, "provider": st.just({"kind": "kwok"}), "kubernetes": st.just({"version": "1.35"})},
    optional={
        "owner": st.text("abc @.é'\"#:", max_size=10),
        "labels": LABELS,
        "pools": POOLS,
        "apps": st.lists(st.fixed_dictionaries({"name": st.just("a"), "chart": st.just("oci://x")}), max_size=1),
        "policy": st.fixed_dictionaries({}, optional={"ttl": st.sampled_from(["8h", "1w"]), "protect": st.booleans()}),
    },
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SPECS, st.booleans())
def test_what_is_written_is_what_is_loaded(spec: dict[str, object], block: bool) -> None:
    text = yaml.safe_dump(spec, default_flow_style=not block, allow_unicode=True)
    cluster = load_text(text)
    assert cluster == Cluster.model_validate_json(json.dumps(spec))
    assert load_text(json.dumps(cluster.model_dump(mode="json"))) == cluster


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_json_is_read_as_json(value: object) -> None:
    text = json.dumps({"values": value}, ensure_ascii=False)
    documents, problems = parse(text, "text")
    assert problems == []
    assert documents[0].data() == {"values": value}


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 100 * 365 * 86400))
def test_durations_round_trip(seconds: int) -> None:
    value = timedelta(seconds=seconds)
    assert parse_duration(format_duration(value)) == value


def test_loading_needs_neither_prefect_nor_a_driver_s_machinery() -> None:
    code = "import sys, boatyard.spec.load; print(*sorted(sys.modules))"
    modules = set(run([sys.executable, "-c", code], timeout=60).stdout.split())
    heavy = {"prefect", "kubernetes", "boto3", "sqlalchemy", "rich", "difflib", "boatyard.drivers.kwok.driver"}
    assert not modules & heavy
