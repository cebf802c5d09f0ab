"""A cluster's whole life with 20 apps, against a bash script with kwokctl, kubectl and helm."""

import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.base import Row
from benchmarks.fleets import twenty
from benchmarks.twin import LIMIT, driver_in, environment, scratch, toolbox, uninterrupted
from boatyard.cli.prefect_server.place import Place
from boatyard.cli.prefect_server.private import private_server, template
from boatyard.run import minimal_env
from boatyard.run import run as run_program
from boatyard.settings import Settings
from boatyard.spec.models import Cluster

GOAL = 1.0
HERE = Path(__file__).parent
NAME = "life"
_HANDS = ("kwokctl", "kubectl", "helm")
_PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")


@dataclass(frozen=True)
class Life:
    """Seconds of the whole, and of each stage in the order they ran."""

    seconds: float
    stages: dict[str, float]


def run() -> list[Row]:
    """Ours, by hand, ours again, so that a machine that gets busier or quieter meanwhile does not decide."""
    with scratch() as folder:
        before = _by_flow(folder / "before")
        _show("Boatyard", before)
        theirs = _by_hand(folder / "hand")
        _show("by hand", theirs)
        after = _by_flow(folder / "after")
        _show("Boatyard again", after)
    mean = (before.seconds + after.seconds) / 2
    notes = (
        "from start to end of each program, the server runs already; mean of a run before and a run after the script's;"
        f" seconds, ours: {_told(before)}; again: {_told(after)}; by hand: {_told(theirs)}"
    )
    return [Row("lifecycle", mean, theirs.seconds, "s", GOAL, "bash with kwokctl, kubectl, helm", notes)]


def _told(life: Life) -> str:
    return ", ".join(f"{name} {seconds:.1f}" for name, seconds in life.stages.items())


def _show(who: str, life: Life) -> None:
    print(f"   {who}: {life.seconds:.1f} s", flush=True)
    for name, seconds in life.stages.items():
        print(f"      {name:<28}{seconds:>7.1f}", flush=True)


def _by_hand(folder: Path) -> Life:
    folder.mkdir()
    twenty.write(folder / "apps")
    parts = {f"BIN_{name.upper().replace('-', '_')}": str(toolbox().path(name)) for name in _PARTS}
    env = environment(folder, _HANDS, **parts)
    try:
        done = run_program([str(HERE / "lifecycle.sh"), str(folder)], timeout=LIMIT, env=env)
    finally:  # the script cleans up itself, but not when it was killed
        with uninterrupted():
            argv = [toolbox().path("kwokctl"), "delete", "cluster", f"--name={NAME}", "--kubeconfig=/dev/null"]
            run_program(argv, timeout=60, env=env | {"KWOK_WORKDIR": str(folder / "kwok")}, check=False)
    words = [line.split() for line in done.stdout.splitlines() if line.startswith("stage ")]
    stages = {name: float(seconds) for _, name, seconds in words}
    return Life(done.seconds, stages | {"the rest": done.seconds - sum(stages.values())})


def _by_flow(folder: Path) -> Life:
    """A fresh Python process against a server that runs already."""
    folder.mkdir()
    spec = folder / "life.yaml"
    cluster = {
        "apiVersion": "boatyard/v1",
        "kind": "Cluster",
        "name": NAME,
        "provider": {"kind": "kwok"},
        "kubernetes": {"version": "1.34", "channel": "pinned"},
        "pools": [
            {"name": "web", "size": "4x16", "min": 5, "max": 10},
            {"name": "batch", "size": "4x16", "min": 2, "taints": ["batch=true:NoSchedule"]},
        ],
        "policy": {"upgrade": {"surge": 3}},
        "apps": twenty.write(folder / "apps"),
    }
    spec.write_text(json.dumps(cluster))
    settings = Settings(folder / "home", Settings.load().cache, f"sqlite:///{folder / 'home' / 'boatyard.db'}")
    with (
        _cleared(settings.home, cluster),
        private_server(Place.of(settings).make(), template(settings)) as (server, variables),
    ):
        env = minimal_env(
            **variables,
            BOATYARD_HOME=str(settings.home),
            BOATYARD_CACHE=str(settings.cache),
            BOATYARD_STORE_URL=settings.store_url,
            BOATYARD_WHO="benchmark",
        )
        done = run_program(
            [sys.executable, "-m", "benchmarks.fleets.live", str(spec)], timeout=LIMIT, env=env, cwd=HERE.parent
        )
        return _stages(server.api, done.seconds)


@contextmanager
def _cleared(home: Path, cluster: dict[str, Any]) -> Iterator[None]:
    try:
        yield
    finally:
        with uninterrupted():
            driver_in(home, Cluster.model_validate(cluster)).delete()


def _stages(api: str, seconds: float) -> Life:
    """From the server's own records: each flow that the life called, and what lies between them."""
    runs = _post(f"{api}/flow_runs/filter", {"sort": "START_TIME_ASC"})
    whole = next(each for each in runs if each["parent_task_run_id"] is None)
    tasks = {each["id"]: each for each in _post(f"{api}/task_runs/filter", {"sort": "EXPECTED_START_TIME_ASC"})}
    stages: dict[str, float] = {"start of Python": 0.0}
    for each in runs:
        parent = tasks.get(each["parent_task_run_id"] or "")
        if parent and parent["flow_run_id"] == whole["id"]:
            name = each["name"].replace(f" {NAME}", "")
            stages[f"{name} again" if name in stages else name] = _seconds(each)
    inside = _seconds(whole)
    stages["between stages"] = inside - sum(stages.values())
    stages["start of Python"] = seconds - inside
    return Life(seconds, stages)


def _seconds(run: dict[str, Any]) -> float:
    return (datetime.fromisoformat(run["end_time"]) - datetime.fromisoformat(run["start_time"])).total_seconds()


def _post(url: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(  # noqa: S310 - our own server on loopback
        url, data=json.dumps(body).encode(), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        found: list[dict[str, Any]] = json.load(answer)
    return found
