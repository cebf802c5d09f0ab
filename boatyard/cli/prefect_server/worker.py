"""The process worker: takes scheduled runs off the work pool and starts one process for each."""

import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from boatyard import run
from boatyard.cli.prefect_server.place import POOL, worker_env


def start_worker(client: Mapping[str, str], log: Path, *, limit: int) -> run.Process:
    """Start the worker child; `client` is place.client_env, `limit` the most flow runs side by side.

    On SIGTERM it takes no more runs and ends when those in progress have ended.
    """
    argv = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
    argv += ["--name", f"{POOL}@{socket.gethostname()}", "--limit", str(limit), "--install-policy", "never"]
    return run.start([*argv, "--no-create-pool-if-not-found"], log=log, env=worker_env(client))
