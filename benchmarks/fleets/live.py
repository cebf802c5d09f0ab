"""`python -m benchmarks.fleets.live SPEC`: the whole life of one cluster, by the flow that a user starts."""

import sys
from pathlib import Path

from boatyard.spec.load import load_cluster
from flows.lifecycle import lifecycle


def main(spec: Path) -> None:
    lifecycle(load_cluster(spec), upgrades=["1.35", "1.36"], scale=[{"web": 10}, {"web": 5}], delete=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
