"""Keys exchanged while the cluster runs: staged, promoted, the old ones distrusted; every machine renewed in between.

Nothing is remembered: which keypairs each keyset has, and whether machines still have to take them up, says how far a
rotation has come. A keyset whose newest trusted keypair does not sign yet is staged; one that still trusts an older
keypair than the one that signs is promoted.
"""

from collections.abc import Iterable, Sequence
from enum import Enum, auto

from boatyard.drivers.kops import changes, guard
from boatyard.drivers.kops.configuration import roll
from boatyard.drivers.kops.groups import refuse_ahead
from boatyard.drivers.kops.parse import Keypair
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.scene import look
from boatyard.drivers.kops.upgrade import registered
from boatyard.drivers.kops.waiting import in_time
from boatyard.errors import Permanent, Unsafe

PHASES = ("stage", "promote", "distrust")


class State(Enum):
    """How far one keyset is."""

    SETTLED = auto()
    STAGED = auto()
    PROMOTED = auto()


def remaining(reach: Reach) -> Sequence[str]:
    """Phases still to go through; all of them when no rotation is under way. A phase whose keys are there, but which
    some machine has not taken up, is still to go through."""
    registered(reach)
    keypairs = reach.kops.keypairs()
    return phases(keypairs, pending=_pending(reach))


def phases(keypairs: Iterable[Keypair], *, pending: bool) -> Sequence[str]:
    """`pending`: the cloud does not hold what is recorded, or machines do not have it yet."""
    known = list(keypairs)
    found = set(states(known).values())
    if State.STAGED in found:
        if State.PROMOTED in found:
            return PHASES[1:]  # cut off while they were promoted
        return PHASES if State.SETTLED in found or pending else PHASES[1:]
    if State.PROMOTED in found:
        return PHASES[1:] if pending and State.SETTLED not in found else PHASES[2:]
    return PHASES[2:] if pending and any(each.distrusted for each in known) else PHASES


def states(keypairs: Iterable[Keypair]) -> dict[str, State]:
    """By keyset."""
    sets: dict[str, list[Keypair]] = {}
    for each in keypairs:
        if each.distrusted is None:
            sets.setdefault(each.keyset, []).append(each)
    return {name: _state(members) for name, members in sets.items()}


def _state(trusted: Sequence[Keypair]) -> State:
    primary = next((each for each in trusted if each.primary), None)
    if primary is None or len(trusted) == 1:
        return State.SETTLED
    newest = max(trusted, key=lambda each: int(each.id))  # kOps makes ids of the time of their making
    return State.PROMOTED if newest is primary else State.STAGED


def rotate(reach: Reach, phase: str) -> None:
    """Bring one phase about, and let every machine take it up. Done again from where it was cut off."""
    if phase not in PHASES:
        raise Permanent(f"there is no phase {phase!r} of a rotation; there are {', '.join(PHASES)}.")
    record = registered(reach)
    with reach.client() as client:
        refuse_ahead(reach, record, look(reach, client))
    keypairs = reach.kops.keypairs()
    due = phases(keypairs, pending=_pending(reach))
    if phase not in due:
        return
    if due[0] != phase and in_time(reach.env, lambda: _lacks(reach)):
        due = phases(keypairs, pending=False)  # AWS told of the phase before as of something still going on
    if due[0] != phase:
        raise Unsafe(f"cluster {reach.name}: {due[0]} comes before {phase} and is not through.", hint="Plan again.")
    scope = guard.settings(f"rotating the keys of {reach.name} ({phase})")
    wanted = _due(phase, states(keypairs))
    if wanted:
        with changes.changing(reach, scope):
            _change(reach, phase, wanted, whole=len(wanted) == len(states(keypairs)))
    else:
        changes.apply(reach, scope)
    roll(reach, reach.store.read())


def _due(phase: str, known: dict[str, State]) -> list[str]:
    """Keysets that the phase still has to change."""
    before = {"stage": State.SETTLED, "promote": State.STAGED, "distrust": State.PROMOTED}[phase]
    return [name for name, state in known.items() if state is before]


def _change(reach: Reach, phase: str, keysets: Sequence[str], *, whole: bool) -> None:
    """All in one command, or those that are left of one that was cut off."""
    command = {
        "stage": reach.kops.create_keypair,
        "promote": reach.kops.promote_keypair,
        "distrust": reach.kops.distrust_keypair,
    }[phase]
    for name in ["all"] if whole else keysets:
        command(name)


def _pending(reach: Reach) -> bool:
    return bool(_lacks(reach))


def _lacks(reach: Reach) -> str:
    """What the cloud does not hold of what is recorded, or which machine does not have it yet; "" when nothing."""
    machines = [machine for group in reach.fleet.read().values() for machine in group.machines]
    if old := [machine.id for machine in machines if machine.outdated]:
        return f"{old[0]} to be replaced"
    return "kOps to have nothing to change" if guard.effect(reach.kops.preview()) else ""
