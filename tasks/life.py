"""A life in one run: stage after stage, each told to the journal, so that a life that was cut off goes on from there.

A stage looks at what is there before it acts, but a whole life cannot tell by looking alone how far it had come: a
cluster that sleeps may be about to be scaled, or to be woken for the last time.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ParamSpec

from prefect import Flow
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from pydantic import BaseModel

from boatyard.drivers.operation import JOURNAL
from boatyard.plan.compute import DISTRUSTED
from boatyard.plan.model import Verb
from boatyard.store.records import Entry
from tasks.yard import who, yard

BEGIN, END = "begin stage", "end life"
"""The journal's words."""

P = ParamSpec("P")


@dataclass(frozen=True)
class Stage:
    """A flow, and what it is called with."""

    name: str
    call: Callable[[], object]
    given: tuple[Any, ...]
    ended: Callable[[Entry], bool] | None = None
    """Of one that must not run twice: is this line of the journal the last one that it writes?"""


def stage(flow: "Flow[P, Any]", *arguments: P.args, **named: P.kwargs) -> Stage:
    """`flow`, to be called with these arguments when its turn has come."""
    return Stage(flow.name, lambda: flow(*arguments, **named), (*arguments, named))


def once(again: Stage, ended: Callable[[Entry], bool]) -> Stage:
    """A stage that would do its work anew. Cut off behind its end, it is known to be over by the journal's line."""
    return replace(again, ended=ended)


def rotated(entry: Entry) -> bool:
    """Is a rotation of keys at its end with this?"""
    return (entry.verb, entry.reason, entry.outcome) == (Verb.ROTATE, DISTRUSTED, "done")


def live(name: str, stages: Sequence[Stage], *, deletes: bool) -> None:
    """Run the stages in their order, from the one that was begun last where this life was cut off before.

    deletes: the last stage deletes the cluster. Two lives are the same when their stages are, with all they are called
    with. What another run left of this life counts while its cluster is there and was not made anew; what an earlier
    try of this very run left counts in any case, so that nothing is made again that it has deleted.
    """
    life, logger = _life(stages), get_run_logger()
    behind = _behind(name, life, stages, deletes=deletes)
    if behind == len(stages):
        logger.info("the life of %s had come to its end already", name)
        return
    if behind:
        told = stages[behind].name
        logger.info("the life of %s was cut off and goes on with %s, %d of %d", name, told, behind + 1, len(stages))
    for number, each in enumerate(stages[behind:], behind + 1):
        _note(name, BEGIN, f"{number} of {len(stages)}: {each.name}", life)
        each.call()
    _note(name, END, name, life)


def _life(stages: Sequence[Stage]) -> str:
    """What tells this life from others, in the journal."""
    text = json.dumps([[each.name, each.given] for each in stages], default=_plain, sort_keys=True)
    return f"life {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _plain(value: object) -> object:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


def _behind(name: str, life: str, stages: Sequence[Stage], *, deletes: bool) -> int:
    """How many stages are over."""
    total = len(stages)
    store = yard().store
    entries = store.journal.list(name, limit=JOURNAL)
    at = max((at for at, entry in enumerate(entries) if entry.reason == life), default=None)
    if at is None:
        return 0
    newest, mine = entries[at], entries[at].run_id == str(flow_run.id)
    if newest.verb == END:
        return total if mine else 0
    over = int(newest.target.partition(" ")[0]) - 1
    record = store.clusters.get(name)
    if record is None or record.state == "deleted":
        return (total if deletes and over == total - 1 else over) if mine else 0
    since = entries[at + 1 :]
    if any(entry.verb == Verb.CREATE for entry in since):
        return 0
    ended = stages[over].ended
    return over + 1 if ended is not None and any(map(ended, since)) else over


def _note(name: str, verb: str, target: str, life: str) -> None:
    """Between stages nobody holds the cluster, so the note is not fenced; it changes nothing for anybody else."""
    journal = yard().store.journal
    entry = journal.begin(
        name,
        operation="lifecycle",
        run_id=str(flow_run.id),
        verb=verb,
        target=target,
        reason=life,
        who=who(),
        fence=None,
    )
    journal.end(entry, "done")
