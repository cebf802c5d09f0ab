"""`boatyard aws`: policies as JSON, and the clusters that nobody knows, on an emulated account."""

import json

import boto3
import pytest

from tests.unit.aws.planted import Planted, warm
from tests.unit.aws.serial import emulated

pytestmark = pytest.mark.account

REGION = "eu-central-1"
LOST = "lost.example.com"
SPEC = {
    "name": "shop.example.com",
    "owner": "ann@example.com",
    "provider": {"kind": "kops", "state_store": "s3://spec-store", "irsa": "s3://spec-oidc", "zones": [f"{REGION}a"]},
    "kubernetes": {"version": "1.35"},
}


@pytest.fixture(autouse=True)
def _credentials(monkeypatch, tmp_path):
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION", "KOPS_STATE_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.fixture
def aws():
    with emulated():
        warm(REGION)
        yield


def leftover():
    """One disk of the cluster, and its record in a state store."""
    labels = [{"Key": f"kubernetes.io/cluster/{LOST}", "Value": "owned"}]
    spec = [{"ResourceType": "volume", "Tags": labels}]
    boto3.client("ec2", REGION).create_volume(Size=8, AvailabilityZone=f"{REGION}a", TagSpecifications=spec)
    bucket("kops-store")
    registered("kops-store", LOST)


def bucket(name):
    boto3.client("s3", "us-east-1").create_bucket(Bucket=name)


def registered(store, cluster):
    boto3.client("s3", "us-east-1").put_object(Bucket=store, Key=f"{cluster}/config", Body=b"{}")


def scan(call, *arguments):
    return call("aws", "orphans", "--region", REGION, *arguments)


def test_an_empty_account_has_no_orphans(call, aws):
    said = scan(call)
    assert (said.code, said.out) == (0, "No orphans: 0 clusters found, all known.\n")


def test_a_cluster_that_nobody_knows_is_told_with_its_cost(call, aws):
    planted = Planted(LOST, REGION, store="gone-store")
    boto3.client("s3", "us-east-1").delete_object(Bucket="gone-store", Key=f"{LOST}/config")
    said = scan(call, "--state", "s3://gone-store")
    assert said.code == 2
    lines = said.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == LOST
    text = " ".join(said.out.split())
    assert f"{len(planted.made) - 2} resources in {REGION}, about " in text
    [nat] = [line.split() for line in lines if "nat-gateway" in line]
    assert (nat[1], nat[3]) == ("1", "32.85")
    assert f"`kops delete cluster {LOST} --external --region {REGION}`" in text
    assert text.endswith("1 cluster of 1 found is known to nobody: about 124.07 USD a month at list price.")


def test_the_document_has_every_resource(call, aws):
    planted = Planted(LOST, REGION)
    said = scan(call, "--json")
    assert said.code == 2
    document = json.loads(said.out)
    [orphan] = document["orphans"]
    assert (document["account"], document["regions"], document["clusters"]) == ("123456789012", [REGION], [LOST])
    assert {(each["kind"], each["identity"]) for each in orphan["resources"]} == {
        key for key in planted.made if key[0] not in ("state-store", "oidc-discovery")
    }
    assert orphan["count"] == len(orphan["resources"])
    assert orphan["monthly_cost"] == document["monthly_cost"] == pytest.approx(124.07)
    assert orphan["unpriced"] == 1


@pytest.mark.parametrize("how", ["the store", "a spec's state store", "--state", "KOPS_STATE_STORE", "--known"])
def test_what_is_known_is_no_orphan(call, aws, store, monkeypatch, how):
    leftover()
    bucket("spec-store")
    more = []
    if how == "the store":
        store.clusters.put({**SPEC, "name": LOST})
    elif how == "a spec's state store":
        store.clusters.put(SPEC)
        registered("spec-store", LOST)
    elif how == "KOPS_STATE_STORE":
        monkeypatch.setenv("KOPS_STATE_STORE", "s3://kops-store")
    else:
        more = [how, "s3://kops-store" if how == "--state" else LOST]
    said = scan(call, *more)
    assert (said.code, said.out) == (0, "No orphans: 1 cluster found, all known.\n")


def test_a_deleted_cluster_is_not_known_any_more(call, aws, store):
    leftover()
    store.clusters.put({**SPEC, "name": LOST})
    assert scan(call).code == 0
    store.clusters.mark(LOST, state="deleted")
    assert scan(call).code == 2


def test_a_state_store_that_was_named_has_to_be_there(call, aws):
    leftover()
    said = scan(call, "--state", "s3://no-such-store")
    assert (said.code, said.out) == (4, "")
    assert "NoSuchBucket" in said.err


def test_a_spec_whose_state_store_is_not_made_yet_is_no_error(call, aws, store):
    store.clusters.put(SPEC)
    assert scan(call).code == 0


@pytest.mark.parametrize("state", ["kops-store", "s3://", "https://kops-store"])
def test_a_state_store_is_written_as_kops_writes_it(call, aws, state):
    said = scan(call, "--state", state)
    assert said.code == 64
    assert "s3://BUCKET" in said.err


def actions(document):
    return {action for statement in document["Statement"] for action in statement["Action"]}


def test_policies_are_plain_json(call):
    for who, action in (("installer", "ec2:CreateVpc"), ("reader", "s3:GetObject"), ("nodes", "ecr:BatchGetImage")):
        said = call("aws", "policy", who, "--state", "s3://example-kops")
        assert said.code == 0
        assert action in actions(json.loads(said.out))


def test_a_policy_names_the_buckets_and_clusters_it_is_for(call, store):
    store.clusters.put(SPEC)
    said = call("aws", "policy", "installer", "--cluster", "shop.example.com", "--cluster", "b.example.com")
    assert said.code == 64
    assert "'b.example.com'" in said.err
    said = call(
        *("aws", "policy", "installer", "--cluster", "shop.example.com", "--cluster", "b.example.com"),
        *("--state", "s3://other-store/below"),
    )
    resources = {each for statement in json.loads(said.out)["Statement"] for each in statement["Resource"]}
    assert {"arn:aws:s3:::other-store", "arn:aws:s3:::spec-oidc"} <= resources
    for name in ("shop.example.com", "b.example.com"):
        assert any(each.endswith(f":role/*{name}") for each in resources)
    alone = call("aws", "policy", "reader", "--cluster", "shop.example.com")
    assert "arn:aws:s3:::spec-store" in alone.out


def test_global_options_work_at_every_place(call, aws):
    for arguments in (["--json", "aws", "orphans"], ["aws", "--json", "orphans"], ["aws", "orphans", "--json"]):
        assert json.loads(call(*arguments, "--region", REGION).out)["orphans"] == []


@pytest.mark.parametrize("name", ["policy", "orphans"])
def test_help_of_both_fits_and_has_examples(call, name):
    said = call("aws", name, "--help")
    lines = said.out.splitlines()
    assert said.code == 0
    assert max(map(len, lines)) <= 80
    assert any(f"boatyard aws {name}" in line for line in lines[lines.index("Examples:") + 1 :])


def test_a_group_and_a_role_are_made_with_the_policy_they_are_for(call, aws):
    arguments = ["aws", "policy", "installer", "--state", "s3://kops-store", "--group", "kops"]
    user = "arn:aws:iam::123456789012:user/ann"
    for _ in range(2):
        said = call(*arguments, "--role", "installers", "--trust", user)
        assert said.code == 0
        assert f"{user} may take on" in " ".join(said.out.split())
    iam = boto3.client("iam", REGION)
    assert iam.list_attached_group_policies(GroupName="kops")["AttachedPolicies"][0]["PolicyName"] == "kops"
    assert iam.get_role(RoleName="installers")["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {
        "AWS": user
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["installer", "--role", "installers"], "give --role and --trust together"),
        (["nodes", "--group", "kops"], "kOps itself makes the nodes' roles"),
    ],
)
def test_what_makes_no_sense_is_refused(call, aws, arguments, says):
    said = call("aws", "policy", *arguments, "--state", "s3://kops-store")
    assert said.code == 64
    assert says in " ".join(said.err.split())
