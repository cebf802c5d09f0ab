"""The process worker: takes scheduled runs off the work pool and starts one process for each."""

import sys
from collections.abc import Mapping
from pathlib import Path

from boatyard import run
from boatyard.cli.prefect_server.place import worker_env


def start_worker(client: Mapping[str, str], log: Path) -> run.Process:
    """Start the worker child; `client` is place.client_env. On SIGTERM it drains: no new runs, those in progress end.

    How many runs go side by side is the work pool's limit: with a limit of its own the worker dies of a run that is put
    back on the queue before the worker has let go of its last process.
    """
    env = worker_env(client) | {"BOATYARD_PREFECT_RUN_LOG": str(log.with_name("runs.log"))}
    return run.start([sys.executable, "-m", "boatyard.cli.prefect_server.worker_process"], log=log, env=env)
