"""Runs whose process is gone although the server believes they run: after a killed worker, supervisor or machine."""

import asyncio
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

_LIVE = ["RUNNING", "PENDING", "CANCELLING", "PAUSED"]


def reconcile() -> list[str]:
    """Mark every deployed run without a process as crashed; their names. To be called while no worker of ours runs.

    The automation "crashed run goes on" then puts those back on the queue whose flow is tagged so. A run whose process
    outlived its worker is left alone: it still reports by itself.
    """
    return asyncio.run(_reconcile())


async def _reconcile() -> list[str]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import filters
    from prefect.states import Cancelled, Crashed

    live = filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=_LIVE))  # type: ignore[arg-type]
    deployed = filters.FlowRunFilterDeploymentId(is_null_=False)
    lost = []
    async with get_client() as client:
        chosen = filters.FlowRunFilter(state=live, deployment_id=deployed)
        for run in await client.read_flow_runs(flow_run_filter=chosen, limit=200):
            if _waits_without_process(run) or alive(run.infrastructure_pid, str(run.id)):
                continue
            cancelling = run.state is not None and run.state.is_cancelling()
            said = "The run's process ended with its worker."
            state = Cancelled(message=said) if cancelling else Crashed(message=said)
            await client.set_flow_run_state(run.id, state, force=True)
            lost.append(run.name)
    return lost


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
