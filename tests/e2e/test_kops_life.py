"""kOps' whole life through the command, on the emulated account: each by a stand-in, and by the real kops on PATH."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from boatyard.sandbox.aws import Sandbox
from boatyard.settings import Settings
from boatyard.tools.toolbox import Toolbox
from tests.standin.kops.install import install

ROOT = Path(__file__).parents[2]
REAL = shutil.which("kops")
ALONE = pytest.param(
    "real", marks=[pytest.mark.real_kops, pytest.mark.skipif(REAL is None, reason="there is no kops on PATH")]
)
BOTH = ["stand-in", ALONE]
CHANNEL = ROOT / "tests/cases/kops/channel/stable.yaml"
pytestmark = [pytest.mark.twin, pytest.mark.server]
Command = Callable[..., subprocess.CompletedProcess[str]]


def call(argv: list[str], env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, env=env, cwd=cwd, capture_output=True, text=True, timeout=900)


def cut(env: dict[str, str], cwd: Path, *arguments: str, at: str) -> None:
    """Killed, without a chance to clean up, as soon as a line says so."""
    argv = [sys.executable, "-m", "boatyard.cli.main", *arguments]
    said = list[str]()
    with subprocess.Popen(argv, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            said.append(line)
            if at in line:
                run.kill()
                break
    assert run.returncode == -signal.SIGKILL, f"{at!r} was never said: {''.join(said[-30:])}"


def boatyard(env: dict[str, str], cwd: Path) -> Command:
    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = call([sys.executable, "-m", "boatyard.cli.main", *arguments], env, cwd)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr
        return done

    return run


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KOPS_"))}
    return kept | {"BOATYARD_HOME": str(home), "PYTHONPATH": str(ROOT)} | more


def whole_life(run: Command) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run("demo", "kops", "--json").stdout)
    stages = [stage["stage"].partition(" ")[0] for stage in document["stages"]]
    life = "prerequisites create validate deploy monitor upgrade scale scale hibernate wake rotate delete"
    assert stages == life.split()
    assert {stage["outcome"] for stage in document["stages"]} == {"done"}
    assert document["residue"] == []
    return document


@pytest.fixture(scope="module", params=BOTH)
def kops(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that is called kops."""
    return install(tmp_path_factory.mktemp("kops")) if request.param == "stand-in" else Path(REAL or "")


def path_with(kops: Path) -> str:
    return f"{kops.parent}{os.pathsep}{os.environ['PATH']}"


def test_the_whole_life(kops: Path, tmp_path: Path) -> None:
    whole_life(boatyard(environment(tmp_path / "home", PATH=path_with(kops)), tmp_path))


@pytest.fixture(scope="module")
def account(kops: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, dict[str, str], Path]]:
    """An emulated account with live clusters, and the environment of a person who works with it."""
    folder = tmp_path_factory.mktemp("account")
    with Sandbox.start(folder / "sandbox", Toolbox(Settings.load().cache)) as sandbox:
        yield sandbox, environment(folder / "home", PATH=path_with(kops), **sandbox.environment), folder


CLASSIC = [
    "--name=k8s.example.com",
    "--zones=us-east-1a",
    "--node-count=2",
    "--node-size=t3.medium",
    "--control-plane-size=t3.medium",
    "--dns=none",
    "--kubernetes-version=1.35.5",
]


WAITING = ["--wait", "1m", "--interval", "2s", "--count", "2"]


def test_a_cluster_made_by_plain_kops_is_adopted_unchanged_and_lives_on(
    kops: Path, account: tuple[Sandbox, dict[str, str], Path]
) -> None:
    """The classic guide's commands first, then Boatyard: nothing to do, then a scale, then the end."""
    sandbox, env, folder = account
    store = "s3://classic-kops-state"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    (folder / "id.pub").write_bytes(key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" you\n")
    s3 = boto3.client("s3", endpoint_url=sandbox.endpoint, aws_access_key_id="x", aws_secret_access_key="x")
    s3.create_bucket(Bucket="classic-kops-state")
    s3.put_bucket_versioning(Bucket="classic-kops-state", VersioningConfiguration={"Status": "Enabled"})
    with_kops = env | {"KOPS_STATE_STORE": store, "KUBECONFIG": str(folder / "kubeconfig")}
    for argv in (
        ["create", "cluster", *CLASSIC, f"--channel={sandbox.channel}", "--ssh-public-key=id.pub"],
        ["update", "cluster", "k8s.example.com", "--yes", "--admin=1h"],
        ["validate", "cluster", "--name", "k8s.example.com", "--api-server", sandbox.api_server, *WAITING],
    ):
        done = call([str(kops), *argv], with_kops, folder)
        assert done.returncode == 0, done.stdout + done.stderr

    run = boatyard(env, folder)
    said = run("adopt", store, "--to", "fleet", "--json", code=2).stdout
    assert json.loads(said)["clusters"][0]["adopted"] is False  # its API is where only the sandbox' router can tell
    file = folder / "fleet" / "k8s.example.com.yaml"
    spec = yaml.safe_load(file.read_text())
    spec["provider"]["api_server"] = sandbox.api_server
    file.write_text(yaml.safe_dump(spec, sort_keys=False))

    assert "nothing to do" in run("plan", str(file)).stdout
    run("apply", str(file))
    name = "nodes-us-east-1a"
    spec["pools"][0]["max"] = 4
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    (plan,) = json.loads(run("plan", str(file), "--resources", "--json", code=2).stdout)["plans"]
    (step,) = plan["steps"]
    assert (step["verb"], step["target"]) == ("scale pool", name)
    group = {"deed": "modify", "kind": "AutoscalingGroup", "name": f"{name}.k8s.example.com", "fields": ["MaxSize"]}
    assert step["resources"] == [group | {"explained": True}]
    assert f"modifies AutoscalingGroup/{name}" in run("apply", str(file), "--resources", "--yes").stdout
    run("scale", "k8s.example.com", f"{name}=3")
    assert json.loads(run("validate", "k8s.example.com", "--json").stdout)["ok"] is True
    run("delete", "k8s.example.com", "--yes")
    orphans = run("aws", "orphans", "--region", "us-east-1", "--json")
    assert json.loads(orphans.stdout)["orphans"] == []


def test_the_flags_of_an_old_guide_make_that_very_cluster(
    kops: Path, account: tuple[Sandbox, dict[str, str], Path]
) -> None:
    sandbox, env, folder = account
    said = run_init(env, folder)
    assert "master" in said  # deprecated
    assert "t2.micro" in said  # too small
    file = folder / "guide.yaml"
    spec = yaml.safe_load(file.read_text())
    spec["provider"] |= {"api_server": sandbox.api_server, "channel": sandbox.channel, "dns": "none"}
    spec["provider"].pop("dns_zone", None)
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    run = boatyard(env, folder)
    assert re.search(r"s3://your-kops-state-store", run("prerequisites", "guide.yaml", code=2).stdout)
    run("apply", "guide.yaml", "--yes")
    run("validate", "guide.example.com")
    groups = call(
        [str(kops), "get", "ig", "--name", "guide.example.com", "-o", "json"],
        kops_env(env, folder),
        folder,
    )
    sizes = {each["metadata"]["name"]: each["spec"] for each in json.loads(groups.stdout)}
    assert {name: (each["machineType"], each["minSize"]) for name, each in sizes.items()} == {
        "control-plane-us-east-1a": ("t2.micro", 1),
        "nodes-us-east-1a": ("t2.micro", 2),
    }
    run("delete", "guide.example.com", "--yes")


def with_sandbox(sandbox: Sandbox, folder: Path, name: str, **changes: Any) -> str:
    """The file of a small cluster's spec."""
    provider = {"kind": "kops", "state_store": "s3://cut-kops-state", "zones": ["us-east-1a"], "dns": "none"}
    provider |= {"api_server": sandbox.api_server, "channel": CHANNEL.as_uri()}
    pools = [{"name": "web", "size": "t3.medium", "min": 2}]
    spec = {"apiVersion": "boatyard/v1", "kind": "Cluster", "name": name, "provider": provider, "pools": pools}
    spec |= {"kubernetes": {"version": "1.35"}, "control_plane": {"size": "t3.medium"}, **changes}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(spec))
    return f"{name}.yaml"


def test_what_a_refused_creation_left_registered_is_taken_up(
    kops: Path, account: tuple[Sandbox, dict[str, str], Path]
) -> None:
    sandbox, env, folder = account
    name, run = "half.example.com", boatyard(env, folder)
    file = with_sandbox(sandbox, folder, name)
    run("prerequisites", file, "--fix")
    by_hand = env | {"KOPS_STATE_STORE": "s3://cut-kops-state", "KUBECONFIG": str(folder / "kubeconfig")}
    flags = [f"--name={name}", "--zones=us-east-1a", "--node-count=2", "--node-size=t3.medium", "--dns=none"]
    flags += ["--control-plane-size=t3.medium", "--kubernetes-version=1.20.0", f"--channel={CHANNEL.as_uri()}"]
    refused = call([str(kops), "create", "cluster", *flags], by_hand, folder)
    assert refused.returncode == 1, refused.stdout
    assert "kubernetes upgrade is required" in refused.stderr
    assert call([str(kops), "get", "cluster", name, "-o", "json"], by_hand, folder).returncode == 0
    run("apply", file, "--yes")
    assert json.loads(run("validate", name, "--json").stdout)["ok"] is True
    assert "nothing to do" in run("plan", file).stdout
    run("delete", name, "--yes")


@pytest.mark.parametrize("kops", [ALONE], indirect=True)  # the stand-in's kills: tests/faults/aws
def test_killed_at_any_moment_and_run_again_it_arrives(
    kops: Path, account: tuple[Sandbox, dict[str, str], Path]
) -> None:
    sandbox, env, folder = account
    name, run = "cut.example.com", boatyard(env, folder)
    file = with_sandbox(sandbox, folder, name)
    run("prerequisites", file, "--fix")
    for moment in ("registering", "tasks done", "waiting for"):
        cut(env, folder, "apply", file, "--yes", at=moment)
    again = call([sys.executable, "-m", "boatyard.cli.main", "apply", file, "--yes"], env, folder)
    assert again.returncode in (0, 7), again.stderr  # 7: it came up by itself between the plan and the deed
    run("apply", file, "--yes")
    assert json.loads(run("validate", name, "--json").stdout)["ok"] is True
    for moment in ("control plane first", "tasks done", "is ending", "leave for new ones"):
        cut(env, folder, "upgrade", name, "--to", "1.36", at=moment)
    run("upgrade", name, "--to", "1.36")
    assert json.loads(run("validate", name, "--json").stdout)["ok"] is True
    for moment in ("Looking for cloud resources", "resources deleted"):
        cut(env, folder, "delete", name, "--yes", at=moment)
    run("delete", name, "--yes")
    orphans = run("aws", "orphans", "--region", "us-east-1", "--json")
    assert json.loads(orphans.stdout)["orphans"] == []


def kops_env(env: dict[str, str], folder: Path) -> dict[str, str]:
    return env | {"KOPS_STATE_STORE": "s3://your-kops-state-store", "KUBECONFIG": str(folder / "kubeconfig")}


def run_init(env: dict[str, str], folder: Path) -> str:
    """The guide's flags, word for word but for the name."""
    flags = [
        "--name=guide.example.com",
        "--state=s3://your-kops-state-store",
        "--zones=us-east-1a",
        "--node-count=2",
        "--node-size=t2.micro",
        "--master-size=t2.micro",
        "--dns-zone=guide.example.com",
    ]
    return boatyard(env, folder)("init", "kops", *flags, "--to", "guide.yaml").stderr
