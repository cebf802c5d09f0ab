"""Fleets, their defaults, and templates."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from boatyard.errors import InvalidSpec, NotFound
from boatyard.spec.fleet import load_fleet
from boatyard.spec.load import load_cluster
from boatyard.spec.template import instantiate, load_template

FLEET = """\
kind: Fleet
name: shop
defaults:
  owner: platform@example.com
  labels: {fleet: shop}
  provider: {kind: kwok}
  kubernetes: {version: "1.35", channel: regular}
  policy: {maintenance: {window: "Sat 02:00-06:00 Europe/Berlin"}}
"""
TEMPLATE = """\
kind: ClusterTemplate
name: preview
pools: [{name: web, min: 2}]
labels: {purpose: preview}
policy: {ttl: 8h}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clusters").mkdir()
    (tmp_path / "templates").mkdir()
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "web.yaml").write_text("kind: Pod\n")
    (tmp_path / "fleet.yaml").write_text(FLEET)
    (tmp_path / "a.yaml").write_text("name: a\n")
    (tmp_path / "clusters" / "more.yaml").write_text(
        "name: b\nkubernetes: {channel: rapid}\nlabels: {own: x}\n---\nname: c\nowner: c@example.com\n"
    )
    (tmp_path / "templates" / "preview.yaml").write_text(TEMPLATE)
    return tmp_path


def problems(folder: Path) -> list[str]:
    with pytest.raises(InvalidSpec) as caught:
        load_fleet(folder)
    return [line.replace(str(folder) + "/", "") for line in caught.value.problems]


def test_defaults_lie_under_every_cluster_key_by_key(folder: Path) -> None:
    fleet = load_fleet(folder)
    assert sorted(fleet.clusters) == ["a", "b", "c"]
    assert fleet.clusters["b"].kubernetes.channel == "rapid"
    assert fleet.clusters["b"].kubernetes.version == "1.35"
    assert fleet.clusters["b"].labels == {"fleet": "shop", "own": "x"}
    assert fleet.clusters["c"].owner == "c@example.com"
    assert fleet.sources["c"] == str(folder / "clusters" / "more.yaml")


def test_one_file_of_a_fleet_is_the_same_cluster_as_in_the_fleet(folder: Path) -> None:
    (folder / "clusters" / "d.yaml").write_text("name: d\napps: [{name: w, manifests: ../apps/web.yaml}]\n")
    fleet = load_fleet(folder)
    assert load_cluster(folder / "clusters" / "d.yaml") == fleet.clusters["d"]
    assert load_cluster(folder / "a.yaml") == fleet.clusters["a"]


def test_all_mistakes_of_all_files_at_once_and_those_of_the_defaults_once(folder: Path) -> None:
    (folder / "fleet.yaml").write_text(FLEET.replace("channel: regular", "channel: regulr").replace("Berlin", "Belin"))
    (folder / "a.yaml").write_text("name: b\nnetwork: {pods: 10.96.0.0/16}\n")
    (folder / "broken.yaml").write_text("name: [\n")
    (folder / "latin.yaml").write_bytes(b"name: \xfc\n")
    assert [line.split(": found")[0] for line in problems(folder)] == [
        "latin.yaml:1:7",
        "a.yaml:2:17: network.pods",
        "broken.yaml:2:1: not valid YAML: did not find expected node content",
        "clusters/more.yaml:1:7: name",
        "fleet.yaml:7:42: defaults.kubernetes.channel",
        "fleet.yaml:8:34: defaults.policy.maintenance.window",
    ]


def test_what_defaults_lack_for_a_cluster_is_not_lost(folder: Path) -> None:
    (folder / "fleet.yaml").write_text(FLEET + "  network: {pods: 10.96.0.0/17}\n")
    (folder / "b.yaml").write_text("name: e\nnetwork: {services: 10.96.0.0/20}\n")
    assert any("overlaps" in line for line in problems(folder))
    (folder / "fleet.yaml").write_text(FLEET.replace("policy: {", "policy: {idle: {grace: 1d}, "))
    assert any("policy.idle.after: found nothing" in line for line in problems(folder))


def test_another_provider_kind_does_not_inherit_settings(folder: Path) -> None:
    (folder / "fleet.yaml").write_text(FLEET.replace("{kind: kwok}", "{kind: kops, state_store: s3://x}"))
    for name in ("a.yaml", "clusters/more.yaml", "templates/preview.yaml"):
        (folder / name).unlink()
    (folder / "a.yaml").write_text("name: a\nprovider: {kind: kwok}\n")
    assert load_cluster(folder / "a.yaml").provider.kind == "kwok"


def test_defaults_cannot_name_a_cluster(folder: Path) -> None:
    (folder / "fleet.yaml").write_text(FLEET + "  name: x\n")
    assert [line.split(": found")[0] for line in problems(folder)] == ["fleet.yaml:9:3: defaults.name"]


@pytest.mark.parametrize("missing", ["folder", "file"])
def test_a_folder_without_fleet_file_is_not_found(missing: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load_fleet(tmp_path if missing == "file" else tmp_path / "absent")


def test_a_template_becomes_a_cluster(folder: Path) -> None:
    template = load_fleet(folder).templates["preview"]
    assert load_template(folder / "templates" / "preview.yaml") == template
    cluster = instantiate(
        json.loads(json.dumps(template)), "pr-12", owner="me", labels={"pr": "12"}, ttl=timedelta(hours=2)
    )
    assert (cluster.name, cluster.owner, cluster.kind) == ("pr-12", "me", "Cluster")
    assert cluster.labels == {"fleet": "shop", "purpose": "preview", "pr": "12"}
    assert cluster.policy.ttl == timedelta(hours=2)
    assert cluster.pools[0].min == 2
    assert instantiate(template, "pr-13").policy.ttl == timedelta(hours=8)


@pytest.mark.parametrize(
    ("change", "name", "field"),
    [
        ({"policy": {}}, "pr-1", "policy.ttl"),
        ({"policy": {"ttl": "8h", "protect": True}}, "pr-1", "policy.protect"),
        ({}, "PR_1; rm -rf", "name"),
        ({"pools": 5}, "pr-1", "pools"),
    ],
)
def test_a_template_that_cannot_end_or_makes_nonsense_is_refused(
    change: dict[str, object], name: str, field: str, folder: Path
) -> None:
    template = load_template(folder / "templates" / "preview.yaml") | change
    with pytest.raises(InvalidSpec) as caught:
        instantiate(template, name)
    assert [line.split(": ")[1] for line in caught.value.problems] == [field]
