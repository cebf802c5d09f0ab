"""`python -m benchmarks.fleets.created SPEC`: one cluster made, by the flow that a user starts."""

import sys
from pathlib import Path

from boatyard.cli.prefect_server.client import connected
from boatyard.cli.prefect_server.private import NO_HEARTBEAT
from boatyard.spec.load import load_cluster


def main(spec: Path) -> None:
    """As `boatyard up` and the command line run it."""
    with connected(NO_HEARTBEAT):
        from flows.create import create_cluster

        create_cluster(load_cluster(spec))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
