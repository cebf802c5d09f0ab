"""`python -m benchmarks.fleets.live SPEC`: the whole life of one cluster, by the flow that a user starts."""

import sys
from pathlib import Path

from boatyard.cli.prefect_server.client import connected
from boatyard.cli.prefect_server.private import NO_HEARTBEAT
from boatyard.spec.load import load_cluster


def main(spec: Path) -> None:
    """As `boatyard up` and the command line run it."""
    with connected(NO_HEARTBEAT):
        from flows.lifecycle import lifecycle

        lifecycle(load_cluster(spec), upgrades=["1.35", "1.36"], scale=[{"web": 10}, {"web": 5}], delete=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
