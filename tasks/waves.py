"""Upgrades that go through the fleet: decided for all clusters at once, reserved, asked about, carried out, kept."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Literal

from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from boatyard.drivers.fleet_state import fleet_state, rules
from boatyard.drivers.operation import END, Operation
from boatyard.errors import BoatyardError, Fenced, Held, Permanent
from boatyard.plan.fleet import Member
from boatyard.plan.model import Phase, Plan, Verb
from boatyard.plan.waves import Ask, Schedule, Verdict, decide
from boatyard.redact import redact
from boatyard.spec.models import Cluster
from boatyard.spec.windows import Window
from boatyard.store.records import RingSoaked, Upgrade
from boatyard.versions import Minor
from tasks.approval import Approved, Refused
from tasks.bugs import is_bug, told
from tasks.cancelling import CHANGES, settle_cancelled, stays_so
from tasks.cancels import Cancels, heeding
from tasks.events import tell
from tasks.gates import require_leave, rises_to
from tasks.upkeep import newest_step
from tasks.yard import MAINTENANCE, who, yard

__all__ = ["Ask", "Verdict"]

SCHEDULER = "/upgrades"
"""The lease under which upgrades are decided; no cluster can have that name."""
WAIT = 120.0
"""Seconds to wait for another decision to end; they take a second or so."""
APPROVAL = "approve-upgrade/approve-upgrade"
TABLE = "fleet-upgrades"
"""The artifact's key."""


def due_upgrades(names: Collection[str]) -> Schedule:
    """What starts now, of these clusters; the limits are those of the whole fleet.

    What starts is written down before anybody else may decide, so that two runs never exceed a limit together.
    """
    here, logger = yard(), get_run_logger()
    try:
        with here.store.leases.hold(SCHEDULER, who(), "scheduling", wait=WAIT) as lease:
            settle_cancelled()
            waves = rules(here)
            seen = fleet_state(here, waves)
            schedule = decide(waves, seen.state, here.clock.now())
            here.store.leases.check(lease)
            here.store.rollout.remember([RingSoaked(each.ring, each.target, each.at) for each in schedule.soaked])
            due = [each for each in schedule.starts if each.name in names]
            starts = tuple(
                each
                for each in due
                if here.store.rollout.reserve(
                    each.name, str(each.to), lease, asleep=each.wake, forced=each.forced, run_id=flow_run.id
                )
            )
    except Held as held:
        logger.warning("no upgrade is started this time: %s", held)
        return Schedule(())
    for verdict in schedule.verdicts:
        if verdict.name in names:
            logger.info(
                "%s: %s, for %s", verdict.name, f"upgrade to {verdict.to}" if verdict.to else "keep", verdict.reason
            )
    for each in due:
        if each not in starts:
            logger.info("%s: keep, for somebody works on it by now", each.name)
    for name in sorted(seen.left_out.keys() & set(names)):
        logger.info("%s: keep, for %s", name, seen.left_out[name])
    for halted in schedule.halted:
        logger.warning(
            "ring %s stands still at %s, and so do those behind it: %s", halted.ring, halted.target, halted.reason
        )
    _tell_due([each for each in seen.state.members if each.name in names], schedule, here.clock.now())
    return replace(schedule, starts=starts)


def _tell_due(members: Collection[Member], schedule: Schedule, now: datetime) -> None:
    """A schedule cannot wait for an answer without keeping others from the cluster: where the cluster's own policy asks
    for approval it only says, inside the window, what is due."""
    due = {each.name: each for each in schedule.verdicts if each.target is not None and each.to is None}
    for member in members:
        if member.by_hand and member.name in due and any(Window.parse(text).is_open(now) for text in member.windows):
            verdict = due[member.name]
            tell(member.name, "upgrade.due", {"cluster": member.name, "to": verdict.target, "reason": verdict.reason})


def show(schedule: Schedule) -> None:
    """The whole fleet as a table, whenever something moves or stands still, and not as it was shown last."""
    if not (schedule.starts or schedule.asks or schedule.halted):
        return
    rows = [
        {
            "cluster": each.name,
            "now": f"to {each.to}" if each.to else "waits",
            "next": each.target or "",
            "why": each.reason,
        }
        for each in schedule.verdicts
    ]
    if rows != _shown():
        create_table_artifact(rows, key=TABLE, description="Upgrades of the fleet")


def _shown() -> object:
    """The rows of the newest table; None where there is none."""
    those = ArtifactFilter(key=ArtifactFilterKey(any_=[TABLE]))
    with get_client(sync_client=True) as client:
        newest = client.read_artifacts(artifact_filter=those, sort=ArtifactSort.UPDATED_DESC, limit=1)
    data = newest[0].data if newest else None
    return json.loads(data) if isinstance(data, str) else data


def ask_for(asks: Collection[Ask]) -> None:
    """Start a run for each question, once a week until it is answered; it waits in the UI for a person."""
    week = yard().clock.now().strftime("%G-W%V")
    for ask in asks:
        tell("fleet", "approval.due", {"ring": ask.ring, "version": ask.target})
        try:
            run_deployment(
                APPROVAL,
                parameters={"ring": ask.ring, "version": ask.target},
                timeout=0,
                as_subflow=False,
                idempotency_key=f"approve {ask.ring} {ask.target} {week}",
            )
        except ObjectNotFound:
            get_run_logger().warning(
                "ring %s waits for approval of %s: boatyard fleet approve %s %s",
                ask.ring,
                ask.target,
                ask.ring,
                ask.target,
            )


@contextmanager
def counted(op: Operation) -> Iterator[Callable[[Plan], None]]:
    """A gate for the plans of an apply: with the first that upgrades the cluster, the fleet remembers an upgrade.

    No limit holds a person's apply back, but from then on it has its place in each of them.
    """
    with ExitStack() as stack:
        begun: list[str] = []

        def gate(plan: Plan) -> None:
            to = rises_to(plan)
            if to is not None and not begun:
                begun.append(to)
                stack.enter_context(recorded(op, to, part_of_more=True))
            require_leave(plan)

        yield gate


@contextmanager
def recorded(op: Operation, to: str, *, part_of_more: bool = False) -> Iterator[Upgrade]:
    """An upgrade that the fleet remembers: by schedule, where it was reserved before, or by hand.

    Refused before its first change it is `blocked`, else what does not end well has `failed`; a bug always, as nobody
    knows what it did. One whose run a person cancelled in Prefect is `cancelled`. One that was killed or
    stopped, or that Prefect's server went away from, stays open, and the next one goes on with it.
    part_of_more: what fails once its last step was carried out is something else.
    """
    store, name = op.yard.store, op.cluster.name
    kept = store.rollout.begin(name, to, run_id=flow_run.id)
    newest = max((entry.id for entry in store.journal.list(name, limit=1)), default=0)
    cancels = Cancels(kept.run_id)

    def noted(verbs: Collection[str]) -> bool:
        return any(entry.verb in verbs for entry in store.journal.list(name, limit=1000, after=newest))

    try:
        with heeding(op, cancels):
            yield kept
    except BaseException as error:
        if part_of_more and noted([END]):
            store.rollout.end(kept.id, "done")
        elif (cancel := cancels.look()) is not None:
            said = stays_so(op, kept, cancel, changed=noted(CHANGES))
            if isinstance(error, BoatyardError):
                raise Permanent(said) from error
        elif isinstance(error, BoatyardError) and not isinstance(error, Fenced):
            _did_not_end_well(op, kept, "failed" if noted(CHANGES) else "blocked", str(error))
        elif is_bug(error):
            _did_not_end_well(op, kept, "failed", told(error))
        raise
    store.rollout.end(kept.id, "done")


def _did_not_end_well(op: Operation, kept: Upgrade, outcome: Literal["failed", "blocked"], why: str) -> None:
    op.yard.store.rollout.end(kept.id, outcome, why)
    if outcome == "failed":
        _tell_failed(op.cluster, kept.version, why)


def _tell_failed(cluster: Cluster, to: str, why: str) -> None:
    payload = {"cluster": cluster.name, "owner": cluster.owner, "to": to, "error": why}
    tell(cluster.name, "upgrade.failed", payload)


def still_due(op: Operation, verdict: Verdict) -> bool:
    """The decision was made from what was remembered: is it still so, now that the cluster is held?"""
    observed = op.observe()
    if observed.phase not in (Phase.RUNNING, Phase.HIBERNATED) or observed.version is None or verdict.to is None:
        get_run_logger().warning("%s is %s by now and is left alone", verdict.name, observed.phase)
        return False
    return Minor.parse(observed.version) <= Minor.parse(verdict.to)


def give_back(name: str, to: str, why: str) -> None:
    """The reservation of an upgrade that does not begin. That was no try: the next look may start it."""
    yard().store.rollout.give_back(name, to, "interrupted", why)


@contextmanager
def reserved(name: str, to: str) -> Iterator[None]:
    """What comes before the upgrade belongs to it: where waking fails, that was a try, and it is not under way."""
    try:
        yield
    except Fenced:
        raise
    except BoatyardError as error:
        yard().store.rollout.give_back(name, to, "blocked", str(error))
        raise


@contextmanager
def accounted(name: str, to: str) -> Iterator[None]:
    """A bug on the way to a reserved upgrade is a failed upgrade: left open, it would be tried again for ever."""
    try:
        yield
    except Exception as error:
        if is_bug(error) and yard().store.rollout.give_back(name, to, "failed", told(error)):
            _tell_failed(yard().registered(name), to, told(error))
        raise


def to_put_back(op: Operation) -> bool:
    """Whether it was woken for its newest upgrade only, and is still awake. One that failed waits for a person."""
    kept = [each for each in op.yard.store.rollout.upgrades(op.cluster.name) if each.outcome != "seen"]
    if not kept or kept[-1].ended_at is None or kept[-1].outcome not in ("done", "blocked", "interrupted"):
        return False
    begun = _asleep_at(kept)
    touched = newest_step(op, {Verb.WAKE.value, Verb.HIBERNATE.value})
    if begun is None or touched is None or touched.verb != Verb.WAKE or touched.operation != MAINTENANCE:
        return False
    return begun <= touched.begun_at <= kept[-1].ended_at and op.observe().phase is Phase.RUNNING


def _asleep_at(kept: Sequence[Upgrade]) -> datetime | None:
    """When the newest upgrade was reserved, of a cluster that slept: it may have taken the place of one cut off."""
    for each in reversed(kept):
        if each is not kept[-1] and each.outcome != "interrupted":
            return None
        if each.asleep:
            return each.begun_at
    return None


def question(ring: str, version: str) -> str:
    """What a person is asked, with the clusters that it is about."""
    here = yard()
    members = fleet_state(here, rules(here)).state.members
    those = sorted(each.name for each in members if each.ring == ring)
    lines = [
        f"**May ring {ring} take Kubernetes {version}?**",
        "",
        f"{len(those)} clusters, each in its own windows:",
        "",
    ]
    return "\n".join([*lines, *(f"- {name}" for name in those)])


def answered(ring: str, version: str) -> bool:
    """Whether somebody has answered already, in another run or at the terminal."""
    return any((each.ring, each.version) == (ring, version) for each in yard().store.rollout.answers())


def keep_answer(ring: str, version: str, answer: Approved | Refused) -> None:
    """Write a person's word down, once; the next decision goes by it."""
    granted, rollout = isinstance(answer, Approved), yard().store.rollout
    said = (ring, version, granted, who(), redact(answer.note))
    if said not in [(each.ring, each.version, each.granted, each.who, each.note) for each in rollout.answers()]:
        rollout.answer(ring, version, granted=granted, who=who(), note=answer.note)
    get_run_logger().info(
        "ring %s %s %s%s",
        ring,
        "may take" if granted else "may not take",
        version,
        f": {answer.note}" if answer.note else "",
    )
