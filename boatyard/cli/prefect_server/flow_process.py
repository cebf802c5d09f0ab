"""The process of one deployed run: `python -m boatyard.cli.prefect_server.flow_process`, started by the worker.

It is Prefect's engine with two things changed.

No heartbeat: its thread costs every flow, and every flow inside it, up to a second at the end. The worker sees this
process end, and `reconcile` looks for it by number, so nobody needs to hear it beat.

Output goes to a file, not into the worker's pipe: when the worker is killed, the next line into the broken pipe would
end the flow in the middle of its work.
"""

import os
import runpy

from boatyard.cli.prefect_server.client import connected


def _write_to(path: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)


if __name__ == "__main__":
    if log := os.environ.get("BOATYARD_PREFECT_RUN_LOG"):
        _write_to(log)
    with connected({"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": None}):
        runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)
