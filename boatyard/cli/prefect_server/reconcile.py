"""Runs whose process is gone although the server believes they run: after a killed worker, supervisor or machine."""

import asyncio
import contextlib
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boatyard.cli.prefect_server.client import COMMAND_TAG, started_at
from boatyard.errors import Temporary

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State

_LIVE = ["RUNNING", "PENDING", "CANCELLING", "PAUSED"]


def reconcile() -> list[str]:
    """Mark every deployed run without a process as what it is; their names. To be called while no worker of ours runs.

    The automation "crashed run goes on" then puts those back on the queue whose flow is tagged so. A run whose process
    outlived its worker is left alone: it still reports by itself.
    """
    return _asked(_reconcile())


def reconcile_commands() -> list[str]:
    """Mark runs whose command was killed as crashed; their names. May be called at any time."""
    return _asked(_reconcile_commands())


async def _reconcile_commands() -> list[str]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import filters
    from prefect.states import Crashed

    live = filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=_LIVE))
    called = filters.FlowRunFilterDeploymentId(is_null_=True)
    lost = []
    async with get_client() as client:
        chosen = filters.FlowRunFilter(state=live, deployment_id=called)
        for run in await client.read_flow_runs(flow_run_filter=chosen, limit=200):
            tag = next((tag for tag in run.tags if tag.startswith(COMMAND_TAG)), None)
            if tag and not command_alive(tag):
                await client.set_flow_run_state(run.id, Crashed(message="The command that ran this ended."), force=True)
                lost.append(run.name)
    return lost


def _asked(answer: Coroutine[Any, Any, list[str]]) -> list[str]:
    """What the server says; `Temporary` when it does not."""
    import httpx
    from prefect.exceptions import PrefectException

    try:
        return asyncio.run(answer)
    except (httpx.HTTPError, PrefectException) as error:
        raise Temporary(f"The Prefect server did not answer: {error}.") from error


def command_alive(tag: str) -> bool:
    """Whether the process of a tag command-PID-START is there."""
    pid, _, started = tag.removeprefix(COMMAND_TAG).partition("-")
    return pid.isdigit() and started_at(int(pid)) == started


async def _reconcile() -> list[str]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import filters

    live = filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=_LIVE))
    deployed = filters.FlowRunFilterDeploymentId(is_null_=False)
    lost = []
    async with get_client() as client:
        chosen = filters.FlowRunFilter(state=live, deployment_id=deployed)
        for run in await client.read_flow_runs(flow_run_filter=chosen, limit=200):
            if _waits_without_process(run) or alive(run.infrastructure_pid, str(run.id)):
                continue
            await client.set_flow_run_state(run.id, _rightly(run), force=True)
            lost.append(run.name)
    return lost


def _rightly(run: "FlowRun") -> "State[Any]":
    """What the run is in truth: cancelled as asked, never begun, or crashed."""
    from prefect.states import Cancelled, Crashed, Scheduled

    said = "The run's process ended with its worker."
    if run.state is not None and run.state.is_cancelling():
        return Cancelled(message=said)
    if run.run_count == 0:
        return Scheduled(message=said)
    return Crashed(message=said)


def _waits_without_process(run: "FlowRun") -> bool:
    """A suspended run has ended its process on purpose: it comes back when somebody answers."""
    return run.state is not None and run.state.is_paused() and bool(run.state.state_details.pause_reschedule)


def alive(pid: str | None, flow_run: str) -> bool:
    """Whether process `pid` is there and works on that flow run; a number alone may have been given to another."""
    number = (pid or "").rpartition(":")[2]
    if not number.isdigit():
        return False
    with contextlib.suppress(OSError):
        return f"PREFECT__FLOW_RUN_ID={flow_run}".encode() in Path(f"/proc/{number}/environ").read_bytes().split(b"\0")
    if Path("/proc/self").exists():
        return False
    try:
        os.kill(int(number), 0)
    except OSError:
        return False
    return True
