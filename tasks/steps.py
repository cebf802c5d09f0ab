"""Plans in Prefect: made, shown as an artifact, approved, and carried out, side by side where steps may."""

from collections.abc import Callable
from contextlib import suppress

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.futures import PrefectFuture, as_completed
from prefect.logging import get_run_logger

from boatyard.drivers.upgrading import Halted
from boatyard.errors import BoatyardError, Permanent, Temporary, Unsafe
from boatyard.plan.model import UPGRADING, Phase, Plan, Step, Verb
from boatyard.plan.render import as_markdown, as_text, summary
from tasks.approval import Approved, Refused, request_approval
from tasks.hooks import start_deployment
from tasks.options import RETRIED, raise_all
from tasks.progress import Progress
from tasks.yard import SCHEDULED, operation

CREATE = (Verb.CREATE, Verb.REPAIR, Verb.CREATE_POOL, Verb.SCALE_POOL)  # a pool that was cut off lacks nodes
APPS = (Verb.DEPLOY_APP, Verb.REMOVE_APP)
UPGRADE = UPGRADING
ROUNDS = 3
"""A plan may be incomplete (asleep, broken) once, then once more after a repair; more means it does not converge."""


@task(task_run_name="{step.verb} {step.target}", **RETRIED)
def carry_out(step: Step) -> None:
    """One step of the plan: observed, then done, journalled, fenced and bounded by its deadline."""
    with Progress(str(step), step.expected) as progress:
        try:
            operation().carry_out(step, progress.say, *([start_deployment] if "deployment" in step.params else []))
        except Halted as halt:
            show_evidence(halt)
            raise
        if step.verb is Verb.WAKE and operation().name not in SCHEDULED:
            operation().asked_for("it was woken")


def show_evidence(halt: Halted) -> None:
    """Why an upgrade stopped, as an artifact of the run."""
    name = operation().cluster.name
    lines = "\n".join(f"- {line}" for line in halt.evidence)
    create_markdown_artifact(
        f"**{halt}**\n\n{lines}\n",
        key=f"halt-{artifact_key(name)}",
        description=f"Why the upgrade of {name} stopped",
    )


def show_plan(plan: Plan) -> None:
    """The plan into the log and, as an artifact, into the UI."""
    get_run_logger().info(as_text(plan))
    create_markdown_artifact(
        as_markdown(plan), key=f"plan-{artifact_key(plan.cluster)}", description=f"Plan for {plan.cluster}"
    )


def _ask_in_the_ui(text: str, key: str) -> Approved | Refused:
    return request_approval(text, key, stopped=operation().stopped)


_ask: Callable[[str, str], Approved | Refused] = _ask_in_the_ui


def ask_with(ask: Callable[[str, str], Approved | Refused]) -> None:
    """Let every flow of this process ask for approval by `ask`, which takes the plan's text and its digest."""
    global _ask
    _ask = ask


def run_plan(plan: Plan, *, agreed: bool = False) -> None:
    """Show the plan, wait for approval where the policy asks for it, then do every step of it and nothing else.

    agreed: somebody has agreed to this very plan already. Who is asked sees what the steps touch at the provider, and
    nothing else is touched then.
    """
    asks = plan.disruptive and operation().cluster.policy.upgrade.approve and not agreed
    if asks:
        plan = operation().foresee(plan)
    show_plan(plan)
    if plan.empty:
        return
    if asks:
        with operation().undecided():
            answer = _ask(as_markdown(plan), plan.digest + plan.foreseen_digest)
        if isinstance(answer, Refused):
            raise Unsafe(
                f"the plan for {plan.cluster} was refused: {answer.note or 'no reason given'}; nothing was done."
            )
    if any(step.ends_upgrade for step in plan.steps):
        operation().begin_upgrade()
    operation().foreseen = plan.foreseen
    try:
        _run_steps(plan)
    except Exception:
        with suppress(BoatyardError):  # what went wrong first is what is told
            operation().observe()
        raise
    finally:
        operation().foreseen = None
    operation().observe()  # so that whoever asks the store sees what has become of it, also after a failure


def converge(
    *verbs: Verb,
    expect: str | None = None,
    expect_resources: str | None = None,
    gate: Callable[[Plan], None] | None = None,
) -> None:
    """Plan and carry out until the cluster is as the spec says; `verbs` limits it to some of the steps.

    A control plane that breaks on the way, which the retries of its step did not outlast, is repaired by another plan.
    expect: digest of the one plan that may be carried out; `Unsafe` when another one is needed by now.
    expect_resources: digest of what that plan showed that it touches at the provider; likewise.
    gate: called with each plan before anything of it is done; what it raises stops all.
    """
    for left in reversed(range(ROUNDS)):
        whole = operation().plan()
        plan = whole.only(*verbs, Verb.WAKE, Verb.REPAIR) if verbs else whole
        if expect is not None and plan.digest != expect:
            raise Unsafe(
                f"the plan that was agreed to ({expect}) is not the one that is needed now ({plan.digest}):"
                f" {summary(plan)} Nothing was done.",
                hint="Plan again, and apply what that shows.",
            )
        if gate is not None:
            gate(plan)
        if expect_resources is not None:
            plan = _foreseen(plan, expect_resources)
        try:
            run_plan(plan, agreed=expect is not None)
        except Temporary as error:
            if expect is not None or not left or operation().observe().phase is not Phase.BROKEN:
                raise
            get_run_logger().info("%s Planning again, as the control plane is broken.", error)
            continue
        if expect is not None or not whole.incomplete:
            return
    raise Permanent(
        f"{operation().cluster.name} still does not answer after {ROUNDS} plans.",
        hint="See its journal: boatyard logs.",
    )


def _foreseen(plan: Plan, expect: str) -> Plan:
    """The plan with what it touches at the provider, if that is what was agreed to."""
    plan = operation().foresee(plan)
    if plan.foreseen_digest != expect:
        raise Unsafe(
            f"the plan for {plan.cluster} touches other resources by now than were agreed to. Nothing was done.",
            hint="Plan again with --resources, and apply what that shows.",
        )
    return plan


def _run_steps(plan: Plan) -> None:
    """A step starts when those it waits for have ended well; one that fails stops its followers, not its neighbours."""
    name = operation().cluster.name
    bar = create_progress_artifact(0.0, key=f"progress-{artifact_key(name)}", description=f"{operation().name} {name}")
    futures: dict[str, PrefectFuture[None]] = {}
    for step in plan.steps:
        futures[step.id] = carry_out.submit(step, wait_for=[futures[name] for name in step.after])
    for done, _ in enumerate(as_completed(list(futures.values())), 1):
        update_progress_artifact(bar, progress=100.0 * done / len(plan.steps))
    raise_all(list(futures.values()))


def artifact_key(name: str) -> str:
    """Artifact keys allow lower-case letters, digits and dashes only."""
    return name.replace(".", "-")
