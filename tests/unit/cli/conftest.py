"""A home of its own for every test, and the command as a real process."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from boatyard.cli.failure import reported
from boatyard.cli.main import cli
from boatyard.clock import SystemClock
from boatyard.store import Store

SPEC = """\
apiVersion: boatyard/v1
kind: Cluster
name: shop
provider: {kind: kwok}
kubernetes: {version: "1.35"}
pools:
  - {name: web, min: 2, max: 5}
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    monkeypatch.setenv("BOATYARD_HOME", str(folder))
    monkeypatch.delenv("BOATYARD_STORE_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("BOATYARD_WHO", "ann")
    return folder


@pytest.fixture
def store(home):
    with Store.open(f"sqlite:///{home / 'boatyard.db'}", SystemClock()) as opened:
        yield opened


@pytest.fixture
def spec(tmp_path):
    file = tmp_path / "shop.yaml"
    file.write_text(SPEC)
    return file


@pytest.fixture
def call(home):
    """Run a command in this process as `main` does: exit code, stdout, stderr."""

    def run(*arguments, text=None):
        def whole(words):
            with reported(words) as outcome:
                code = cli.main(list(words), prog_name="boatyard", standalone_mode=False)
                outcome.code = code if isinstance(code, int) else 0
            return outcome.code

        runner = CliRunner()
        with runner.isolation(input=text) as (out, err, *_):
            code = whole(arguments)
            sys.stdout.flush()
            return SimpleNamespace(code=code, out=out.getvalue().decode(), err=err.getvalue().decode())

    return run


@pytest.fixture
def process(home, tmp_path):
    """Run Python code, or `boatyard` with arguments, as a process."""

    def run(*arguments, code=None, **options):
        argv = (
            [sys.executable, "-c", code] if code else [sys.executable, "-m", "boatyard.cli.main", *map(str, arguments)]
        )
        env = dict(os.environ) | options.pop("env", {})
        root = Path(__file__).parents[3]
        env["PYTHONPATH"] = str(root)
        return subprocess.run(argv, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, **options)

    return run
