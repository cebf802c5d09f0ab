"""The stand-in for kOps does what was recorded of kOps, run by run, against moto; and refuses what it does not know.

Ids, dates, hashes, process numbers and the order of tags are made equal; everything else is compared as it was printed.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from boatyard.run import Result, run
from boatyard.sandbox.aws import seed
from tests.standin.kops.install import install

pytestmark = pytest.mark.account

CASES = Path(__file__).parents[3] / "cases/kops"
RUNS: list[dict[str, Any]] = json.loads((CASES / "recorded/runs.json").read_text())["runs"]
BUCKET, NAME = "kops-state", "k8s.example.com"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """moto as a server, with Canonical's images. It reads their file when it is imported, which another test may have
    brought about before."""
    images = seed.write(tmp_path_factory.mktemp("moto") / "amis.json")
    os.environ["MOTO_AMIS_PATH"] = str(images)
    from moto.ec2.models import amis
    from moto.server import ThreadedMotoServer

    before, amis.AMIS = amis.AMIS, json.loads(images.read_text())

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    amis.AMIS = before
    del os.environ["MOTO_AMIS_PATH"]


class Bench:
    """The stand-in in a folder of its own, with an account that is empty but for the bucket."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder, self.program = folder, install(folder / "bin")
        self.channel = folder / "channel"
        shutil.copyfile(CASES / "channel/stable.yaml", self.channel)
        public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
        form = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        (folder / "id.pub").write_bytes(public.public_bytes(*form) + b" somebody\n")
        keys = {"ACCESS_KEY_ID": "AKIAEXAMPLE", "SECRET_ACCESS_KEY": "nothing"}
        self.env = {f"{kind}_{key}": value for kind in ("AWS", "S3") for key, value in keys.items()}
        self.env |= {"PATH": os.environ["PATH"], "HOME": str(folder), "KUBECONFIG": str(folder / "kubeconfig")}
        self.env |= {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", "KOPS_STATE_STORE": f"s3://{BUCKET}"}
        self.env |= {"S3_ENDPOINT": endpoint, "S3_REGION": "us-east-1"}
        self.env["KOPS_BASE_URL"] = "http://127.0.0.1:5599/kops/1.36.2/"

    def client(self, service: str) -> Any:
        known = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "nothing", "region_name": "us-east-1"}
        return boto3.client(service, endpoint_url=self.env["AWS_ENDPOINT_URL"], **known)

    def __call__(self, *argv: str, text: str | None = None, **env: str) -> Result:
        full = {key: value for key, value in (self.env | env).items() if value}
        return run([self.program, *argv], timeout=120, env=full, cwd=self.folder, input=text, check=False)

    def recorded(self, argv: list[str]) -> list[str]:
        return [part.replace("/srv/kops/channels/stable", str(self.channel)) for part in argv]


@pytest.fixture
def bench(tmp_path: Path, endpoint: str) -> Bench:
    import urllib.request

    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST"))  # noqa: S310
    made = Bench(tmp_path, endpoint)
    made.client("s3").create_bucket(Bucket=BUCKET)
    return made


_SAME = (
    (r"[IWE]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", "I "),
    (r"\.go:\d+\]", ".go]"),
    (r"file://\S*?(stable|channel)\b", "file://CHANNEL"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "DATE"),
    (r"\b(i|lt|dopt|igw|key|rtb|sg|subnet|vol|vpc|eni)-[0-9a-f]{8,17}\b", r"\1-ID"),
    (r"(loadbalancer|targetgroup)/(?:app/|net/)?(\S+?)/[0-9a-f]{16}", r"\1/\2/ID"),
    (r"\b[0-9a-f]{64}@", "HASH@"),
    (r"(NodeupConfigHash: )\S+", r"\1HASH"),
    (r"https?://127\.0\.0\.1:\d+", "http://HERE"),
    (r"RequestID: [^,]*,( HostID: [^,]*,)?", "RequestID: ID,"),
    (r'"id":"\d{28}"', '"id":"SERIAL"'),
    (r'"(internalIP)":"[^"]*"', r'"\1":"IP"'),
    (r"api-k8s-example-com-1ddrig-1\.us-east-1\.elb|api-k8s-example-com-1ddrig-\w+\.elb\.us-east-1", "BALANCER"),
    (r"SHA256:(?:[0-9a-f]{2}:)+[0-9a-f]{2}", "SHA256:OTHER"),
    (r"(?:[0-9a-f]{2}:){15}[0-9a-f]{2}", "PRINT"),
    (r"SHA256:[\w+/]{43}", "SHA256:PRINT"),
    (r"https?://(?:artifacts\.k8s\.io/binaries|HERE)/kops/", "http://HERE/kops/"),
)


def same(text: str) -> list[str]:
    """Lines without what differs from run to run."""
    for pattern, instead in _SAME:
        text = re.sub(pattern, instead, text)
    if text.startswith(("{", "[")):
        return json.dumps(json.loads(text), sort_keys=True, indent=1).splitlines()
    lines = []
    for line in text.splitlines():
        found = re.match(r"(  \t(?:Tags|Attributes) +\t)\{(.*)\}$", line)
        if found:
            line = found[1] + "{" + ", ".join(sorted(found[2].split(", "))) + "}"
        lines.append(re.sub(r"(SubnetMappings +\t).*", r"\1…", line))
    return lines


def test_the_recorded_life_up_to_the_upgrade(bench: Bench) -> None:
    """Runs 5 to 23: create, look, scale, upgrade. One after another, since each builds on those before it."""
    assert_same(bench, 5, 24, but={20, 15})


def test_the_recorded_end(bench: Bench) -> None:
    """Runs 26 to 35: rolling update, keypairs, nodes to nothing, deletion."""
    for number in (5, 8, 17, 19):
        assert bench(*bench.recorded(RUNS[number]["argv"])[1:]).code == 0
    assert_same(bench, 25, 33, but={28, 32})
    keys = json.loads(bench(*RUNS[28]["argv"][1:]).stdout)
    assert sorted(key["name"] for key in keys) == sorted(key["name"] for key in json.loads(RUNS[28]["stdout"]))
    assert [key.keys() for key in keys] == [key.keys() for key in json.loads(RUNS[28]["stdout"])]
    listed = bench("delete", "cluster", NAME).stdout
    assert _kinds(listed) == _kinds(RUNS[32]["stdout"])
    ended = bench("delete", "cluster", NAME, "--yes", "--wait", "11s", "--interval", "1s")
    assert_deleted(bench, ended)


def assert_deleted(bench: Bench, ended: Result) -> None:
    """As recorded: DHCP options whose error moto misspells keep it from ending, and the next run ends."""
    if ended.code == 1:
        assert "InvalidDhcpOptionID.NotFound" in ended.stdout
        assert "wait time exceeded" in ended.stderr
        ended = bench("delete", "cluster", NAME, "--yes")
    assert ended.code == 0
    assert ended.stdout.endswith(f'Deleted cluster: "{NAME}"\n')
    assert bench("get", "clusters", "-o", "json").stderr == RUNS[35]["stderr"]
    assert "Contents" not in bench.client("s3").list_objects_v2(Bucket=BUCKET)
    assert bench.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []


def _kinds(listed: str) -> list[str]:
    """Kinds and names of a listing of resources, instances aside: moto keeps more of them than were recorded."""
    rows = (re.split(r"\t+", line)[:2] for line in same(listed) if line.count("\t") > 1)
    return sorted(" ".join(row) for row in rows if row[0] != "instance")


def assert_same(bench: Bench, first: int, last: int, *, but: set[int]) -> None:
    for number in sorted(set(range(first, last)) - but):
        run_, result = RUNS[number], bench(*bench.recorded(RUNS[number]["argv"])[1:])
        assert (number, result.code) == (number, run_["exit_code"]), result.stderr
        assert (number, same(result.stdout)) == (number, same(run_["stdout"]))
        if number != 12:  # whether the API server has a name in DNS depends on where the test runs
            assert (number, sorted(same(result.stderr))) == (number, sorted(same(run_["stderr"])))


@pytest.mark.parametrize("number", [1, 2, 3, 29, 35, 38])
def test_a_recorded_failure(bench: Bench, number: int) -> None:
    assert_same(bench, number, number + 1, but=set())


def test_a_missing_bucket_and_a_missing_store(bench: Bench) -> None:
    bench.client("s3").delete_bucket(Bucket=BUCKET)
    assert_same(bench, 0, 1, but=set())
    assert bench("get", "clusters", KOPS_STATE_STORE="").stderr == RUNS[37]["stderr"]


def test_an_old_version_leaves_the_cluster_registered(bench: Bench) -> None:
    assert_same(bench, 4, 5, but=set())
    assert "already exists" in bench(*bench.recorded(RUNS[5]["argv"])[1:]).stderr


MANIFEST = f"""
apiVersion: kops.k8s.io/v1alpha2
kind: Cluster
metadata: {{name: {NAME}}}
spec: {{subnets: [{{name: a, zone: us-east-1a, type: Public}}], WHAT: 1}}
"""


@pytest.mark.parametrize(
    ("argv", "text", "env", "why"),
    [
        (["get", "cluster", "--frobnicate"], None, {}, "the flag --frobnicate"),
        (["frobnicate"], None, {}, "`kops frobnicate`"),
        (["get", "clusters", "-o", "xml"], None, {}, "'xml'"),
        (["get", "cluster", "a", "b"], None, {}, "2 arguments"),
        (["update", "cluster", NAME, "--yes", "--yes"], None, {}, "given twice"),
        (["edit", "cluster", NAME], None, {}, "an edit in an editor"),
        (["create", "-f", "-"], MANIFEST, {}, "Cluster.spec.WHAT"),
        (["create", "-f", "-"], "kind: Pod\n", {}, "not of kops.k8s.io/v1alpha2"),
        (["get", "clusters", "-o", "json"], None, {"KOPS_FEATURE_FLAGS": "x"}, "KOPS_FEATURE_FLAGS"),
        (["get", "clusters", "-o", "json"], None, {"KUBECONFIG": ""}, "KUBECONFIG"),
        (["get", "clusters", "-o", "json"], None, {"AWS_ENDPOINT_URL": ""}, "AWS_ENDPOINT_URL"),
        (["get", "clusters", "-o", "json"], None, {"S3_ENDPOINT": "http://s3.example.com"}, "s3.example.com"),
    ],
)
def test_what_it_does_not_know_it_refuses(
    bench: Bench, argv: list[str], text: str | None, env: dict[str, str], why: str
) -> None:
    if argv[0] in ("update", "edit"):
        bench(*bench.recorded(RUNS[5]["argv"])[1:])
    result = bench(*argv, text=text, **env)
    assert result.code == 64
    assert why in result.stderr


def test_keys_are_staged_promoted_and_distrusted(bench: Bench) -> None:
    for number in (5, 8):
        bench(*bench.recorded(RUNS[number]["argv"])[1:])

    def trusted() -> list[tuple[str, bool]]:
        keys = json.loads(bench("get", "keypairs", "--name", NAME, "-o", "json").stdout)
        return [(key["id"], "isPrimary" in key) for key in keys if key["name"] == "kubernetes-ca"]

    ((first, _),) = trusted()
    assert bench("create", "keypair", "kubernetes-ca", "--name", NAME).stdout.startswith("Created kubernetes-ca ")
    (_, second) = trusted()
    assert trusted() == [(first, True), (second[0], False)]
    changed = bench("update", "cluster", NAME).stdout
    assert "LaunchTemplate/nodes-us-east-1a" in changed
    assert (
        bench("promote", "keypair", "kubernetes-ca", "--name", NAME).stdout == f"Promoted kubernetes-ca {second[0]}\n"
    )
    assert bench("distrust", "keypair", "kubernetes-ca", "--name", NAME).stdout == f"Distrusted kubernetes-ca {first}\n"
    assert trusted() == [(second[0], True)]
    assert (
        "cannot distrust the primary" in bench("distrust", "keypair", "kubernetes-ca", second[0], "--name", NAME).stderr
    )


def test_manifests_make_the_same_cluster_as_flags(bench: Bench) -> None:
    bench(*bench.recorded(RUNS[5]["argv"])[1:])
    made = bench("get", "all", "--name", NAME, "-o", "yaml").stdout
    preview = bench("update", "cluster", NAME).stdout
    bench("delete", "cluster", NAME, "--yes")
    assert f"Created cluster/{NAME}" in bench("create", "-f", "-", text=made).stdout
    assert bench("create", "-f", "-", text=made).stderr == f'Error: cluster "{NAME}" already exists\n'
    assert bench("create", "sshpublickey", NAME, "-i", "id.pub").code == 0
    assert same(bench("update", "cluster", NAME).stdout) == same(preview)
    gone = bench("delete", "ig", "nodes-us-east-1a", "--name", NAME, "--yes")
    assert gone.stdout.endswith('Deleted InstanceGroup: "nodes-us-east-1a"\n')
    assert bench("replace", "-f", "-", "--force", text=made).code == 0
    assert same(bench("update", "cluster", NAME).stdout) == same(preview)


def test_the_address_of_its_assets_tells_kops_its_version_and_one_that_is_none_breaks_the_next_update(
    bench: Bench,
) -> None:
    """Seen with the real one: `…/kops-assets` was written into the record as the version that updated it last."""
    bench(*bench.recorded(RUNS[5]["argv"])[1:])
    for base, kept in (("http://127.0.0.1:5599/kops/1.36.2", b"1.36.2"), ("http://127.0.0.1:5599/assets", b"assets")):
        assert bench("update", "cluster", NAME, "--yes", KOPS_BASE_URL=base).code == 0
        stored = bench.client("s3").get_object(Bucket=BUCKET, Key=f"{NAME}/kops-version.txt")
        assert stored["Body"].read() == kept
    refused = bench("update", "cluster", NAME)
    assert refused.stderr == "Error: error parsing last kops version updated: No Major.Minor.Patch elements found\n"
    assert refused.code == 1


def test_an_edit_of_the_cluster_is_refused_where_a_group_leaves_its_image_to_the_channel(bench: Bench) -> None:
    """Seen with the real one: all other commands take such a group."""
    bench(*bench.recorded(RUNS[5]["argv"])[1:])
    groups = json.loads(bench("get", "ig", "--name", NAME, "-o", "json").stdout)
    group = next(each for each in groups if each["metadata"]["name"] == "nodes-us-east-1a")
    del group["spec"]["image"]
    assert bench("replace", "-f", "-", "--force", text=json.dumps(group)).code == 0
    why = 'nodes-us-east-1a.spec.image: Invalid value: "": specified image "" is invalid: could not find Image for ""'
    assert bench("edit", "ig", "nodes-us-east-1a", "--name", NAME, "--set", "spec.minSize=3").code == 0
    whole = f"Error: validation failed: [spec.image: Forbidden: image must be specified., {why}]\n"
    assert bench("edit", "cluster", NAME, "--set", "spec.kubernetesVersion=1.36.1").stderr == whole
    assert bench("update", "cluster", NAME, "--yes").code == 0
