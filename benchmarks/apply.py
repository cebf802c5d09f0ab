"""500 mixed objects onto a fresh cluster, against `kubectl apply --server-side`."""

import json
import statistics
import sys
from pathlib import Path

from benchmarks.base import Row, timed
from benchmarks.fleets import mixed
from benchmarks.twin import Twin, scratch, twin
from boatyard.run import run as run_program

GOAL = 0.3
ROUNDS = 3
_DEFINITIONS = "crd"


def run() -> list[Row]:
    """Each side in processes of its own, each time onto a fresh cluster, alternated; the medians."""
    ours, theirs = [], []
    with scratch() as folder:
        first, rest = mixed.write(folder)
        for number in range(ROUNDS):
            ours.append(_ours(f"ours-{number}", folder))
            theirs.append(_theirs(f"theirs-{number}", first, rest))
            print(f"   round {number + 1}: ours {ours[-1]:.2f} s, kubectl {theirs[-1]:.2f} s", flush=True)
    notes = f"{len(mixed.objects())} objects, start of the program to its end, median of {ROUNDS} alternated rounds"
    against = "kubectl apply --server-side"
    return [Row("apply", statistics.median(ours), statistics.median(theirs), "s", GOAL, against, notes)]


def _ours(name: str, folder: Path) -> float:
    """A Python process: start, imports, reading the files, applying."""
    with twin(name) as cluster:
        argv = [sys.executable, "-m", "benchmarks.fleets.apply_folder", str(cluster.kubeconfig), str(folder)]
        seconds = timed(lambda: run_program(argv, timeout=600, cwd=Path(__file__).parent.parent))
        _complete(cluster)
        return seconds


def _theirs(name: str, first: Path, rest: Path) -> float:
    """kubectl cannot know a custom resource before its definition is there: two calls and a wait between them."""

    def apply(cluster: Twin) -> None:
        cluster.kubectl("apply", "--server-side", "-f", first)
        cluster.kubectl("wait", "--for=condition=Established", _DEFINITIONS, "--all", "--timeout=60s")
        cluster.kubectl("apply", "--server-side", "-f", rest)

    with twin(name) as cluster:
        seconds = timed(lambda: apply(cluster))
        _complete(cluster)
        return seconds


def _complete(cluster: Twin) -> None:
    """Both sides must have made every object."""
    missing = []
    with cluster.client() as client:
        for one in mixed.objects():
            resource = client.resource(one["apiVersion"], one["kind"])
            path = resource.path(one["metadata"].get("namespace"), one["metadata"]["name"])
            if client.raw("GET", path, check=False).status != 200:
                missing.append(path)
    if missing:
        raise AssertionError(f"{len(missing)} objects were not made: {json.dumps(missing[:5])}")
