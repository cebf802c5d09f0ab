"""Ask a person in the Prefect UI (or by API) before steps that disrupt.

A deployed run is suspended: its process ends, nothing is held while somebody sleeps over it, and a restart loses
nothing. When the answer comes the flow runs again from its top; the same `key` then returns the answer at once. So the
key is made from what is approved, the plan's digest: if the world moved on meanwhile, the key differs and the new plan
is asked for anew. A flow called by a command or inside another flow cannot be suspended: it waits, holding its lease.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput, read_flow_run_input
from prefect.input.run_input import keyset_from_paused_state
from prefect.states import Paused, Suspended
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

    key: names what is approved, best a digest of the plan: one answer holds for each key in a run.
    timeout: seconds to wait; a waiting flow then raises `DeadlineExceeded`, a suspended one is marked as failed.
    May raise Prefect's own Pause signal (a BaseException) to end the process: let it pass.
    """
    run = _run()
    if run is None:
        raise Permanent("Approval can only be asked for inside a flow.")
    key, found = _asked(run, key)
    if found is None:
        form = Answer.with_initial_data(description=plan_markdown)
        try:
            if _suspends(run):
                found = suspend_flow_run(wait_for_input=form, key=key, timeout=int(timeout))
            else:
                found = pause_flow_run(wait_for_input=form, key=key, timeout=int(timeout), poll_interval=1)
        except FlowPauseTimeout as error:
            raise DeadlineExceeded(f"Nobody approved the plan within {timeout:g} s; nothing was changed.") from error
    return Approved(found.note) if found.approve else Refused(found.note)


def was_answered(key: str) -> bool:
    """Whether somebody has answered this run already: `request_approval` then returns that."""
    run = _run()
    return run is not None and _asked(run, key)[1] is not None


def _run() -> FlowRun | None:
    context = FlowRunContext.get()
    return None if context is None else context.flow_run


def _suspends(run: FlowRun) -> bool:
    return run.deployment_id is not None and run.parent_task_run_id is None


def _asked(run: FlowRun, key: str) -> tuple[str, Answer | None]:
    """The answer, and under which key it was given; without one, the key to ask with.

    A run that was killed while it asked, or while it waited in place, has used up its key without an answer. Prefect
    would take that for one without any words, which is a refusal.
    """
    pause, used = Suspended if _suspends(run) else Paused, run.empirical_policy.pause_keys or ()
    this, number = key, 1
    while True:
        given = read_flow_run_input(keyset_from_paused_state(pause(pause_key=this))["response"], flow_run_id=run.id)
        if given is not None:
            return this, Answer(**given)
        if this not in used:
            return this, None
        number += 1
        this = f"{key}-{number}"


def answer_approval(flow_run_id: UUID | str, *, approve: bool, note: str = "") -> None:
    """Give the answer without the UI. Raises `Permanent` when that run is not waiting for one."""
    from prefect.client.orchestration import get_client

    given: dict[str, Any] = {"approve": approve, "note": note}
    with get_client(sync_client=True) as client:
        result = client.resume_flow_run(UUID(str(flow_run_id)), run_input=given)
    if result.status.value != "ACCEPT":
        reason = getattr(result.details, "reason", None) or "it is not waiting"
        raise Permanent(f"The flow run {flow_run_id} takes no answer: {reason}.")
