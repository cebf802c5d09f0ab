"""kill -9 at every moment of a flow, or at a sample of them: run again, it ends as it would have."""

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from boatyard.spec.models import Cluster
from tests.faults.harness import House


@dataclass
class Scenario:
    """One flow from one beginning to one end. check: the independent look afterwards. gone: it ends with no cluster."""

    flow: str
    arguments: Mapping[str, Any]
    cluster: Cluster
    prepare: Callable[[], None]
    check: Callable[[], None]
    forgives: tuple[str, ...] = ()
    """Families a second run may end with when the first was killed after its deed was done."""
    requests: bool = False
    """What changes something on Prefect's server is a moment, too: for flows that do little else."""
    goes_on: bool = False
    """The second run is a further try of the first, as `boatyard up` makes it, and no new one."""


_ASKED = os.environ.get("BOATYARD_FAULTS", "4")
SAMPLE = int(_ASKED) if _ASKED.isdigit() else None
"""Moments of a flow that are tried. BOATYARD_FAULTS=all tries every one, which takes half an hour and more; 1/2 and
2/2, each in a process of its own, share them out."""
_FIRST, _EVERY = (int(part) for part in _ASKED.split("/")) if "/" in _ASKED else (1, 1)


def sweep(
    house: House, make: Callable[[], Scenario], *, sample: int | None = SAMPLE, steps: bool = True, seed: int = 7
) -> int:
    """Run the flow once and count its moments; then kill it at each of them (or at a sample) and run it again.

    The sample has a seeded choice of moments and, with `steps`, every begin and end of a step.
    """
    scenario = make()
    scenario.prepare()
    moments = house.run(scenario.flow, requests=scenario.requests, **scenario.arguments).well().moments
    scenario.check()
    assert moments
    for at in chosen(moments, sample, steps, seed):
        scenario = make()
        scenario.prepare()
        kept = "" if scenario.goes_on else None
        first = house.run(scenario.flow, kill_at=at, run=kept, requests=scenario.requests, **scenario.arguments)
        where = f"killed at moment {at} of {len(moments)}: {(first.moments or moments)[-1]}"
        if not first.killed:
            assert len(first.well().moments) < at, f"not {where}: {first.outcome}"
            continue  # how often a flow looks depends on how long things take: this run was over before
        newest = house.yard.store.journal.list(scenario.cluster.name, limit=1)
        again = house.run(scenario.flow, run=first.id if scenario.goes_on else None, **scenario.arguments)
        try:
            outcome = again.outcome
            assert not outcome["kinds"] or set(outcome["kinds"]) & set(scenario.forgives), (
                f"{outcome} {again.log[-3000:]}"
            )
            scenario.check()
            worked = "after taking the lease" in again.moments
            (house.is_free if worked else house.may_be_held)(scenario.cluster.name)
            _journal_tells(house, scenario.cluster.name, newest)
        except Exception as error:
            error.add_note(f"{where}\nthe second run said: {again.log[-3000:]}")
            raise
    return len(moments)


def chosen(moments: list[str], sample: int | None, with_steps: bool, seed: int) -> list[int]:
    """Moment numbers: all, or every begin and end of a step, where wanted, and a seeded choice of the others."""
    everything = list(range(1, len(moments) + 1))
    if sample is None or len(moments) <= sample:
        return everything[_FIRST - 1 :: _EVERY]
    steps = [at for at in everything if with_steps and " step " in moments[at - 1]]
    rest = [at for at in everything if at not in steps]
    return sorted({*steps, *random.Random(seed).sample(rest, max(0, min(len(rest), sample - len(steps))))})


def _journal_tells(house: House, name: str, newest: list[Any]) -> None:
    """A step that was cut off stays visible as interrupted, and its lease was taken over because its holder is dead."""
    journal = house.yard.store.journal
    for entry in newest:
        if entry.outcome == "running":
            now = next(each for each in journal.list(name, limit=500) if each.id == entry.id)
            assert now.interrupted
