"""Ask a person in the Prefect UI (or by API) before steps that disrupt.

A deployed run is suspended: its process ends, nothing is held while somebody sleeps over it, and a restart loses
nothing. When the answer comes the flow runs again from its top; the same `key` then returns the answer at once. So the
key is made from what is approved, the plan's digest: if the world moved on meanwhile, the key differs and the new plan
is asked for anew. A flow called by a command or inside another flow cannot be suspended: it waits, holding its lease.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput, read_flow_run_input
from prefect.input.run_input import keyset_from_paused_state
from prefect.logging import get_run_logger
from prefect.states import Paused, Suspended
from prefect.utilities.urls import url_for
from pydantic import Field

from boatyard.clock import Deadline, Stop, SystemClock
from boatyard.errors import DeadlineExceeded, Permanent

WEEK = 7 * 86400.0
_LOOK_AGAIN = 1.0  # seconds


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


def request_approval(
    plan_markdown: str, key: str, timeout: float = WEEK, stopped: Stop | None = None
) -> Approved | Refused:
    """Show a plan with a form and wait for the answer; to be called in a flow, not in a task.

    key: names what is approved, best a digest of the plan: one answer holds for each key in a run.
    timeout: seconds to wait; a waiting flow then raises `DeadlineExceeded`, a suspended one is marked as failed.
    stopped: ends the wait of a flow that waits in place (`Fenced`), as a cancel of its run does (`Permanent`).
    May raise Prefect's own Pause signal (a BaseException) to end the process: let it pass.
    """
    run = _run()
    if run is None:
        raise Permanent("Approval can only be asked for inside a flow.")
    key, found = _asked(run, key)
    if found is None:
        form = Answer.with_initial_data(description=plan_markdown)
        where = url_for("flow-run", obj_id=run.id) or f"flow run {run.name} in the Prefect UI"
        get_run_logger().info("This plan waits for approval: open %s and press Resume.", where)
        try:
            if _suspends(run):
                found = suspend_flow_run(wait_for_input=form, key=key, timeout=int(timeout))
            else:
                found = _wait_in_place(run, form, key, timeout, stopped or Stop())
        except FlowPauseTimeout as error:
            raise DeadlineExceeded(f"Nobody approved the plan within {timeout:g} s; nothing was changed.") from error
    return Approved(found.note) if found.approve else Refused(found.note)


def _wait_in_place(run: FlowRun, form: type[Answer], key: str, timeout: float, stopped: Stop) -> Answer:
    """As Prefect's `pause_flow_run`, which would go on waiting when the run is cancelled."""
    state = Paused(timeout_seconds=int(timeout), reschedule=False, pause_key=key)
    state.state_details.run_input_keyset = fields = keyset_from_paused_state(state)
    deadline = Deadline.after(timeout, "approval", SystemClock())
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, state)
        form.save(fields)
        while (now := client.read_flow_run(run.id).state) is not None and now.is_paused():
            if deadline.passed:
                raise FlowPauseTimeout
            stopped.wait(_LOOK_AGAIN)
            stopped.check("waiting for approval")
    if now is not None and now.is_running():
        return form.load(fields)
    said = "cancelled" if now is not None and (now.is_cancelling() or now.is_cancelled()) else "ended"
    raise Permanent(f"flow run {run.name} was {said} by a person while it waited for approval; nothing was done.")


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
    given: dict[str, Any] = {"approve": approve, "note": note}
    with get_client(sync_client=True) as client:
        result = client.resume_flow_run(UUID(str(flow_run_id)), run_input=given)
    if result.status.value != "ACCEPT":
        reason = getattr(result.details, "reason", None) or "it is not waiting"
        raise Permanent(f"The flow run {flow_run_id} takes no answer: {reason}.")
