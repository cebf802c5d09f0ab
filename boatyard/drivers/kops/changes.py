"""Every change of a cluster's record goes this way: copy of the state store, the change, preview, guard, update.

Only the copy, the change and the update write anything. When kOps refuses the change, or its preview shows what the
step does not explain, the documents are put back as they were, and nothing was done in the cloud.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from boatyard.drivers.kops import guard
from boatyard.drivers.kops.guard import Scope
from boatyard.drivers.kops.parse import Preview
from boatyard.drivers.kops.reach import Reach
from boatyard.errors import Permanent, Unsafe

_NAMED = 6


@contextmanager
def changing(reach: Reach, scope: Scope, only: Sequence[str] = (), *, always: bool = False) -> Iterator[None]:
    """The block changes the record of an existing cluster; then kOps applies it, if the step explains all that it does.

    only: instance groups to apply it to. always: update even where the preview shows nothing to do.
    """
    snapshot = reach.store.snapshot(reach.env.clock.now())
    try:
        yield
        explained(reach, scope, only)
    except (Unsafe, Permanent):
        reach.store.put_back(snapshot)
        raise
    reach.kops.update(only)


def apply(reach: Reach, scope: Scope, only: Sequence[str] = ()) -> bool:
    """Let kOps do what is recorded and not done yet, if the step explains it. False when there was nothing to do."""
    if not guard.effect(explained(reach, scope, only)):
        return False
    reach.kops.update(only)
    return True


def explained(reach: Reach, scope: Scope, only: Sequence[str] = ()) -> Preview:
    """What kOps would do. `Unsafe` names what the step does not explain."""
    preview = reach.kops.preview(only)
    if strange := scope.unexplained(preview):
        more = f" and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
        raise Unsafe(
            f"{scope.step}: kOps would also {', '.join(strange[:_NAMED])}{more}, which this step does not explain.",
            hint=f"Run `kops update cluster {reach.name}` to see all of it; settle that first.",
        )
    return preview
