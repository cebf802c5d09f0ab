"""Every change of a cluster's record goes this way: copy of the state store, the change, preview, guard, update.

Only the copy, the change and the update write anything. The preview is told line by line before it is applied. When
kOps refuses the change, or its preview shows what the step does not explain, the documents are put back as they were,
and nothing was done in the cloud.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from boatyard.drivers.kops import guard
from boatyard.drivers.kops.guard import Scope
from boatyard.drivers.kops.parse import Preview
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.spec import BASTIONS
from boatyard.drivers.kops.store import Document, Record
from boatyard.drivers.kops.waiting import in_time
from boatyard.errors import Permanent, Unsafe
from boatyard.plan.model import Touched
from boatyard.plan.render import told_of
from boatyard.words import some

_NAMED = 6
_WHOLE = "kops update"


@contextmanager
def changing(reach: Reach, scope: Scope, only: Sequence[str] = ()) -> Iterator[None]:
    """The block changes the record of an existing cluster; then kOps applies it, if the step explains all that it does.

    only: instance groups to apply it to.
    """
    snapshot = reach.store.snapshot(reach.env.clock.now())
    try:
        yield
        preview = explained(reach, scope, only)
        tell(reach, preview)
    except (Unsafe, Permanent):
        reach.store.put_back(snapshot)
        raise
    _update(reach, preview, only)


def apply(reach: Reach, scope: Scope, only: Sequence[str] = ()) -> bool:
    """Let kOps do what is recorded and not done yet, if the step explains it. False when there was nothing to do."""
    preview = explained(reach, scope, only)
    if not guard.effect(preview):
        arrived(reach)
        return False
    tell(reach, preview)
    _update(reach, preview, only)
    return True


def applied_whole(reach: Reach, record: Record) -> None:
    """kOps has just made all of this record so: no later step of this operation need ask what it says of a pool."""
    reach.env.done[_WHOLE] = digest(record.documents)


def is_applied(reach: Reach, record: Record) -> bool:
    """Was this very record made so, whole, by an earlier step of this operation?"""
    return reach.env.done.get(_WHOLE) == digest(record.documents)


def digest(documents: Sequence[Document]) -> str:
    """What tells these documents from others."""
    return hashlib.sha256(json.dumps(documents, sort_keys=True, default=str).encode()).hexdigest()


def arrived(reach: Reach) -> None:
    """Wait until AWS tells of each version of a launch template that was asked for, here or by a run that was cut off:
    by an answer of a moment ago no machine would be outdated, and none would be replaced."""
    in_time(reach.env, reach.fleet.templates.late)
    reach.fleet.templates.settle()  # what did not come in time is not there: kOps saw what was before, or never made it


def _update(reach: Reach, preview: Preview, only: Sequence[str]) -> None:
    reach.fleet.templates.ask(one.name for one in preview.modify if one.kind == "LaunchTemplate")
    reach.kops.update(with_bastions(reach, only))
    arrived(reach)


def with_bastions(reach: Reach, only: Sequence[str]) -> list[str]:
    """The groups to apply something to, and the bastions.

    Where the chosen groups hold none, kOps (1.36.2, observed) takes the cluster for one without, and would open SSH to
    every node.
    """
    more = [BASTIONS] if only and reach.provider.bastion is not None and BASTIONS not in only else []
    return [*only, *more]


def tell(reach: Reach, preview: Preview) -> None:
    """What kOps is about to do, for people and the log of the run."""
    for line in told(preview):
        reach.env.report(line)


def told(preview: Preview) -> list[str]:
    """`kOps modifies LaunchTemplate/web.k8s.example.com (ImageID, UserData)`: a line a resource; many new ones by kind.

    Left out is what kOps shows each time without effect. Field values are not told: user data may hold secrets.
    """
    found = [
        Touched(deed=deed, kind=one.kind, name=one.name, fields=tuple(sorted(one.fields)) if deed == "modify" else ())
        for deed, one in guard.touched(preview)
    ]
    return [f"kOps {line}" for line in told_of(found)]


def explained(reach: Reach, scope: Scope, only: Sequence[str] = ()) -> Preview:
    """What kOps would do. `Unsafe` names what the step does not explain."""
    preview = reach.kops.preview(with_bastions(reach, only))
    if strange := scope.unexplained(preview):
        raise Unsafe(
            f"{scope.step}: kOps would also {some(strange, _NAMED)}, which this step does not explain.",
            hint=f"Run `kops update cluster {reach.name}` to see all of it; settle that first.",
        )
    if reach.env.foreseen is not None and (strange := guard.unforeseen(preview, reach.env.foreseen)):
        raise Unsafe(
            f"{scope.step}: kOps would also {some(strange, _NAMED)}, which the plan did not show.",
            hint="Plan again with --resources, and apply what that shows.",
        )
    return preview
