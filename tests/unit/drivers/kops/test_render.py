"""Specs become what kOps takes: cases of a spec and its manifests, the recorded cluster, and what changes tell."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from boatyard.drivers.kops.compare import differences, merged
from boatyard.drivers.kops.render import group_names, manifests
from boatyard.spec.load import load_text
from boatyard.spec.models import Cluster

CASES = Path(__file__).parents[3] / "cases" / "kops" / "rendered"
RENDERED = sorted(path for path in CASES.glob("*.yaml") if path.name != "recorded.yaml")
SPEC = {
    "apiVersion": "boatyard/v1",
    "kind": "Cluster",
    "name": "k8s.example.com",
    "provider": {"kind": "kops", "state_store": "s3://kops-state", "zones": ["us-east-1a"], "dns": "none"},
    "kubernetes": {"version": "1.35"},
    "control_plane": {"size": "t3.medium"},
    "pools": [{"name": "web", "size": "t3.medium", "min": 2}],
}


def cluster(provider: Mapping[str, Any] | None = None, pool: Mapping[str, Any] | None = None, **more: Any) -> Cluster:
    whole = SPEC | {"provider": SPEC["provider"] | (provider or {}), "pools": [SPEC["pools"][0] | (pool or {})]} | more
    return load_text(yaml.safe_dump(whole))


@pytest.mark.parametrize("case", RENDERED, ids=lambda path: path.stem)
def test_a_spec_gives_these_manifests(case: Path) -> None:
    text, *expected = case.read_text().split("\n---\n")
    wanted = [yaml.safe_load(one) for one in expected]
    made = load_text(text)
    assert manifests(made, "1.35.5") == wanted
    assert group_names(made) == [one["metadata"]["name"] for one in wanted[1:]]


def test_the_recorded_cluster_differs_in_nothing_but_what_kops_filled_in() -> None:
    case = yaml.safe_load((CASES / "recorded.yaml").read_text())
    stored = case["stored"]
    desired = manifests(
        cluster(
            {"channel": "file:///srv/kops/channels/stable"},
            {"name": "nodes-us-east-1a"},
        ),
        case["version"],
    )
    assert not differences(desired, stored)
    back = differences(stored, desired)
    assert back.cluster == ()
    assert back.groups["control-plane-us-east-1a"] == (f"spec.image: nothing, {stored[1]['spec']['image']} is wanted",)


@pytest.mark.parametrize(
    ("count", "zones", "groups", "members"),
    [
        (1, "a", ["control-plane-us-east-1a"], ["a"]),
        (3, "abc", [f"control-plane-us-east-1{zone}" for zone in "abc"], ["a", "b", "c"]),
        (1, "abc", ["control-plane-us-east-1a"], ["a"]),
        (3, "a", [f"control-plane-us-east-1a-{at}" for at in (1, 2, 3)], ["etcd-1", "etcd-2", "etcd-3"]),
        (
            5,
            "ab",
            [f"control-plane-us-east-1{name}" for name in ("a-1", "b-1", "a-2", "b-2", "a-3")],
            ["a-1", "b-1", "a-2", "b-2", "a-3"],
        ),
    ],
)
def test_control_planes_spread_over_zones_by_kops_names(
    count: int, zones: str, groups: list[str], members: list[str]
) -> None:
    made = cluster({"zones": [f"us-east-1{zone}" for zone in zones]}, control_plane={"count": count})
    whole, *all_groups = manifests(made, "1.35.5")
    masters = [one for one in all_groups if one["spec"]["role"] == "Master"]
    assert [one["metadata"]["name"] for one in masters] == groups
    for etcd in whole["spec"]["etcdClusters"]:
        assert [one["name"] for one in etcd["etcdMembers"]] == members
        assert [one["instanceGroup"] for one in etcd["etcdMembers"]] == groups


@pytest.mark.parametrize(
    ("zones", "private", "cidrs"),
    [
        ("a", False, ["172.20.0.0/16"]),
        ("ab", False, ["172.20.0.0/17", "172.20.128.0/17"]),
        ("abc", False, ["172.20.0.0/18", "172.20.64.0/18", "172.20.128.0/18"]),
        ("a", True, ["172.20.128.0/17", "172.20.0.0/20"]),
        ("ab", True, ["172.20.64.0/18", "172.20.128.0/18", "172.20.0.0/21", "172.20.8.0/21"]),
        ("abcde", False, [f"172.20.{at}.0/19" for at in (0, 32, 64, 96, 128)]),
    ],
)
def test_ranges_are_cut_as_kops_cuts_them(zones: str, private: bool, cidrs: list[str]) -> None:
    provider = {"zones": [f"us-east-1{zone}" for zone in zones], "topology": "private" if private else "public"}
    subnets = manifests(cluster(provider), "1.35.5")[0]["spec"]["subnets"]
    assert [one["cidr"] for one in subnets] == cidrs


IGNORED = "kOps' own"
NOTHING = "nothing is wanted"
CHANGES: dict[str, tuple[Cluster, str, str]] = {
    "max": (cluster(pool={"max": 5}), "web", "spec.maxSize: 5, 2 is wanted"),
    "size": (cluster(pool={"size": "m6i.large"}), "web", "spec.machineType: m6i.large, t3.medium is wanted"),
    "label": (cluster(pool={"labels": {"a": "b"}}), "web", f"spec.nodeLabels.a: b, {NOTHING}"),
    "taint": (cluster(pool={"taints": ["a=b:NoSchedule"]}), "web", f'spec.taints: ["a=b:NoSchedule"], {NOTHING}'),
    "volume": (cluster({"pools": {"web": {"volume": {"size": 200}}}}), "web", f"spec.rootVolumeSize: 200, {NOTHING}"),
    "price": (
        cluster({"pools": {"web": {"max_price": "0.1"}}}, {"spot": True}),
        "web",
        f"spec.maxPrice: 0.1, {NOTHING}",
    ),
    "backups": (
        cluster({"backup_days": 7}),
        "",
        "spec.etcdClusters.main.manager.backupRetentionDays: 7, 90 is wanted",
    ),
    "access": (
        cluster({"api_access": ["192.0.2.0/24"]}),
        "",
        'spec.kubernetesApiAccess: ["192.0.2.0/24"], ["0.0.0.0/0", "::/0"] is wanted',
    ),
    "addon": (cluster({"metrics_server": True}), "", f"spec.metricsServer.enabled: true, {NOTHING}"),
    "handler": (
        cluster({"node_termination_handler": False}),
        "",
        f"spec.nodeTerminationHandler.enabled: false, {NOTHING}",
    ),
    "plug-in": (cluster({"networking": "calico"}), "", f"spec.networking.calico: {{}}, {NOTHING}"),
    "range": (cluster(network={"pods": "10.4.0.0/16"}), "", f"spec.podCIDR: 10.4.0.0/16, {NOTHING}"),
    "raw": (cluster({"raw": {"cluster": {"cloudLabels": {"a": "b"}}}}), "", IGNORED),
    "image": (cluster({"image": "ami-0a1b2c3d"}), "web", IGNORED),
}


@pytest.mark.parametrize(("stored", "group", "line"), CHANGES.values(), ids=CHANGES)
def test_what_is_taken_out_of_the_spec_must_go_and_what_others_added_stays(
    stored: Cluster, group: str, line: str
) -> None:
    desired, there = manifests(cluster(), "1.35.5"), manifests(stored, "1.35.5")
    told = differences(desired, there)
    lines = told.groups.get(group, ()) if group else told.cluster
    assert (line == IGNORED and not told) or line in lines
    after = [merged(want, have) for want, have in zip(desired, there, strict=True)]
    assert not differences(desired, after)
    if line == IGNORED:
        assert after == there


def test_values_that_mean_the_same_are_no_difference() -> None:
    desired = manifests(cluster(), "1.35.5")
    whole, master, web = manifests(cluster(), "v1.35.5")
    whole["spec"] |= {"sshAccess": ["::/0", "0.0.0.0/0"], "metricsServer": {"enabled": False}, "nodePortAccess": []}
    web["spec"] |= {"rootVolumeSize": 128, "rootVolumeType": "gp3", "taints": [], "suspendProcesses": ["AZRebalance"]}
    master["spec"] |= {"rootVolumeSize": 64, "rootVolumeEncryption": True}
    web["spec"]["nodeLabels"].pop("boatyard.dev/pool")
    web["spec"]["nodeLabels"]["node-role.kubernetes.io/node"] = ""
    assert not differences(desired, [whole, master, web])
    assert merged(desired[2], web) == web


def test_groups_that_come_and_go_are_named() -> None:
    there = manifests(cluster(pool={"name": "old"}), "1.35.5")
    told = differences(manifests(cluster(), "1.35.5"), there)
    assert (told.missing, told.extra, told.groups) == (("web",), ("old",), {})
    assert told
