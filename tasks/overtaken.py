"""A run that was cut off and goes on, perhaps hours later: what others did meanwhile is newer than its order."""

from collections.abc import Collection

from boatyard.drivers.operation import JOURNAL, Operation
from boatyard.errors import Unsafe
from boatyard.plan.model import Verb
from tasks.yard import first_begun


def refuse_overtaken(op: Operation, verb: Verb, targets: Collection[str] | None = None) -> None:
    """`Unsafe` where another run has begun such a step since this run was begun.

    verb: what undoes, or decides anew, what this run was to do. targets: only steps on these; None is any.
    """
    if (begun := first_begun()) is None:
        return
    for entry in op.yard.store.journal.list(op.cluster.name, limit=JOURNAL):
        others = entry.run_id != op.run_id and entry.begun_at > begun
        if others and entry.verb == verb and (targets is None or entry.target in targets):
            raise Unsafe(
                f"{op.name} of cluster {op.cluster.name} was cut off, and since then {entry.who} began to"
                f" {entry.verb} {entry.target} at {entry.begun_at:%Y-%m-%d %H:%M:%S} UTC; nothing more is done.",
                hint="Start it anew if it is still wanted.",
            )
