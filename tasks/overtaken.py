"""A run that was cut off and goes on, perhaps hours later: what others did meanwhile is newer than its order."""

from collections.abc import Collection
from datetime import datetime

from prefect.context import FlowRunContext

from boatyard.drivers.operation import JOURNAL, Operation
from boatyard.errors import Unsafe
from boatyard.plan.model import Verb

_TIME = "%Y-%m-%d %H:%M:%S UTC"


def refuse_overtaken(op: Operation, verb: Verb, targets: Collection[str] | None = None) -> None:
    """`Unsafe` where another run has begun such a step since this run was begun.

    verb: what undoes, or decides anew, what this run was to do. targets: only steps on these; None is any.
    """
    if (begun := _first_begun()) is None:
        return
    for entry in op.yard.store.journal.list(op.cluster.name, limit=JOURNAL):
        others = entry.run_id != op.run_id and entry.begun_at > begun
        if others and entry.verb == verb and (targets is None or entry.target in targets):
            raise Unsafe(
                f"{op.name} of cluster {op.cluster.name} was cut off, and since then {entry.who} began to"
                f" {entry.verb} {entry.target} at {entry.begun_at:{_TIME}}; nothing more is done.",
                hint="Start it anew if it is still wanted.",
            )


def refuse_made_anew(op: Operation) -> None:
    """`Unsafe` where the cluster is another one, of the same name, than the one that this run was begun for."""
    begun, known = _first_begun(), op.yard.store.clusters.get(op.cluster.name)
    if begun is not None and known is not None and known.created_at > begun:
        raise Unsafe(
            f"{op.cluster.name} was made anew at {known.created_at:{_TIME}}, after this run ({op.name}) was begun;"
            " it is left alone.",
            hint="Start it anew if it is still wanted.",
        )


def _first_begun() -> datetime | None:
    """When the running flow was begun, where a try before this one was cut off; None at its first try."""
    context = FlowRunContext.get()
    run = context.flow_run if context is not None else None
    return run.start_time if run is not None and run.run_count > 1 else None
