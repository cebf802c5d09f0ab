"""Clusters that others made become specs that change nothing."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from boatyard.drivers.kops.compare import POOL_LABEL, differences, merged
from boatyard.drivers.kops.render import manifests
from boatyard.drivers.kops.reverse import spec_of
from boatyard.errors import Unsupported
from boatyard.spec.load import load_text
from boatyard.spec.models import Cluster

STORE = "s3://kops-state"
RECORDED = yaml.safe_load((Path(__file__).parents[3] / "cases" / "kops" / "rendered" / "recorded.yaml").read_text())[
    "stored"
]

ZONES = [f"us-east-1{letter}" for letter in "abc"]
SIZES = st.sampled_from(["t3.medium", "m6i.large", "c6i.2xlarge"])
VOLUMES = st.fixed_dictionaries(
    {"encrypted": st.booleans()},
    optional={"size": st.integers(8, 500), "type": st.sampled_from(["gp3", "io2"]), "iops": st.integers(3000, 9000)},
)
GROUPS = st.fixed_dictionaries(
    {},
    optional={
        "image": st.sampled_from(["ami-0a1b2c3d", "ssm:/a/b"]),
        "volume": VOLUMES,
        "instances": st.lists(SIZES, max_size=2, unique=True),
        "security_groups": st.lists(st.sampled_from(["sg-0a1b2c3d", "sg-0a1b2c3e"]), max_size=2, unique=True),
    },
)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    zones = draw(st.permutations(ZONES))[: draw(st.integers(1, 3))]
    dns, private = draw(st.sampled_from(["public", "private", "none"])), draw(st.booleans())
    names = draw(st.lists(st.sampled_from(["web", "batch", "nodes-a"]), max_size=3, unique=True))
    pools, more = [], {}
    for name in names:
        least, spot = draw(st.integers(0, 4)), draw(st.booleans())
        pool = {"name": name, "size": draw(SIZES | st.none()), "min": least, "max": least + draw(st.integers(0, 3))}
        labels = draw(st.dictionaries(st.sampled_from(["a", "example.com/b"]), st.just("x"), max_size=2))
        pools.append(pool | {"spot": spot, "labels": labels, "taints": draw(st.sampled_from([[], ["a=b:NoSchedule"]]))})
        extra = draw(GROUPS) | {"zones": draw(st.sampled_from([[], zones[:1]]))}
        more[name] = extra | ({"max_price": draw(st.sampled_from(["0.1", None]))} if spot else {})
    provider = {
        "kind": "kops",
        "state_store": STORE,
        "zones": zones,
        "dns": dns,
        "dns_zone": draw(st.sampled_from(["example.com", None])) if dns != "none" else None,
        "topology": "private" if private else "public",
        "bastion": draw(st.sampled_from([{}, {"size": "t3.small"}, None])) if private else None,
        "networking": draw(st.sampled_from(["cilium", "calico", "amazonvpc", "kindnet", "kube-router"])),
        "network_cidr": draw(st.sampled_from([None, "10.0.0.0/16"])),
        "image": draw(st.sampled_from([None, "ami-0123456789abcdef0"])),
        "volume": draw(VOLUMES),
        "etcd_encryption": draw(st.booleans()),
        "backup_days": draw(st.integers(1, 90)),
        "irsa": draw(st.sampled_from([None, "s3://oidc-bucket"])),
        "pools": more,
        "control_plane": draw(GROUPS) | {"zones": draw(st.sampled_from([[], zones[:1]]))},
    }
    for addon in ("autoscaler", "metrics_server", "cert_manager", "node_termination_handler"):
        provider[addon] = draw(st.booleans())
    return Cluster.model_validate(
        {
            "name": "k8s.example.com",
            "provider": provider,
            "kubernetes": {"version": "1.35"},
            "control_plane": {"size": draw(SIZES | st.none()), "count": draw(st.sampled_from([1, 3, 5]))},
            "pools": pools,
        }
    )


def without_label(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Boatyard's label is left off what others made, and its absence is no difference."""
    found = copy.deepcopy(sorted(documents, key=lambda one: (one["kind"], one["metadata"]["name"])))
    for one in found:
        one["spec"].get("nodeLabels", {}).pop(POOL_LABEL, None)
    return [one["spec"] for one in found]


def written(cluster: Cluster) -> str:
    """As `boatyard adopt` writes it."""
    document = cluster.model_dump(mode="json", exclude_defaults=True)
    document["provider"]["kind"] = "kops"
    return yaml.safe_dump({"apiVersion": "boatyard/v1", "kind": "Cluster"} | document)


@settings(max_examples=40)
@given(clusters())
def test_the_spec_of_what_a_spec_gave_gives_it_again(cluster: Cluster) -> None:
    stored = manifests(cluster, "1.35.5")
    adopted = spec_of(stored[0], stored[1:], STORE)
    assert not differences(manifests(adopted, "1.35.5"), stored)
    assert without_label(manifests(adopted, "1.35.5")) == without_label(stored)
    assert load_text(written(adopted)) == adopted


FOREIGN = st.dictionaries(
    st.sampled_from(
        ["hooks", "fileAssets", "kubelet", "networking", "iam", "nodeLabels", "subnets", "taints", "image"]
    ),
    st.recursive(
        st.booleans() | st.integers(0, 9) | st.text("ab", max_size=3),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=2)
            | st.dictionaries(st.sampled_from(["x", "y.z", "name"]), inner, min_size=1, max_size=2)
        ),
        max_leaves=5,
    ),
    max_size=3,
)


@settings(max_examples=40)
@given(
    clusters(), st.sampled_from(["hooks", "fileAssets", "kubelet", "iam", "cloudLabels", "sysctlParameters"]), FOREIGN
)
def test_fields_boatyard_does_not_know_are_kept_to_the_letter(cluster: Cluster, field: str, value: Any) -> None:
    stored = manifests(cluster, "1.35.5")
    for document in stored:
        document["spec"][field] = value or {"a": [1, {"b": "c"}]}
    adopted = spec_of(stored[0], stored[1:], STORE)
    assert without_label(manifests(adopted, "1.35.5")) == without_label(stored)
    assert load_text(written(adopted)) == adopted


@settings(max_examples=40)
@given(clusters(), clusters())
def test_what_is_written_back_is_what_is_wanted(wanted: Cluster, there: Cluster) -> None:
    desired, stored = manifests(wanted, "1.35.5"), manifests(there, "1.35.4")
    known = {one["metadata"]["name"]: one for one in stored}
    after = [merged(one, known.get(one["metadata"]["name"], one)) for one in desired]
    assert not differences(desired, after)


def test_the_recorded_cluster_becomes_a_short_spec() -> None:
    adopted = spec_of(RECORDED[0], RECORDED[1:], STORE)
    assert not differences(manifests(adopted, "1.35.5"), RECORDED)
    assert yaml.safe_load(written(adopted)) == {
        "apiVersion": "boatyard/v1",
        "kind": "Cluster",
        "name": "k8s.example.com",
        "provider": {
            "kind": "kops",
            "state_store": "s3://kops-state",
            "zones": ["us-east-1a"],
            "dns": "none",
            "channel": "file:///srv/kops/channels/stable",
            "image": RECORDED[1]["spec"]["image"],
        },
        "kubernetes": {"version": "1.35.5"},
        "control_plane": {"size": "t3.medium"},
        "pools": [{"name": "nodes-us-east-1a", "size": "t3.medium", "min": 2}],
    }


def test_control_planes_of_older_kops_keep_their_names() -> None:
    whole, master, nodes = copy.deepcopy(RECORDED)
    master["metadata"]["name"] = "master-us-east-1a"
    for etcd in whole["spec"]["etcdClusters"]:
        etcd["etcdMembers"][0]["instanceGroup"] = "master-us-east-1a"
    adopted = spec_of(whole, [master, nodes], STORE)
    assert adopted.provider.control_plane.groups == ("master-us-east-1a",)
    assert not differences(manifests(adopted, "1.35.5"), [whole, master, nodes])


REFUSED: dict[str, tuple[int, dict[str, Any], str]] = {
    "another cloud": (0, {"cloudProvider": "gce"}, "runs on gce"),
    "too old": (0, {"kubernetesVersion": "1.28.4"}, "runs Kubernetes 1.28"),
    "IPv6": (0, {"nonMasqueradeCIDR": "::/0"}, "IPv6"),
    "no version": (0, {"kubernetesVersion": ""}, "names no kubernetesVersion"),
    "API servers of their own": (2, {"role": "APIServer"}, "nodes-us-east-1a has the role APIServer"),
    "Karpenter": (2, {"manager": "Karpenter"}, "managed by Karpenter"),
    "asleep": (1, {"minSize": 0, "maxSize": 0}, "control-plane-us-east-1a has no node"),
    "two nodes a control-plane group": (1, {"maxSize": 2}, "other than 1"),
    "bastions by another name": (2, {"role": "Bastion"}, "only one named bastions"),
    "no control plane": (1, {"role": "Node"}, "0 control-plane instance groups"),
    "no bounds": (2, {"minSize": None}, "names no minSize"),
    "too many nodes": (2, {"minSize": 9000, "maxSize": 9000}, "pools.0.min"),
}


@pytest.mark.parametrize(("which", "fields", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_no_spec_can_say_is_refused_by_name(which: int, fields: dict[str, Any], reason: str) -> None:
    documents = copy.deepcopy(RECORDED)
    documents[which]["spec"] |= fields
    documents[which]["spec"] = {key: value for key, value in documents[which]["spec"].items() if value is not None}
    with pytest.raises(Unsupported, match=f"cluster k8s.example.com in s3://kops-state cannot be taken over.*{reason}"):
        spec_of(documents[0], documents[1:], STORE)


@pytest.mark.parametrize("name", ["a.b", "x" * 64])
def test_a_group_no_pool_can_be_named_after_is_refused(name: str) -> None:
    documents = copy.deepcopy(RECORDED)
    documents[2]["metadata"]["name"] = name
    with pytest.raises(Unsupported, match=r"pools\.0\.name"):
        spec_of(documents[0], documents[1:], STORE)


def test_clusters_that_gossip_are_refused() -> None:
    documents = copy.deepcopy(RECORDED)
    documents[0]["metadata"]["name"] = "shop.k8s.local"
    documents[0]["spec"]["topology"] = {"dns": {"type": "Private"}}
    with pytest.raises(Unsupported, match="gossip"):
        spec_of(documents[0], documents[1:], STORE)
