"""A terminal that is closed in the middle of an operation, as an SSH session at night: the end is in order."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from boatyard.store import reader
from tests.terminal import Terminal

pytestmark = pytest.mark.twin

SPEC = """\
apiVersion: boatyard/v1
kind: Cluster
name: byssh
provider: {kind: kwok}
kubernetes: {version: "1.35"}
apps:
  - {name: stuck, manifests: stuck.yaml}
"""
NEVER_READY = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: stuck}
spec:
  selector: {matchLabels: {app: stuck}}
  template:
    metadata: {labels: {app: stuck}}
    spec: {containers: [{name: main, image: registry.k8s.io/pause}]}
"""
COMMAND = [sys.executable, "-m", "boatyard.cli.main"]


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    (tmp_path / "byssh.yaml").write_text(SPEC)
    (tmp_path / "stuck.yaml").write_text(NEVER_READY)
    made = dict(os.environ) | {"BOATYARD_HOME": str(tmp_path / "home"), "PYTHONPATH": str(Path(__file__).parents[2])}
    yield made
    subprocess.run([*COMMAND, "delete", "byssh", "--yes"], env=made, cwd=tmp_path, capture_output=True, timeout=300)


def until(ask: Callable[[], Any], what: str, seconds: float = 240) -> Any:
    """The first true answer."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, f"{what} did not come in {seconds} s"
        threading.Event().wait(0.1)
    return answer


def ours(home: Path) -> list[str]:
    """Command lines of every program of Boatyard's own that works for this home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line, around = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"-m\0boatyard." in line and str(home).encode() in around:
            found.append(line.replace(b"\0", b" ").decode())
    return found


def test_the_step_ends_the_lease_is_given_back_and_the_journal_says_so(tmp_path: Path, env: dict[str, str]) -> None:
    home = tmp_path / "home"
    url = f"sqlite:///{home / 'boatyard.db'}"
    with Terminal([*COMMAND, "apply", "byssh.yaml", "--yes"], env=env, cwd=tmp_path) as terminal:
        until(lambda: "waiting for" in terminal.said or terminal.process.poll() is not None, "the app that is stuck")
        assert any("prefect_server.child" in line for line in ours(home)), terminal.said
        with reader(url) as store:
            assert store.leases.current("byssh") is not None
        terminal.close()
        assert terminal.process.wait(60) == 129
    with reader(url) as store:
        assert store.leases.current("byssh") is None
        entries = [(each.verb, each.outcome, each.reason, each.message) for each in store.journal.list("byssh")]
    assert [(verb, outcome) for verb, outcome, _, _ in entries][-2:] == [("deploy app", "failed"), ("stop", "done")]
    assert "was broken off: its terminal was closed (SIGHUP)" in entries[-2][3]
    assert entries[-1][2] == "its terminal was closed (SIGHUP)"
    until(lambda: ours(home) == [], "the end of every program")
    assert list((home / "prefect").glob("private-*")) == []
    assert not (home / "crashes").exists()
