"""Whether a person cancelled a run in Prefect, and the end of the operation that it works on.

Prefect first sets the run to Cancelling. Whoever started its process (the worker) then sends SIGTERM, and 30 seconds
later SIGKILL; of a run inside another one, or of a command's, which have no process that Prefect knows, nobody takes
notice. So Prefect's word on the run is what counts, not the signal: that comes with every other end of a process, too.
"""

import contextvars
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterId
from prefect.exceptions import PrefectException

from boatyard.drivers.operation import Operation
from boatyard.errors import Permanent

_LOOK_AGAIN = 3.0  # seconds; nobody tells a run inside another one that it was cancelled
_SILENT = (httpx.HTTPError, PrefectException)
"""What a server says or does not say that is away for a moment."""


@dataclass(frozen=True)
class Cancel:
    """Which flow run was cancelled, and when. Prefect does not know by whom."""

    run: str
    at: datetime

    def __str__(self) -> str:
        return f"by a person in Prefect at {self.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC (flow run {self.run})"


class Cancels:
    """Whether a person cancelled the running flow, or one that it is part of."""

    def __init__(self, run_id: str | None) -> None:
        self.run_id = run_id
        self._around: list[UUID] = []
        self.found: Cancel | None = None

    def look(self) -> Cancel | None:
        """Ask Prefect; None also where it does not answer now."""
        if self.found is None and self.run_id is not None:
            try:
                with get_client(sync_client=True) as client:
                    self._around = self._around or runs_around(client, UUID(self.run_id))
                    runs = self._around or [UUID(self.run_id)]
                    self.found = next((found for each in runs if (found := _cancel_of(client, each))), None)
            except _SILENT:
                return None
        return self.found


@contextmanager
def heeding(op: Operation, cancels: Cancels) -> Iterator[None]:
    """While the block runs, a cancel stops the operation before its next change; one that came before it, at once."""
    if cancels.look() is not None:
        raise Permanent(f"{op.name} of cluster {op.cluster.name} was cancelled {cancels.found}.")
    with nullcontext() if cancels.run_id == op.run_id else watched(op, cancels):
        yield


@contextmanager
def watched(op: Operation, cancels: Cancels | None = None) -> Iterator[None]:
    """While the block runs, a cancel of the flow that holds the cluster, or of `cancels`, stops the operation.

    A run that a worker started gets SIGTERM as well; one in a command's process, or inside another, gets nothing.
    """
    ended, context = threading.Event(), contextvars.copy_context()
    look = partial(_watch, cancels or Cancels(op.run_id), op, ended)
    threading.Thread(target=partial(context.run, look), daemon=True, name="cancels").start()
    try:
        yield
    finally:
        ended.set()


def _watch(cancels: Cancels, op: Operation, ended: threading.Event) -> None:
    while not op.yard.machine.wait(ended, _LOOK_AGAIN):
        if cancels.look() is not None:
            op.stopped.set(f"it was cancelled {cancels.found}")
            return


def runs_around(client: SyncPrefectClient, run_id: UUID) -> list[UUID]:
    """The run, the one that it is part of, and so on."""
    found = [run_id]
    while (parent := client.read_flow_run(found[-1]).parent_task_run_id) is not None:
        outer = client.read_flow_runs(task_run_filter=TaskRunFilter(id=TaskRunFilterId(any_=[parent])))
        if not outer:
            return []  # Prefect writes tasks down a moment after they begin: the next look finds it
        found.append(outer[0].id)
    return found


def _cancel_of(client: SyncPrefectClient, run_id: UUID) -> Cancel | None:
    run = client.read_flow_run(run_id)
    if run.state is None or not (run.state.is_cancelling() or run.state.is_cancelled()):
        return None
    return Cancel(run.name, run.state.timestamp)
