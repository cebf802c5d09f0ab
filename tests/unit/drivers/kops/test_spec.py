"""What a user may say of a kOps cluster: every mistake at its place, in one line."""

import copy
import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from boatyard.drivers.kops.rules import advice, rules, too_small
from boatyard.drivers.kops.spec import EXAMPLE, Provider
from boatyard.errors import InvalidSpec
from boatyard.spec.load import load_text
from boatyard.spec.models import Cluster

SPEC: dict[str, Any] = {
    "apiVersion": "boatyard/v1",
    "kind": "Cluster",
    "name": "shop.k8s.example.com",
    "provider": {
        "kind": "kops",
        "state_store": "s3://example-kops",
        "zones": ["eu-central-1a", "eu-central-1b"],
        "topology": "private",
        "vpc": "vpc-0a1b2c3d",
        "subnets": [
            {"id": f"subnet-0a1b2c3{at}", "zone": f"eu-central-1{zone}", "type": kind}
            for at, (zone, kind) in enumerate((zone, kind) for zone in "ab" for kind in ("private", "utility"))
        ],
        "dns_zone": "k8s.example.com",
        "network_cidr": "10.0.0.0/16",
        "bastion": {"size": "t3.micro"},
        "volume": {"size": 100, "type": "gp3", "throughput": 200},
        "irsa": "s3://example-oidc",
        "pools": {"batch": {"zones": ["eu-central-1a"], "on_demand": 1, "max_price": "0.30"}},
        "control_plane": {"zones": ["eu-central-1a"]},
        "raw": {"cluster": {"cloudLabels": {"a": "b"}}, "groups": {"web": {"kubelet": {"maxPods": 50}}}},
    },
    "kubernetes": {"version": "1.35"},
    "control_plane": {"size": "m6i.large", "count": 1},
    "pools": [
        {"name": "web", "size": "m6i.large", "min": 2},
        {"name": "batch", "size": "c6i.2xlarge", "min": 1, "max": 4, "spot": True},
    ],
}

WRONG: dict[str, tuple[str, Any, str, str]] = {
    "a label for a name": ("name", "shop", "name", "found 'shop', allowed a full DNS name like shop.k8s.example.com"),
    "no such bucket name": ("provider.state_store", "kops", "provider.state_store", "allowed s3://BUCKET"),
    "two regions": ("provider.zones.1", "eu-west-1a", "provider.zones[1]", "allowed a zone of eu-central-1: a cluster"),
    "a region for a zone": ("provider.zones.1", "eu-central-1", "provider.zones[1]", "like eu-central-1a"),
    "one zone twice": ("provider.zones.1", "eu-central-1a", "provider.zones[1]", "allowed each zone once"),
    "control-plane zone elsewhere": (
        "provider.control_plane.zones",
        ["us-east-1a"],
        "provider.control_plane.zones[0]",
        "allowed a zone of eu-central-1",
    ),
    "more zones than nodes": (
        "provider.control_plane.zones",
        ["eu-central-1a", "eu-central-1b"],
        "provider.control_plane.zones",
        "found 2 zones for control_plane.count 1",
    ),
    "names for other groups": (
        "provider.control_plane.groups",
        ["a", "b"],
        "provider.control_plane.groups",
        "allowed one of its own for each",
    ),
    "spot control plane": (
        "provider.control_plane.max_price",
        "1",
        "provider.control_plane.max_price",
        "a control plane is never spot",
    ),
    "hosted zone elsewhere": (
        "provider.dns_zone",
        "example.org",
        "provider.dns_zone",
        "allowed a zone above the cluster's name: shop.k8s.example.com",
    ),
    "a zone that only ends alike": ("provider.dns_zone", "s.example.com", "provider.dns_zone", "allowed a zone above"),
    "hosted zone without DNS": ("provider.dns", "none", "provider.dns_zone", "allowed with dns: public or private"),
    "public subnets": (
        "provider.subnets.0.type",
        "public",
        "provider.subnets[0].type",
        "found public, allowed private or utility",
    ),
    "no utility subnet": ("provider.subnets.1.zone", "eu-central-1c", "provider.subnets", "utility in eu-central-1a"),
    "subnet in another zone": (
        "provider.subnets.1.zone",
        "eu-central-1c",
        "provider.subnets[1].zone",
        "allowed eu-central-1a",
    ),
    "two subnets a zone": ("provider.subnets.1.type", "private", "provider.subnets[1]", "allowed one a zone"),
    "subnets without a VPC": ("provider.vpc", None, "provider.subnets", "allowed with vpc: vpc-…"),
    "no VPC's id": ("provider.vpc", "main", "provider.vpc", "allowed a VPC's id"),
    "no subnet's id": ("provider.subnets.0.id", "a", "provider.subnets[0].id", "allowed a subnet's id"),
    "kOps' own range": (
        "provider.network_cidr",
        "100.64.0.0/16",
        "provider.network_cidr",
        "which overlaps 100.64.0.0/10",
    ),
    "a huge VPC": ("provider.network_cidr", "10.0.0.0/8", "provider.network_cidr", "between /16 and /28"),
    "pods in the VPC": ("network", {"pods": "10.0.0.0/17"}, "network.pods", "overlaps the VPC's 10.0.0.0/16"),
    "services in the VPC": ("network", {"services": "10.0.0.0/20"}, "network.services", "overlaps the VPC's"),
    "IPv6 pods": ("network", {"pods": "fd00::/64"}, "network.pods", "allowed an IPv4 range"),
    "a pool that is not there": (
        "provider.pools",
        {"wbe": {}},
        "provider.pools.wbe",
        "web, batch, did you mean 'web'?",
    ),
    "a pool's zone": (
        "provider.pools.batch.zones.0",
        "eu-central-1c",
        "provider.pools.batch.zones[0]",
        "allowed eu-central-1a, eu-central-1b",
    ),
    "always on demand without spot": (
        "provider.pools",
        {"web": {"on_demand": 1}},
        "provider.pools.web.on_demand",
        "only for a pool with spot: true",
    ),
    "more on demand than nodes": (
        "provider.pools.batch.on_demand",
        9,
        "provider.pools.batch.on_demand",
        "at most the pool's max (4)",
    ),
    "bastion of a public cluster": ("provider.topology", "public", "provider.bastion", "only with topology: private"),
    "a pool like the bastions": (
        "pools.0.name",
        "bastions",
        "pools[0].name",
        "already the name of the bastion's group",
    ),
    "a pool like a control plane": (
        "pools.0.name",
        "control-plane-eu-central-1a",
        "pools[0].name",
        "already the name of a control-plane group",
    ),
    "throughput of io2": ("provider.volume.type", "io2", "provider.volume.throughput", "allowed only with gp3"),
    "discovery in the state store": (
        "provider.irsa",
        "s3://example-kops/oidc",
        "provider.irsa",
        "allowed another one: what is in it is public",
    ),
    "no instance type": ("control_plane.size", "large", "control_plane.size", "allowed an EC2 instance type"),
    "version in raw": (
        "provider.raw.cluster",
        {"kubernetesVersion": "1.36.0"},
        "provider.raw.cluster.kubernetesVersion",
        "allowed only as kubernetes.version",
    ),
    "size in raw": (
        "provider.raw.groups",
        {"web": {"minSize": 3}},
        "provider.raw.groups.web.minSize",
        "the pool's min",
    ),
    "no such group in raw": ("provider.raw.groups", {"wbe": {}}, "provider.raw.groups.wbe", "did you mean 'web'?"),
    "raw text": ("provider.raw.cluster", "x", "provider.raw.cluster", "allowed a mapping"),
}


def changed(where: str, value: Any) -> dict[str, Any]:
    whole = copy.deepcopy(SPEC)
    holder: Any = whole
    *above, last = [int(part) if part.isdigit() else part for part in where.split(".")]
    for part in above:
        holder = holder[part]
    if value is None:
        del holder[last]
    else:
        holder[last] = value
    return whole


def problems(spec: dict[str, Any]) -> list[str]:
    try:
        load_text(yaml.safe_dump(spec), "shop.yaml")
    except InvalidSpec as error:
        return list(error.problems)
    return []


def test_everything_at_once_is_right() -> None:
    assert problems(SPEC) == []
    assert load_text(EXAMPLE).provider.region == "eu-central-1"


@pytest.mark.parametrize(("where", "value", "place", "text"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_told_at_its_place(where: str, value: Any, place: str, text: str) -> None:
    told = problems(changed(where, value))
    assert any(f" {place}: " in line and text in line for line in told), told


@pytest.mark.parametrize(("where", "value"), [one[:2] for one in WRONG.values()], ids=WRONG)
def test_a_form_refuses_what_a_file_may_not_say(where: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        Cluster.model_validate(changed(where, value))


def test_the_state_store_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    without = changed("provider.state_store", None)
    monkeypatch.delenv("KOPS_STATE_STORE", raising=False)
    assert problems(without) == [
        line for line in problems(without) if "provider.state_store: found nothing, allowed s3://BUCKET" in line
    ]
    monkeypatch.setenv("KOPS_STATE_STORE", "s3://from-outside/")
    assert load_text(yaml.safe_dump(without)).provider.state_store == "s3://from-outside"


def test_pods_have_the_vpcs_addresses_with_amazonvpc() -> None:
    spec = changed("provider.networking", "amazonvpc")
    assert problems(spec) == []
    assert "pods get the VPC's addresses" in problems(spec | {"network": {"pods": "10.9.0.0/16"}})[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
PLACES = [
    *("name", "network", "pools", "control_plane", "provider", "pools.0.name", "pools.0.size", "control_plane.count"),
    *(f"provider.{name}" for name in [*Provider.model_fields, "pools.batch", "raw.groups", "volume.type"]),
    *("provider.subnets.0.zone", "provider.subnets.0.type", "provider.pools.batch.zones", "provider.bastion.size"),
]


@given(st.sampled_from(PLACES), JSON)
def test_whatever_stands_anywhere_is_told_in_lines_that_print(where: str, value: Any) -> None:
    try:
        spec = changed(where, value)
    except KeyError:
        spec = changed(where, {}) if value is not None else SPEC
    for path, text in rules(spec):
        assert text.isprintable()
        assert path[0] in ("name", "network", "pools", "provider", "control_plane")


def test_what_production_would_change() -> None:
    small = json.loads(json.dumps(SPEC)) | {"control_plane": {"size": "t2.micro", "count": 3}}
    small["provider"] |= {"control_plane": {}}
    told = list(advice(small))
    assert any("count: 3 in 2 zones puts 2 of them in one zone, and etcd stops" in line for line in told)
    assert any(line.startswith("api_access: open") for line in told)
    assert [line.split(",")[0] for line in too_small(small)] == ["control_plane.size: t2.micro is too small"]
    good = small | {"control_plane": {"size": "m6i.large", "count": 3}}
    zones = [f"eu-central-1{zone}" for zone in "abc"]
    good["provider"] |= {"zones": zones, "api_access": ["192.0.2.0/24"], "ssh_access": ["192.0.2.0/24"]}
    assert [*advice(good), *too_small(good)] == []


def test_forms_can_show_every_field() -> None:
    schema = Provider.model_json_schema()
    assert schema["properties"]["zones"]["items"]["pattern"]
    for name, field in schema["properties"].items():
        assert field.get("title") or "$ref" in field, name
    assert "null" not in json.dumps(schema["properties"]["pools"].get("default"))
