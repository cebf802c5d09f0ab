"""The flags of `kops create cluster` give the spec of that very cluster; what is old or too small is said."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from boatyard.drivers.kops.classic import classic
from boatyard.drivers.kops.compare import differences
from boatyard.drivers.kops.render import manifests
from boatyard.drivers.kops.spec import Provider
from boatyard.errors import InvalidSpec
from boatyard.spec.load import load_text

STATE = {"KOPS_STATE_STORE": "s3://your-kops-state-store"}
GUIDE = [
    "--name=k8s.example.com",
    "--state=s3://your-kops-state-store",
    "--zones=us-east-1a",
    "--node-count=2",
    "--node-size=t2.micro",
    "--master-size=t2.micro",
    "--dns-zone=k8s.example.com",
]
DOCS = Path(__file__).parents[4] / "docs"
BASE = ["--name=k8s.example.com", "--zones=us-east-1a"]


def written(*flags: str) -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load(classic([*BASE, *flags], STATE).text)
    return made


def rendered(*flags: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    whole, *groups = manifests(load_text(classic([*BASE, *flags], STATE).text), "1.35.5")
    return whole["spec"], {one["metadata"]["name"]: one["spec"] for one in groups}


def test_the_recorded_flags_give_the_recorded_cluster() -> None:
    case = yaml.safe_load((Path(__file__).parents[3] / "cases" / "kops" / "rendered" / "recorded.yaml").read_text())
    spec = load_text(classic(case["argv"], case["environment"]).text)
    assert spec.provider.ssh_key == "id.pub"
    assert not differences(manifests(spec, case["version"]), case["stored"])


def test_the_classic_guide() -> None:
    made = classic(GUIDE, {})
    assert yaml.safe_load(made.text) == {
        "apiVersion": "boatyard/v1",
        "kind": "Cluster",
        "name": "k8s.example.com",
        "provider": {
            "kind": "kops",
            "state_store": "s3://your-kops-state-store",
            "zones": ["us-east-1a"],
            "dns": "public",
            "dns_zone": "k8s.example.com",
            "topology": "public",
            "networking": "cilium",
        },
        "kubernetes": {"version": "1.35"},
        "control_plane": {"size": "t2.micro", "count": 1},
        "pools": [{"name": "nodes-us-east-1a", "size": "t2.micro", "min": 2}],
    }
    told = "\n".join(made.notes)
    for text in (
        "--master-size is deprecated in kOps: --control-plane-size.",
        "control_plane.size: t2.micro is too small",
        "In production: zones: 1 of them",
        "In production: topology: public",
        "In production: api_access: open to the whole internet",
    ):
        assert text in told


def test_the_guides_say_what_is_so() -> None:
    page = (DOCS / "kops-classic.md").read_text()
    shown = [line.removeprefix("note: ") for line in page.splitlines() if line.startswith("note: ")]
    assert shown == list(classic(GUIDE, STATE).notes)
    assert all(flag in page for flag in GUIDE if not flag.startswith("--state"))


def test_the_page_s_own_commands_and_spec_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (DOCS / "kops.md").read_text()
    command = page.split("boatyard init kops ")[1].split("--to ")[0].replace("\\\n", " ")
    made = load_text(classic(command.split(), {}).text)
    assert (made.control_plane.count, made.provider.topology) == (3, "private")
    monkeypatch.delenv("KOPS_STATE_STORE", raising=False)
    whole, raw, *_ = (part.split("```")[0] for part in page.split("```yaml\n")[1:])
    spec = yaml.safe_load(whole)
    spec["provider"] |= yaml.safe_load(raw)["provider"]
    assert load_text(yaml.safe_dump(spec)).provider.raw.groups == {"web": {"cpuCredits": "unlimited"}}
    for name in Provider.model_fields:
        if name not in ("kind", "state_store", "profile", "role"):
            assert f"`{name}`" in page, name


def test_nodes_are_dealt_to_zones_as_kops_does() -> None:
    spec, groups = rendered("--zones=us-east-1b,us-east-1c", "--node-count=5", "--control-plane-count=3")
    nodes = {name: (one["minSize"], one["maxSize"], one["subnets"]) for name, one in groups.items() if name[0] == "n"}
    assert nodes == {
        "nodes-us-east-1a": (2, 2, ["us-east-1a"]),
        "nodes-us-east-1b": (2, 2, ["us-east-1b"]),
        "nodes-us-east-1c": (1, 1, ["us-east-1c"]),
    }
    assert [one["name"] for one in spec["etcdClusters"][0]["etcdMembers"]] == ["a", "b", "c"]


def test_control_planes_in_zones_of_their_own() -> None:
    spec, groups = rendered("--master-zones=us-east-1b,us-east-1c,us-east-1d")
    assert list(groups) == [*(f"control-plane-us-east-1{zone}" for zone in "bcd"), "nodes-us-east-1a"]
    assert [one["name"] for one in spec["subnets"]] == [f"us-east-1{zone}" for zone in "abcd"]


def test_what_only_kops_has_a_word_for() -> None:
    spec, groups = rendered(
        *("--topology", "private", "--bastion", "--networking=flannel", "--cloud-labels=Owner=Jo,Team=Shop"),
        *("--api-loadbalancer-type=internal", "--associate-public-ip=false", "--node-tenancy=dedicated"),
        *("--set=spec.metricsServer.enabled=true", "--set=cluster.spec.kubelet.maxPods=50", "--unset=spec.sshAccess"),
        *("--authorization=AlwaysAllow", "--kubernetes-feature-gates=+A,-B", "--encrypt-etcd-storage=false"),
    )
    assert spec["networking"] == {"flannel": {"backend": "vxlan"}}
    assert "kubeProxy" not in spec or "enabled" not in spec["kubeProxy"]
    assert spec["cloudLabels"] == {"Owner": "Jo", "Team": "Shop"}
    assert spec["api"] == {"loadBalancer": {"class": "Network", "type": "Internal"}}
    assert spec["metricsServer"] == {"enabled": True}
    gates = {"A": "true", "B": "false"}
    assert spec["kubelet"] == {"anonymousAuth": False, "maxPods": 50, "featureGates": gates}
    assert spec["authorization"] == {"alwaysAllow": {}}
    assert "sshAccess" not in spec
    assert "encryptedVolume" not in spec["etcdClusters"][0]["etcdMembers"][0]
    assert {one["associatePublicIp"] for one in groups.values()} == {False}
    assert groups["nodes-us-east-1a"]["tenancy"] == "dedicated"
    assert groups["bastions"]["role"] == "Bastion"


@pytest.mark.parametrize(
    ("flags", "path", "value"),
    [
        (["--kubernetes-version=v1.36.1"], "kubernetes.version", "1.36.1"),
        (["--dns=private"], "provider.dns", "private"),
        ([], "provider.dns", "none"),
        (["--node-size=m5.large,m5a.large"], "provider.pools.nodes-us-east-1a.instances", ["m5a.large"]),
        (["--control-plane-volume-size=100"], "provider.control_plane.volume", {"size": 100}),
        (["--node-security-groups=sg-0a1b2c3d"], "provider.pools.nodes-us-east-1a.security_groups", ["sg-0a1b2c3d"]),
        (["--admin-access=192.0.2.0/24"], "provider.ssh_access", ["192.0.2.0/24"]),
        (["--network-cidr=10.0.0.0/16"], "provider.network_cidr", "10.0.0.0/16"),
        (["--image=ami-0a1b2c3d", "--channel=alpha"], "provider.channel", "alpha"),
        (["--discovery-store=s3://oidc-bucket"], "provider.irsa", "s3://oidc-bucket"),
        (
            ["--vpc=vpc-0a1b2c3d", "--subnets=subnet-0a1b2c3d"],
            "provider.subnets",
            [{"id": "subnet-0a1b2c3d", "zone": "us-east-1a", "type": "public"}],
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and value and isinstance(value[0], str) else None,
)
def test_each_flag_has_its_place(flags: list[str], path: str, value: Any) -> None:
    found: Any = written(*flags)
    for part in path.split("."):
        found = found[part]
    assert found == value


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--zone=us-east-1a"], "'--zone': kops create cluster has no such flag for AWS, did you mean '--zones'?"),
        (["--node-count=two"], "--node-count: found 'two', allowed a whole number"),
        (["--node-count"], "--node-count: a value is missing"),
        (["--bastion=maybe"], "--bastion: found 'maybe', allowed true or false"),
        (["--cloud=gce"], "--cloud: found 'gce', allowed aws"),
        (["--topology=privat"], "did you mean 'private'?"),
        (["--networking=weave"], "--networking: found 'weave', allowed cilium"),
        (["--control-plane-count=2"], "allowed 1, 3 or 5: etcd needs a majority"),
        (["--control-plane-zones=us-east-1a,us-east-1b,us-east-1c", "--master-count=1"], "one a zone or more"),
        (["--subnets=subnet-0a1b2c3d"], "allowed with --network-id=vpc-"),
        (["--subnets=subnet-0a1b2c3d,subnet-0a1b2c3e", "--vpc=vpc-0a1b2c3d"], "found 2 for 1 zones"),
        (["--ipv6"], "Boatyard drives no IPv6 clusters"),
        (["--target=terraform"], "Boatyard writes no Terraform"),
        (["--kubernetes-version=1.20.0"], "kubernetes.version: found '1.20.0', allowed 1.33"),
        (["--dns-zone=example.org"], "provider.dns_zone: found 'example.org', allowed a zone above"),
        (["--bastion"], "provider.bastion: found a bastion with public nodes"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_what_cannot_be_is_refused(flags: list[str], told: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        classic([*BASE, *flags], STATE)
    assert told in str(refused.value)


def test_all_that_is_missing_is_told_at_once() -> None:
    with pytest.raises(InvalidSpec) as refused:
        classic([], {})
    assert [line.split(":")[0] for line in refused.value.problems] == ["--name", "--state", "--zones"]


def init(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "boatyard.cli.main", "init", *words], capture_output=True, text=True)


def test_init_writes_the_spec_and_says_the_rest_beside_it(tmp_path: Path) -> None:
    printed = init("kops", *GUIDE)
    assert printed.returncode == 0
    assert load_text(printed.stdout).name == "k8s.example.com"
    assert "note: --master-size is deprecated" in printed.stderr
    document = json.loads(init("kops", *GUIDE, "--to", str(tmp_path / "k8s.yaml"), "--json").stdout)
    assert (tmp_path / "k8s.yaml").read_text() == document["spec"] == printed.stdout
    assert any("too small" in note for note in document["notes"])


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["kops", "--zone=a"], 3, "did you mean '--zones'?"),
        (["kwok", "--zones=us-east-1a"], 64, "no option of init"),
        (["--name=x"], 64, "no option of init"),
    ],
)
def test_init_refuses_other_flags(words: list[str], code: int, told: str) -> None:
    refused = init(*words)
    assert (refused.returncode, refused.stdout) == (code, "")
    assert told in " ".join(refused.stderr.split())
