"""The worker's process: `python -m boatyard.cli.prefect_server.worker_process`. Prefect's process worker that drains.

Prefect's own command answers SIGTERM by cancelling its tasks, and with them it kills every flow in progress. It also
ends, flows and all, when the server is away for some minutes. Here SIGTERM only stops the search for new runs, and a
server that is away is asked again until it is back.
"""

import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable

import anyio
import httpx
from prefect.settings import get_current_settings
from prefect.workers.process import ProcessWorker

from boatyard.cli.prefect_server.place import POOL


async def work() -> None:
    """Take runs off the pool until SIGTERM or SIGINT, then wait for those in progress."""
    stop, parent = anyio.Event(), os.getppid()
    settings = get_current_settings().worker
    worker = ProcessWorker(work_pool_name=POOL, name=f"{POOL}@{socket.gethostname()}", create_pool_if_not_found=False)
    async with anyio.create_task_group() as watch:
        watch.start_soon(_await_signal, stop, parent)
        async with worker:  # leaving it waits for the runs in progress
            async with anyio.create_task_group() as loops:
                loops.start_soon(_repeat, worker._sync_and_initialize, settings.heartbeat_seconds, stop)
                loops.start_soon(_repeat, worker.get_and_submit_flow_runs, settings.query_seconds, stop)
                _say("Taking runs.")
            _say("Draining.")
        watch.cancel_scope.cancel()
    _say("Ended.")


async def _repeat(task: Callable[[], Awaitable[object]], seconds: float, stop: anyio.Event) -> None:
    while not stop.is_set():
        try:
            await task()
        except httpx.HTTPError as error:
            _say(f"The server does not answer: {error!r}")
        with anyio.move_on_after(seconds):
            await stop.wait()


async def _await_signal(stop: anyio.Event, parent: int) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            if os.getppid() != parent:
                # The supervisor was killed, and the server ends too. The flows live on; the next `up` looks after them.
                # A late report of ours would hit a run that already goes on.
                os._exit(1)
            stop.set()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(work)
