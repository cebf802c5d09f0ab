"""How kOps is called: arguments, environment, time limit, fence; what comes back. By a program that notes it."""

import json
import os
import stat
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from boatyard.aws.lending import lent
from boatyard.clock import Deadline, SystemClock
from boatyard.drivers.kops import failures
from boatyard.drivers.kops.command import Kops
from boatyard.errors import DeadlineExceeded, NotFound, Temporary

RUNS = json.loads((Path(__file__).parents[3] / "cases/kops/recorded/runs.json").read_text())["runs"]
BY_NAME = {run["name"]: run for run in RUNS}
NAME = "k8s.example.com"


class Scene:
    """A kops that answers like a recorded run, and notes what it was called with."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.program = folder, folder / "kops"
        self.lines, self.fences = list[str](), 0
        self.deadline = Deadline.after(60, "the test", SystemClock())
        self.answers("version")

    def answers(self, name: str, extra: str = "") -> None:
        run = BY_NAME[name]
        (self.folder / "out").write_text(run["stdout"])
        (self.folder / "err").write_text(run["stderr"])
        script = f"""#!/bin/sh
cd {self.folder}
for word in "$@"; do printf '%s\\n' "$word"; done > argv
env > env
cat > stdin
{extra}
cat err >&2
cat out
exit {run["exit_code"]}
"""
        self.program.write_text(script)
        self.program.chmod(0o755)

    @property
    def argv(self) -> list[str]:
        return (self.folder / "argv").read_text().splitlines()

    @property
    def env(self) -> dict[str, str]:
        pairs = (line.split("=", 1) for line in (self.folder / "env").read_text().splitlines() if "=" in line)
        return dict(pairs)

    def kops(self, **environment: str) -> Kops:
        def fence() -> None:
            self.fences += 1

        known: dict[str, Any] = {"name": NAME, "state_store": "s3://kops-state", "region": "us-east-1"}
        known |= {"deadline": self.deadline, "folder": self.folder / "private", "report": self.lines.append}
        return Kops(self.program, **known, environment=lambda: environment, fence=fence)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_the_environment_is_ours(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/home/somebody/.kube/config")
    monkeypatch.setenv("KOPS_STATE_STORE", "s3://another")
    monkeypatch.setenv("KOPS_FEATURE_FLAGS", "Everything")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA1234")
    kops = scene.kops(S3_ENDPOINT="http://127.0.0.1:1")
    assert kops.version() == "1.36.2"
    env = scene.env
    assert env["KUBECONFIG"] == str(scene.folder / "private/kubeconfig")
    assert env["KOPS_STATE_STORE"] == "s3://kops-state"
    assert (env["AWS_REGION"], env["AWS_ACCESS_KEY_ID"]) == ("us-east-1", "AKIA1234")
    assert env["S3_ENDPOINT"] == "http://127.0.0.1:1"
    assert "KOPS_FEATURE_FLAGS" not in env
    assert stat.S_IMODE((scene.folder / "private").stat().st_mode) == 0o700


def test_each_command_gets_the_credentials_of_its_own_time(scene: Scene) -> None:
    """A role's session ends after an hour; a step may take several."""
    sessions = iter(["first-session", "second-session"])
    scene.answers("validate-unreachable", "printenv AWS_SESSION_TOKEN >> err")
    known: dict[str, Any] = {"name": NAME, "state_store": "s3://kops-state", "region": "us-east-1"}
    known |= {"deadline": scene.deadline, "folder": scene.folder / "private"}
    kops = Kops(scene.program, **known, environment=lambda: {"AWS_SESSION_TOKEN": next(sessions)})
    for session in ("first-session", "second-session"):
        with pytest.raises(failures.Unreachable) as error:
            kops.validate()
        assert scene.env["AWS_SESSION_TOKEN"] == session
        assert session not in str(error.value)


ASK = """
import os, urllib.request
where, token = (os.environ[f"AWS_CONTAINER_{name}"] for name in ("CREDENTIALS_FULL_URI", "AUTHORIZATION_TOKEN"))
print(urllib.request.urlopen(urllib.request.Request(where, headers={"Authorization": token})).read().decode())
"""


def test_a_role_is_renewed_while_a_command_runs_and_no_key_of_ours_is_in_its_way(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its session ends after an hour, and one update of a large cluster may take longer."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE", "WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.setenv(f"AWS_{name}", "of the user's own")
    numbers = iter(["first-session", "second-session"])
    (scene.folder / "ask.py").write_text(ASK)
    ask = f"{sys.executable} ask.py >> asked"
    scene.answers("scale-yes", f"{ask}; {ask}")
    known: dict[str, Any] = {"name": NAME, "state_store": "s3://kops-state", "region": "us-east-1"}
    known |= {"deadline": scene.deadline, "folder": scene.folder / "private"}

    def now() -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": "ASIA", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_SESSION_TOKEN": next(numbers)}

    Kops(scene.program, **known, lend=lambda: lent(now)).update()
    answers = [json.loads(line) for line in (scene.folder / "asked").read_text().splitlines()]
    assert [each["Token"] for each in answers] == ["first-session", "second-session"]
    assert "of the user's own" not in scene.env.values()
    assert not {"ASIA", "hush", "first-session"} & {*scene.env.values(), *scene.argv}


def test_a_session_that_ends_before_a_command_may_is_refused_with_what_to_do(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.answers("scale-yes")
    soon = scene.deadline.clock.now() + timedelta(seconds=30)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", soon.isoformat())
    with pytest.raises(
        failures.Credentials, match=rf"ends at {soon:%H:%M} UTC\. Take a new session, or name a profile"
    ):
        scene.kops().update()
    assert not (scene.folder / "argv").exists()
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", (soon + timedelta(hours=12)).isoformat())
    scene.kops().update()
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "soon")
    scene.kops().update()


@pytest.mark.parametrize("name", ["get-cluster", "get-clusters", "get-ig", "get-instances", "get-keypairs"])
def test_questions_are_asked_as_recorded(scene: Scene, name: str) -> None:
    scene.answers(name)
    kops = scene.kops()
    ask = {
        "get-cluster": kops.cluster,
        "get-clusters": kops.clusters,
        "get-ig": kops.groups,
        "get-instances": kops.instances,
        "get-keypairs": lambda: kops.keypairs(distrusted=False),
    }
    assert ask[name]()  # type: ignore[operator]
    assert scene.argv == BY_NAME[name]["argv"][1:]
    assert scene.fences == 0


def test_what_is_absent_is_none_or_empty(scene: Scene) -> None:
    scene.answers("get-missing")
    assert scene.kops().cluster() is None
    scene.kops().delete()
    scene.answers("get-clusters-empty")
    assert scene.kops().clusters() == []
    scene.answers("create-no-bucket")
    with pytest.raises(NotFound, match="no such state store"):
        scene.kops().cluster()


def test_changes_are_fenced_and_told(scene: Scene) -> None:
    scene.answers("scale-yes")
    kops = scene.kops()
    kops.update()
    assert scene.argv == ["update", "cluster", NAME, "--yes", "--create-kube-config=false"]
    assert scene.fences == 1
    assert "kOps: 35 of 120 tasks done" in scene.lines
    assert not [line for line in scene.lines if "base url" in line]
    kops.update(["a", "b"])
    assert scene.argv[-1] == "--instance-group=a,b"


def test_a_preview_tells_of_no_tasks_since_nothing_is_done(scene: Scene) -> None:
    scene.answers("update-preview")
    assert scene.kops().preview().create
    assert [line for line in scene.lines if "tasks" in line] == []


def test_a_deletion_is_counted_as_it_goes(scene: Scene) -> None:
    scene.answers("delete-again")
    scene.kops().delete()
    assert scene.lines[-1] == "kOps: 1 of 1 resources deleted"


def test_manifests(scene: Scene) -> None:
    scene.answers("scale-edit")
    kops = scene.kops()
    kops.create([{"kind": "Cluster"}, {"kind": "InstanceGroup"}])
    assert scene.argv == ["create", "-f", "-"]
    assert (scene.folder / "stdin").read_text() == "---\nkind: Cluster\n---\nkind: InstanceGroup\n"
    kops.replace([{"kind": "Cluster"}])
    assert scene.argv == ["replace", "-f", "-", "--force"]
    assert scene.fences == 2


def test_a_validation_that_fails_is_an_answer(scene: Scene) -> None:
    scene.answers("validate-failing")
    found = scene.kops().validate("https://127.0.0.1:21002")
    assert not found.valid
    assert "kube-scheduler" in found.failures[0].message
    scene.answers("validate-unreachable")
    with pytest.raises(failures.Unreachable):
        scene.kops().validate()
    scene.answers("validate-ready")
    assert scene.kops().validate().valid


def test_a_kubeconfig_leaves_no_file(scene: Scene) -> None:
    path = scene.folder / "private/exported-kubeconfig"
    scene.answers("export-kubeconfig", f"echo 'kind: Config' > {path}")
    assert scene.kops().kubeconfig(timedelta(hours=1)) == {"kind": "Config"}
    assert "--admin=1h" in scene.argv
    assert not path.exists()
    scene.kops().kubeconfig(timedelta(minutes=90))
    assert "--admin=5400s" in scene.argv


def test_no_command_runs_without_end(scene: Scene) -> None:
    gate = scene.folder / "gate"
    os.mkfifo(gate)
    scene.answers("delete-yes", f"cat {gate}")
    with pytest.raises(DeadlineExceeded, match="kops delete cluster"):
        scene.kops().delete(limit=1.0)
    scene.deadline = Deadline.after(0, "the test", SystemClock())
    with pytest.raises(DeadlineExceeded, match="the test did not end in time"):
        scene.kops().version()


def test_a_deletion_that_goes_round_in_circles_says_on_what(scene: Scene) -> None:
    gate = scene.folder / "gate"
    os.mkfifo(gate)
    scene.answers("delete-yes", f"cat out; cat {gate}")
    with pytest.raises(DeadlineExceeded, match=r"27 of 28 resources deleted; waiting for dhcp-options:dopt-\w+\.$"):
        scene.kops().delete(limit=1.0)


def test_secrets_are_not_told(scene: Scene) -> None:
    scene.answers("create-bad-type")
    (scene.folder / "err").write_text("Error: cannot sign with AKIAABCDEFGHIJKLMNOP: dial tcp: no such host\n")
    with pytest.raises(Temporary) as caught:
        scene.kops().clusters()
    assert "AKIA" not in str(caught.value)
