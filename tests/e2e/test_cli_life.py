"""A cluster's life by hand, through the command itself: plan, apply, look, change, delete."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.twin

SPEC = """\
apiVersion: boatyard/v1
kind: Cluster
name: byhand
provider: {kind: kwok}
kubernetes: {version: "1.35"}
pools:
  - {name: web, min: 2, max: 4}
policy: {protect: true}
"""


@pytest.fixture
def boatyard(tmp_path):
    """Run the command in a home of its own; whatever a failing test leaves is deleted."""
    spec = tmp_path / "byhand.yaml"
    spec.write_text(SPEC)
    env = dict(os.environ) | {"BOATYARD_HOME": str(tmp_path / "home"), "PYTHONPATH": str(Path(__file__).parents[2])}

    def run(*arguments, code=0):
        argv = [sys.executable, "-m", "boatyard.cli.main", *arguments]
        done = subprocess.run(argv, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done

    yield run
    spec.write_text(SPEC.replace("protect: true", "protect: false"))
    run("apply", "byhand.yaml", "--yes", code=None)
    run("delete", "byhand", "--yes", code=None)


def test_a_life_by_hand(boatyard, tmp_path):
    first = json.loads(boatyard("plan", "byhand.yaml", "--json", code=2).stdout)
    assert [step["verb"] for step in first["plans"][0]["steps"]] == ["create", "create pool"]

    said = boatyard("apply", "byhand.yaml")
    assert "create pool web" in said.stdout
    assert "Traceback" not in said.stdout + said.stderr
    assert "nothing to do" in boatyard("plan", "byhand.yaml").stdout
    assert "nothing to do" in boatyard("apply", "byhand.yaml").stdout

    [one] = json.loads(boatyard("status", "--json").stdout)["clusters"]
    assert (one["phase"], one["version"], one["lease"]) == ("running", "1.35", None)
    assert one["pools"] == [{"name": "web", "ready": 2, "wanted": 2, "bounds": "2-4"}]

    checks = json.loads(boatyard("validate", "byhand", "--json").stdout)
    assert checks["ok"] is True
    boatyard("kubeconfig", "byhand", "--to", "kubeconfig")
    assert (tmp_path / "kubeconfig").stat().st_mode & 0o777 == 0o600

    ran = json.loads(boatyard("scale", "byhand", "web=4", "--json").stdout)
    assert ran["outcome"] == "done"
    assert [step["step"] for step in ran["steps"]] == ["scale pool web"]
    assert "4 to" not in boatyard("scale", "byhand", "web=9", code=7).stdout
    assert json.loads(boatyard("status", "byhand", "--json").stdout)["pools"][0]["ready"] == 4

    boatyard("delete", "byhand", "--yes", code=7)
    spec = tmp_path / "byhand.yaml"
    spec.write_text(spec.read_text().replace("protect: true", "protect: false"))
    boatyard("apply", "byhand.yaml")
    boatyard("delete", "byhand", code=7)
    assert "Nothing is left of byhand" in boatyard("delete", "byhand", "--yes").stdout
    assert json.loads(boatyard("status", "--json").stdout) == {"clusters": []}
    done = json.loads(boatyard("logs", "byhand", "--json").stdout)["entries"]
    assert [entry["verb"] for entry in done] == ["create", "create pool", "scale pool", "delete"]
    assert {entry["outcome"] for entry in done} == {"done"}
    assert json.loads(boatyard("plan", "byhand.yaml", "--json", code=2).stdout)["changes"] is True
