"""Runs whose process is gone although the server believes they run: after a killed worker, supervisor or machine."""

import asyncio
import contextlib
import os
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boatyard.cli.prefect_server.client import COMMAND_TAG, started_at
from boatyard.errors import Temporary

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun, State

_LIVE = ["RUNNING", "PENDING", "CANCELLING", "PAUSED"]
_OVER = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
GOES_ON = "goes-on"
"""Tag of the deployments whose killed runs are put back on the queue."""
TRIES = 3
_SETTLES = timedelta(seconds=5)
"""A crash is reported twice, by the process's keeper and by the worker; the second must not hit a run that goes on."""
_TOO_OLD = timedelta(days=1)
"""Nobody waits any more for what crashed before that."""


def reconcile() -> list[str]:
    """Mark every deployed run without a process as what it is; their names. To be called while no worker of ours runs.

    `look_after` then puts those back on the queue whose deployment is tagged so. A run whose process outlived its
    worker is left alone: it still reports by itself.
    """
    return _asked(_reconcile())


def look_after() -> list[str]:
    """Mark runs of killed commands as what they are, and put crashed runs tagged `goes-on` back on the queue; what was
    done.

    May be called at any time. Not an automation: those live on events that a restarted server has forgotten.
    """
    return _asked(_look_after())


async def _look_after() -> list[str]:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        return [*await _end_commands(client), *await _go_on(client), *await _end_inner(client)]


async def _end_commands(client: "PrefectClient") -> list[str]:
    from prefect.client.schemas import filters

    live = filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=_LIVE))
    called = filters.FlowRunFilterDeploymentId(is_null_=True)
    said = []
    chosen = filters.FlowRunFilter(state=live, deployment_id=called)
    for run in await client.read_flow_runs(flow_run_filter=chosen, limit=200):
        tag = next((tag for tag in run.tags if tag.startswith(COMMAND_TAG)), None)
        if tag and not command_alive(tag):
            state = _as_asked(run, "The command that ran this ended.")
            await client.set_flow_run_state(run.id, state, force=True)
            said.append(f"Run {run.name!r} lost the command that ran it; it is marked as {state.type.value.lower()}.")
    return said


async def _go_on(client: "PrefectClient") -> list[str]:
    from prefect.client.schemas import filters
    from prefect.states import AwaitingRetry

    crashed = filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=["CRASHED"]))
    recent = filters.FlowRunFilterEndTime(after_=datetime.now(UTC) - _TOO_OLD)
    tagged = filters.FlowRunFilterTags(all_=[GOES_ON])
    said = []
    chosen = filters.FlowRunFilter(state=crashed, tags=tagged, end_time=recent)
    for run in await client.read_flow_runs(flow_run_filter=chosen, limit=200):
        if _settled(run) and _goes_on(run):
            state: State[Any] = AwaitingRetry(
                message="The run's process ended before the run did; it goes on from what is there."
            )
            await client.set_flow_run_state(run.id, state, force=True)
            said.append(f"Run {run.name!r} goes on, try {run.run_count + 1} of {TRIES}.")
    return said


def _settled(run: "FlowRun") -> bool:
    return run.end_time is not None and datetime.now(UTC) - run.end_time > _SETTLES


def _goes_on(run: "FlowRun") -> bool:
    """Whether a crashed run is put back: an inner one goes on with the outer, and count 0 would crash again at once."""
    return GOES_ON in run.tags and run.parent_task_run_id is None and 0 < run.run_count < TRIES


async def _end_inner(client: "PrefectClient") -> list[str]:
    """Mark inner runs as what they are whose outer run is over, or never tried again: a killed try left them."""
    from prefect.client.schemas import filters

    live = filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=_LIVE))
    called = filters.FlowRunFilterDeploymentId(is_null_=True)
    chosen = filters.FlowRunFilter(state=live, deployment_id=called)
    runs = {run.parent_task_run_id: run for run in await client.read_flow_runs(flow_run_filter=chosen, limit=200)}
    inner = {task: run for task, run in runs.items() if task is not None}
    if not inner:
        return []
    those = filters.TaskRunFilter(id=filters.TaskRunFilterId(any_=list(inner)))
    tasks = await client.read_task_runs(task_run_filter=those)
    over = filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=_OVER))
    outer = filters.FlowRunFilterId(any_=[task.flow_run_id for task in tasks if task.flow_run_id])
    found = await client.read_flow_runs(flow_run_filter=filters.FlowRunFilter(id=outer, state=over), limit=200)
    ended: dict[UUID | None, FlowRun] = {
        run.id: run for run in found if _settled(run) and not (run.state and run.state.is_crashed() and _goes_on(run))
    }
    said = []
    for task in tasks:
        if (run := ended.get(task.flow_run_id)) is not None:
            left = inner[task.id]
            state = _as_asked(left, "The run that it belongs to is over.")
            await client.set_flow_run_state(left.id, state, force=True)
            what = state.type.value.lower()
            said.append(f"Run {left.name!r} was left by a killed try of {run.name!r}; it is marked as {what}.")
    return said


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
            if await _waits_without_process(client, run) or alive(run.infrastructure_pid, str(run.id)):
                continue
            await client.set_flow_run_state(run.id, _rightly(run), force=True)
            lost.append(run.name)
    return lost


def _rightly(run: "FlowRun") -> "State[Any]":
    """What the run is in truth: cancelled as asked, never begun, or crashed."""
    from prefect.states import Scheduled

    said = "The run's process ended with its worker."
    state = _as_asked(run, said)
    return Scheduled(message=said) if state.is_crashed() and run.run_count == 0 else state


def _as_asked(run: "FlowRun", said: str) -> "State[Any]":
    """How a run has ended whose process is gone: cancelled, if a person asked for that, else crashed."""
    from prefect.states import Cancelled, Crashed

    cancelling = run.state is not None and run.state.is_cancelling()
    return Cancelled(message=said) if cancelling else Crashed(message=said)


async def _waits_without_process(client: "PrefectClient", run: "FlowRun") -> bool:
    """A suspended run has ended its process on purpose: it comes back when somebody answers.

    One that was killed before its form was whole is not waiting: nobody could answer it.
    """
    import httpx

    if run.state is None or not run.state.is_paused() or not run.state.state_details.pause_reschedule:
        return False
    keys = run.state.state_details.run_input_keyset
    if not keys:
        return True
    try:
        await client.read_flow_run_input(run.id, keys["description"])  # what is written last
    except httpx.HTTPStatusError as error:
        return error.response.status_code != httpx.codes.NOT_FOUND
    return True


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
