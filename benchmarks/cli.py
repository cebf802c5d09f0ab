"""The command line against the bare interpreter: what `--help`, `status` and `plan` cost beyond its start."""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.base import Row, timed

BUDGET = 0.3
"""Seconds beyond the interpreter's own start."""
TIMES = 9
SPEC = """\
apiVersion: boatyard/v1
kind: Cluster
name: blink
provider: {kind: kwok}
kubernetes: {version: "1.35"}
pools:
  - {name: web, min: 3, max: 5}
"""


def run() -> list[Row]:
    """`ours`: median seconds beyond the interpreter's start; `theirs`: the budget."""
    with tempfile.TemporaryDirectory() as home:
        spec = Path(home) / "blink.yaml"
        spec.write_text(SPEC)
        env = os.environ | {"BOATYARD_HOME": str(Path(home) / "state")}
        program = Path(sys.executable).parent / "boatyard"
        verbs = {"--help": ["--help"], "status": ["status"], "plan": ["plan", str(spec)]}

        def start(*argv: str) -> float:
            return timed(lambda: subprocess.run(argv, env=env, capture_output=True, check=False))

        rows = []
        for name, argv in verbs.items():
            start(str(program), *argv)
            pairs = [(start(sys.executable, "-c", "pass"), start(str(program), *argv)) for _ in range(TIMES)]
            beyond = statistics.median(ours - bare for bare, ours in pairs)
            rows.append(Row(f"cli/{name.strip('-')}", beyond, BUDGET, "s", 1.0, "a budget of 0.3 s"))
        return rows
