"""A production cluster's whole life on the emulated account: three zones, private nodes, bastion, spot, encrypted and
provisioned volumes, roles for service accounts. In the end the account is what it was before.

One cluster for all of it, in the order of its life: by a stand-in for kOps with a public hosted zone, and by the real
one on PATH without DNS, since that asks the world's name servers for the zone.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from shutil import which
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest

from boatyard.aws.inventory import cluster_resources
from boatyard.clock import Deadline, ShiftedClock, SystemClock
from boatyard.drivers.base import Env
from boatyard.drivers.execute import carry_out
from boatyard.drivers.kops import nodes
from boatyard.drivers.kops.driver import Driver
from boatyard.drivers.kops.nodes import NODES
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.waiting import watching
from boatyard.errors import Unsafe
from boatyard.kube.client import Client
from boatyard.plan.model import Phase, Plan, Verb
from boatyard.sandbox.aws import Sandbox
from boatyard.sandbox.aws.observe import FAULT
from boatyard.settings import Settings
from boatyard.spec.models import Cluster
from boatyard.tools.toolbox import Toolbox
from tests.conformance.worlds import aws
from tests.faults.aws import raw

pytestmark = pytest.mark.twin

NAME = "shop.prod.example.com"
ZONE = "prod.example.com"
STORE, DISCOVERY = "s3://prod-kops-state", "s3://prod-kops-discovery"
ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]
RECORDS = {f"{host}.{NAME}." for host in ("api", "api.internal", "kops-controller.internal", "bastion")}
CLOCK = SystemClock()


@dataclass
class Place:
    """The account, what was in it before, and the driver's reports."""

    home: Path
    told: dict[str, str]
    zone: str
    before: Mapping[str, str]
    real: bool
    said: list[str] = field(default_factory=list)
    clock: ShiftedClock = field(default_factory=ShiftedClock)

    def spec(self, minor: str = "1.35", web: int = 2, count: int = 3) -> Cluster:
        return Cluster.model_validate(
            {
                "name": NAME,
                "owner": "team-shop@example.com",
                "provider": {
                    "kind": "kops",
                    "state_store": STORE,
                    "zones": ZONES,
                    **({"dns": "none"} if self.real else {"dns_zone": ZONE}),
                    "topology": "private",
                    "bastion": {},
                    "irsa": DISCOVERY,
                    "api_access": ["192.0.2.0/24"],
                    "etcd_encryption": True,
                    "volume": {"size": 100, "iops": 4000, "throughput": 250},
                    "pools": {
                        "batch": {"instances": ["c5.large"], "on_demand": 1},
                        "web": {"volume": {"type": "io2", "size": 80, "iops": 2000}},
                    },
                    **self.told,
                },
                "kubernetes": {"version": minor},
                "control_plane": {"size": "m5.large", "count": count},
                "pools": [
                    {"name": "web", "size": "m5.large", "min": web, "max": 4},
                    {"name": "batch", "size": "m5.large", "min": 2, "max": 3, "spot": True},
                ],
            }
        )

    def env(self, foreseen: frozenset[str] | None = None) -> Env:
        deadline, tool = Deadline.after(600, "the test", CLOCK), Toolbox(Settings.load().cache).path
        return Env(self.home, self.clock, deadline, tool, report=self.said.append, foreseen=foreseen)

    def driver(self, spec: Cluster | None = None) -> Driver:
        return Driver(spec or self.spec(), self.env())

    def reach(self) -> Reach:
        return Reach(self.spec(), self.env())

    def plan(self, spec: Cluster) -> Plan:
        driver = self.driver(spec)
        return driver.plan(driver.observe(), {})

    def foresee(self, spec: Cluster) -> Plan:
        """The plan with what it touches, told without touching anything."""
        before, store = everything(), self.objects()
        plan = self.driver(spec).foresee(self.plan(spec))
        assert (everything(), self.objects()) == (before, store)
        return plan

    def apply(self, spec: Cluster) -> list[tuple[Verb, str]]:
        """What was done, by the plan alone; kOps touched nothing but what the plan had told of each step."""
        plan = self.foresee(spec)
        for step in plan.steps:
            env = self.env(plan.foreseen if step.resources is not None else None)
            carry_out(step, Driver(spec, env), spec, env)
        return [(step.verb, step.target) for step in plan.steps]

    def objects(self) -> dict[str, str]:
        """Object of the account's buckets → its content's print."""
        s3 = boto3.client("s3")
        buckets = [each["Name"] for each in s3.list_buckets()["Buckets"]]
        pages = {name: s3.get_paginator("list_objects_v2").paginate(Bucket=name) for name in buckets}
        return {
            f"{name}/{each['Key']}": each["ETag"]
            for name, found in pages.items()
            for page in found
            for each in page.get("Contents", ())
            if "/backups/" not in each["Key"]
        }

    def records(self) -> set[str]:
        """Names in the hosted zone but for its own."""
        found = boto3.client("route53").list_resource_record_sets(HostedZoneId=self.zone)["ResourceRecordSets"]
        return {each["Name"] for each in found if each["Type"] not in ("NS", "SOA")}

    def instances(self) -> list[dict[str, Any]]:
        running = {"Name": "instance-state-name", "Values": ["running"]}
        ours = {"Name": "tag:KubernetesCluster", "Values": [NAME]}
        found = boto3.client("ec2").describe_instances(Filters=[running, ours])
        return [each for reservation in found["Reservations"] for each in reservation["Instances"]]

    def groups(self) -> Counter[str]:
        """Instance group → machines."""
        return Counter({name: len(group.machines) for name, group in self.reach().fleet.read().items()})


def everything() -> dict[str, str]:
    """All that the account holds, whoever's it is."""
    named = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")}
    here = SimpleNamespace(environment=named, endpoint=os.environ["AWS_ENDPOINT_URL"])
    providers = boto3.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    classic = boto3.client("elb").describe_load_balancers()["LoadBalancerDescriptions"]
    found = raw.everything(cast(Sandbox, here))
    return found | {each["Arn"]: "oidc-provider" for each in providers} | {each["DNSName"]: "elb" for each in classic}


REAL = pytest.param(
    True, id="real", marks=[pytest.mark.real_kops, pytest.mark.skipif(not which("kops"), reason="there is no kops")]
)


@pytest.fixture(scope="module", params=[pytest.param(False, id="stand-in"), REAL])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as to:
        to.setenv("BOATYARD_REAL_KOPS", "1" if request.param else "")
        with aws(tmp_path_factory.mktemp("world")) as told:
            made = boto3.client("route53").create_hosted_zone(Name=ZONE, CallerReference="production")["HostedZone"]
            yield Place(tmp_path_factory.mktemp("home"), dict(told), made["Id"], everything(), request.param)


def test_both_buckets_are_made_and_what_the_world_does_not_see_stops_nothing(place: Place) -> None:
    findings = {each.subject: each for each in place.driver().preflight()}
    buckets = {f"state store {STORE}", f"discovery store {DISCOVERY}"}
    names = set() if place.real else {f"delegation of {ZONE}"}
    assert findings.keys() - buckets == names, "no name server asks an emulated account"
    assert not any(findings[each].blocks for each in names)
    for subject in buckets:
        repair = findings[subject].repair
        assert repair is not None
        repair()
    assert {each.subject for each in place.driver().preflight()} == names


def test_it_is_made_by_its_plan_and_then_there_is_nothing_to_do(place: Place) -> None:
    steps = [(Verb.CREATE, NAME), (Verb.CREATE_POOL, "web"), (Verb.CREATE_POOL, "batch")]
    assert place.apply(place.spec()) == steps
    assert place.plan(place.spec()).steps == ()
    assert place.groups() == {f"control-plane-{zone}": 1 for zone in ZONES} | {"web": 2, "batch": 2, "bastions": 1}


def test_it_is_sound(place: Place) -> None:
    assert place.reach().kops.validate(place.told["api_server"]).valid


def test_nodes_are_private_and_go_out_by_a_gateway_in_each_zone(place: Place) -> None:
    assert [each["InstanceId"] for each in place.instances() if each.get("PublicIpAddress")] == []
    ec2 = boto3.client("ec2")
    assert len({each["SubnetId"] for each in ec2.describe_nat_gateways()["NatGateways"]}) == 3
    balancers = boto3.client("elbv2").describe_load_balancers()["LoadBalancers"]
    assert {each["LoadBalancerName"].split("-")[0] for each in balancers} == {"api", "bastion"}
    control = [each for each in place.instances() if "k8s.io/role/control-plane" in _tags(each)]
    assert sorted(each["Placement"]["AvailabilityZone"] for each in control) == ZONES


def test_the_first_of_a_spot_pool_is_on_demand_where_it_was_asked_for(place: Place) -> None:
    batch = [each for each in place.instances() if _tags(each)["kops.k8s.io/instancegroup"] == "batch"]
    assert Counter(each.get("InstanceLifecycle", "on demand") for each in batch) == {"on demand": 1, "spot": 1}


def test_names_and_the_issuer_are_where_the_world_can_read_them(place: Place) -> None:
    assert place.records() == (set() if place.real else RECORDS)
    s3, bucket = boto3.client("s3"), DISCOVERY.removeprefix("s3://")
    document = json.load(s3.get_object(Bucket=bucket, Key=f"{NAME}/.well-known/openid-configuration")["Body"])
    (provider,) = boto3.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    assert provider["Arn"].endswith(document["issuer"].removeprefix("https://"))
    assert json.load(s3.get_object(Bucket=bucket, Key=f"{NAME}/openid/v1/jwks")["Body"])["keys"]


@pytest.mark.parametrize("count", [1, 5])
def test_other_control_plane_nodes_are_refused_before_anything_is_done(place: Place, count: int) -> None:
    before, snapshots = place.reach().store.read(), place.reach().store.ours()
    wanted = place.spec(count=count)
    with pytest.raises(Unsafe, match=rf"control_plane\.count: 3, {count} is wanted"):
        place.plan(wanted)
    with pytest.raises(Unsafe, match=r"control_plane\.count"):
        place.driver(wanted).configure(())
    assert place.reach().store.read() == before
    assert place.reach().store.ours() == snapshots
    assert place.groups()["control-plane-us-east-1a"] == 1


def test_it_goes_one_minor_up(place: Place) -> None:
    wanted = place.spec("1.36")
    steps = [(Verb.UPGRADE_CONTROL_PLANE, NAME), (Verb.UPGRADE_POOL, "web"), (Verb.UPGRADE_POOL, "batch")]
    assert [each for each in place.apply(wanted) if each[0] is not Verb.VALIDATE] == steps
    seen = place.driver(wanted).observe()
    assert seen.version is not None
    kubelets = {version for pool in seen.pools.values() for version in pool.versions.values()}
    assert {seen.version, *kubelets} == {seen.version}
    assert seen.version.startswith("1.36.")
    assert place.plan(wanted).steps == ()


def test_it_grows(place: Place) -> None:
    wanted = place.spec("1.36", web=3)
    assert place.apply(wanted) == [(Verb.SCALE_POOL, "web")]
    assert place.plan(wanted).steps == ()
    assert place.groups()["web"] == 3


def test_a_control_plane_machine_that_runs_and_is_dead_is_replaced_and_never_two(place: Place) -> None:
    wanted = place.spec("1.36", web=3)
    here = {each["Placement"]["AvailabilityZone"]: each["InstanceId"] for each in place.instances() if _is_master(each)}
    first, second, third = (here[zone] for zone in ZONES)
    _strike(place, first, second)
    place.clock.advance(timedelta(minutes=20))
    with pytest.raises(Unsafe, match="1 of 3 control-plane nodes are Ready"):
        place.plan(wanted)
    _heal(place, second)
    plan = place.plan(wanted)
    (step,) = plan.steps
    assert (step.verb, plan.digest) == (Verb.CONFIGURE, place.plan(wanted).digest)
    assert f"{first} of control-plane-us-east-1a: its node has not been Ready since" in step.reason
    place.apply(wanted)
    place.clock.set(CLOCK.now())
    assert place.plan(wanted).steps == ()
    left = {each["Placement"]["AvailabilityZone"]: each["InstanceId"] for each in place.instances() if _is_master(each)}
    assert sorted(left) == ZONES
    assert first not in left.values()
    assert {second, third} < set(left.values())
    assert place.reach().kops.validate(place.told["api_server"]).valid


def test_it_sleeps_and_wakes_as_it_was(place: Place) -> None:
    awake, wanted = place.groups(), place.spec("1.36", web=3)
    place.driver(wanted).hibernate()
    assert place.driver(wanted).observe().phase is Phase.HIBERNATED
    assert place.instances() == []
    place.driver(wanted).wake()
    assert place.groups() == awake
    assert place.plan(wanted).steps == ()


def test_nothing_is_left_of_it_though_it_cannot_be_asked_to_let_go(place: Place) -> None:
    """Services have ordered load balancers, and the API server is out of reach: kOps and the scan find them by tags."""
    _order_load_balancers(place)
    assert len([what for what in everything().values() if what.startswith(("elb", "nlb"))]) == 4
    spec = place.spec("1.36")
    out_of_reach = spec.provider.model_copy(update={"api_server": "https://127.0.0.1:1"})
    place.said.clear()
    place.driver(spec.model_copy(update={"provider": out_of_reach})).delete()
    assert any("going on without" in line for line in place.said)
    assert place.driver().observe().phase is Phase.ABSENT
    assert place.driver().residue() == []
    zone = None if place.real else ZONE
    where = {"state_store": STORE, "discovery_store": DISCOVERY}
    assert cluster_resources(place.reach().account, NAME, dns_zone=zone, **where) == []
    assert place.records() == set()
    left = {each: what for each, what in everything().items() if each not in place.before}
    assert left == {store: f"bucket {store.removeprefix('s3://')}" for store in (STORE, DISCOVERY)}
    assert place.before.items() <= everything().items(), "nothing of anybody else's is gone"
    counted = [line for line in place.said if "resources deleted" in line]
    assert 3 <= len(counted) <= 10


def _strike(place: Place, *instances: str) -> None:
    """Their kubelets die; returns once the node controller has noticed."""
    boto3.client("ec2").create_tags(Resources=list(instances), Tags=[{"Key": FAULT, "Value": "not-ready"}])
    _until_ready(place, dict.fromkeys(instances, False))


def _heal(place: Place, instance: str) -> None:
    boto3.client("ec2").delete_tags(Resources=[instance], Tags=[{"Key": FAULT}])
    _until_ready(place, {instance: True})


def _until_ready(place: Place, wanted: Mapping[str, bool]) -> None:
    with place.reach().client() as client, watching(place.env(), client, NODES) as lookout:

        def lacking() -> str:
            found = {name: nodes.ready(client.get(f"{NODES}/{name}")) for name in wanted}
            return ", ".join(name for name, ready in found.items() if ready != wanted[name])

        lookout.until(lacking)


def _is_master(instance: Mapping[str, Any]) -> bool:
    return "k8s.io/role/control-plane" in _tags(instance)


def _order_load_balancers(place: Place) -> None:
    """A classic one and a network load balancer, each for a Service."""
    ports = [{"port": 80, "protocol": "TCP"}]
    annotations: dict[str, dict[str, str]] = {
        "classic": {},
        "network": {"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"},
    }
    path = "/api/v1/namespaces/default/services"
    with Client(dict(place.driver().kubeconfig())) as client, watching(place.env(), client, path) as lookout:
        for name, notes in annotations.items():
            spec = {"type": "LoadBalancer", "selector": {"app": "shop"}, "ports": ports}
            client.create(path, {"metadata": {"name": name, "annotations": notes}, "spec": spec})

        def lacking() -> str:
            found = [client.get(f"{path}/{name}") for name in annotations]
            return "" if all(each["status"]["loadBalancer"].get("ingress") for each in found) else "load balancers"

        lookout.until(lacking)


def _tags(thing: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", ())}
