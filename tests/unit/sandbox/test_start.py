"""Starting and ending the sandbox: who may, what it says, and what is left."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from boatyard.errors import Held, MissingTool, Permanent
from boatyard.sandbox.aws import Sandbox, sandbox
from boatyard.tools import Toolbox

pytestmark = pytest.mark.account

Command = Any


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    """`boatyard sandbox up aws --account-only --json`, running."""
    line = [sys.executable, "-m", "boatyard.cli.main", "--json", "--home", str(tmp_path)]
    with subprocess.Popen(
        [*line, "sandbox", "up", "aws", "--account-only"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        yield child
        child.kill()


def told(child: Command) -> dict:
    """The one document it prints while it runs on."""
    text = ""
    for line in child.stdout:
        text += line
        if line == "}\n":
            return json.loads(text)
    raise AssertionError(f"no document, but {text!r} and {child.stderr.read()!r}")


def test_the_command_prints_an_environment_that_works_and_ends_by_ctrl_c(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = told(command)
    for name, value in document["environment"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    assert boto3.Session().client("sts").get_caller_identity()["Account"] == "123456789012"
    command.send_signal(signal.SIGINT)
    assert command.wait(30) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(document["pid"], 0)


def test_the_command_says_when_the_sandbox_ends_by_itself(command: Command) -> None:
    os.kill(told(command)["pid"], signal.SIGKILL)
    assert command.wait(30) == 1
    assert "ended by itself with exit code -9" in command.stderr.read()


def test_a_folder_has_one_sandbox_at_a_time(tmp_path: Path) -> None:
    with Sandbox.start(tmp_path), pytest.raises(Held):
        Sandbox.start(tmp_path)
    with Sandbox.start(tmp_path) as again:
        assert again.running


def test_a_child_that_cannot_start_is_an_error_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.sys, "executable", "/bin/false")
    with pytest.raises(Permanent, match="exit code 1"):
        Sandbox.start(tmp_path)
    monkeypatch.undo()
    with Sandbox.start(tmp_path) as after:
        assert after.running


def test_a_program_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingTool, match="etcd"):
        Sandbox.start(tmp_path / "sandbox", Toolbox(tmp_path / "cache", search=""))


def test_without_moto_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "find_spec", lambda name: None)
    with pytest.raises(MissingTool, match=r"boatyard\[sandbox\]"):
        Sandbox.start(tmp_path)
