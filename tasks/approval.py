"""Ask a person in the Prefect UI (or by API) before steps that disrupt.

A deployed run is suspended: its process ends, nothing is held while somebody sleeps over it, and a restart loses
nothing. When the answer comes the flow runs again from its top; the same `key` then returns the answer at once. So the
key is made from what is approved, the plan's digest: if the world moved on meanwhile, the key differs and the new plan
is asked for anew. A flow called by a command or inside another flow cannot be suspended: it waits, holding its lease.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.context import FlowRunContext
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from boatyard.errors import DeadlineExceeded, Permanent

WEEK = 7 * 86400.0


class Answer(RunInput):
    """The form that the UI shows."""

    approve: bool = Field(
        default=False,
        title="Carry out this plan",
        description="Switched on: it is carried out. Left off: it is refused, and nothing is done.",
    )
    note: str = Field(default="", title="Why", description="Kept with the run.", max_length=1000)


@dataclass(frozen=True)
class Approved:
    """Somebody said yes."""

    note: str = ""


@dataclass(frozen=True)
class Refused:
    """Somebody said no; nothing was changed."""

    note: str = ""


def request_approval(plan_markdown: str, key: str, timeout: float = WEEK) -> Approved | Refused:
    """Show a plan with a form and wait for the answer; to be called in a flow, not in a task.

    key: names what is approved, best a digest of the plan: asked once for each key in a run.
    timeout: seconds to wait; a waiting flow then raises `DeadlineExceeded`, a suspended one is marked as failed.
    May raise Prefect's own Pause signal (a BaseException) to end the process: let it pass.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise Permanent("Approval can only be asked for inside a flow.")
    form = Answer.with_initial_data(description=plan_markdown)
    run = context.flow_run
    try:
        if run.deployment_id is not None and run.parent_task_run_id is None:
            answer = suspend_flow_run(wait_for_input=form, key=key, timeout=int(timeout))
        else:
            answer = pause_flow_run(wait_for_input=form, key=key, timeout=int(timeout), poll_interval=1)
    except FlowPauseTimeout as error:
        raise DeadlineExceeded(f"Nobody approved the plan within {timeout:g} s; nothing was changed.") from error
    return Approved(answer.note) if answer.approve else Refused(answer.note)


def was_asked(key: str) -> bool:
    """Whether this run has asked already and was resumed: its answer is there, and `request_approval` returns it."""
    context = FlowRunContext.get()
    run = context.flow_run if context is not None else None
    return run is not None and key in (run.empirical_policy.pause_keys or ())


def answer_approval(flow_run_id: UUID | str, *, approve: bool, note: str = "") -> None:
    """Give the answer without the UI. Raises `Permanent` when that run is not waiting for one."""
    from prefect.client.orchestration import get_client

    given: dict[str, Any] = {"approve": approve, "note": note}
    with get_client(sync_client=True) as client:
        result = client.resume_flow_run(UUID(str(flow_run_id)), run_input=given)
    if result.status.value != "ACCEPT":
        reason = getattr(result.details, "reason", None) or "it is not waiting"
        raise Permanent(f"The flow run {flow_run_id} takes no answer: {reason}.")
