"""The crowd of guarded pods put onto a cluster, and the observer that vouches for its budgets meanwhile."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.base import timed
from benchmarks.fleets import crowd
from benchmarks.twin import LIMIT, Twin
from boatyard.clock import Deadline, SystemClock
from boatyard.kube.apply import apply_objects
from boatyard.kube.client import Client
from boatyard.kube.objects import Ref
from boatyard.kube.waiting import wait_ready

HERE = Path(__file__).parents[2]


@dataclass(frozen=True)
class Witness:
    """What the observer saw. `tightest`: the fewest healthy pods above a budget's floor, over all apps and all time."""

    changes: int
    violations: list[str]
    tightest: int

    def vouch(self, seconds: float) -> None:
        """Print it; `AssertionError` when a budget was violated, or none was ever used up."""
        print(
            f"   ours: {seconds:.1f} s; the observer saw {self.changes} changes of pods,"
            f" at the tightest moment {self.tightest} above a budget's floor",
            flush=True,
        )
        if self.violations:
            raise AssertionError(f"{len(self.violations)} violations: {'; '.join(self.violations[:5])}")
        if self.tightest:
            raise AssertionError("no budget was ever used up: the observer cannot have looked, or nothing was tight")


def settle(client: Client) -> None:
    """The crowd, every pod of it Ready."""
    deadline = Deadline.after(LIMIT, "setting up the pods", SystemClock())
    objects = crowd.objects()
    apply_objects(client, objects, deadline=deadline)
    wait_ready(client, [Ref.of(one) for one in objects], deadline=deadline)


def watched(cluster: Twin, work: Callable[[], object]) -> tuple[float, Witness]:
    """Seconds of `work`, and what an observer of its own process saw until every app was whole again."""
    with _observer(cluster) as observer:
        seconds = timed(work)
        _whole(cluster)
        out, _ = observer.communicate(timeout=30)
    said: dict[str, Any] = json.loads(out)
    return seconds, Witness(said["changes"], said["violations"], min(said["slack"].values()))


@contextmanager
def _observer(cluster: Twin) -> Iterator["subprocess.Popen[str]"]:
    (pki,) = (cluster.home / "kwok" / "clusters").glob("*/pki")
    with cluster.client() as client:
        argv = [sys.executable, "-m", "benchmarks.fleets.observer", client.server, str(pki)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE) as process:
        try:
            if process.stdin is None or process.stdout is None:
                raise AssertionError("the observer has no pipes")
            process.stdin.write(json.dumps({app.name: app.floor for app in crowd.apps()}) + "\n")
            process.stdin.flush()
            if process.stdout.readline().strip() != "READY":
                raise AssertionError("the observer did not start")
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def _whole(cluster: Twin) -> None:
    """Until every Deployment has all its pods again: what comes after the work is watched, too."""
    refs = [Ref("apps", "Deployment", crowd.NAMESPACE, app.name) for app in crowd.apps()]
    with cluster.client() as client:
        wait_ready(client, refs, deadline=Deadline.after(LIMIT, "the apps to be whole", SystemClock()))
        time.sleep(0.5)  # the observer's own watch may be a moment behind
