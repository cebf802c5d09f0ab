"""`boatyard fleet`: how upgrades go through the fleet, and a person's word on it."""

from typing import TYPE_CHECKING

import click

from boatyard.cli.failure import shown
from boatyard.cli.forecast import forecast
from boatyard.cli.group import group
from boatyard.cli.looking import keeping
from boatyard.cli.output import Out
from boatyard.cli.verb import KubernetesVersion, verb
from boatyard.errors import NotFound

if TYPE_CHECKING:
    from boatyard.plan.waves import Schedule
    from boatyard.store import Store


@group(
    "fleet",
    "boatyard fleet upgrades",
    "boatyard fleet forecast fleets/shop --picture shop.svg",
    "boatyard fleet approve production 1.36 --note 'after the sale'",
)
def command() -> None:
    """How upgrades go through the fleet: rings, soak days, halts; and your word on them."""


@verb("boatyard fleet upgrades", "boatyard fleet upgrades --json")
def upgrades(out: Out) -> None:
    """Show what scheduled maintenance would do with each cluster now, and why. Starts nothing.

    Decided as maintenance does it, by the rules that `boatyard apply FOLDER` keeps.
    """
    from boatyard.drivers.fleet_state import fleet_state, rules
    from boatyard.plan.waves import decide

    with keeping() as yard:
        waves = rules(yard)
        seen = fleet_state(yard, waves)
        schedule = decide(waves, seen.state, yard.clock.now())
    members = {each.name: each for each in seen.state.members}
    rows = [
        {
            "cluster": each.name,
            "ring": members[each.name].ring,
            "at": members[each.name].version,
            "next": each.target,
            "starts": each.to is not None,
            "reason": each.reason,
        }
        for each in schedule.verdicts
    ]
    rows += [{"cluster": name, "reason": reason} for name, reason in seen.left_out.items()]
    out.emit(
        {
            "clusters": rows,
            "asks": [{"ring": ask.ring, "version": ask.target} for ask in schedule.asks],
            "halted": [{"ring": each.ring, "version": each.target, "reason": each.reason} for each in schedule.halted],
        }
    )
    if not rows and not out.json:
        out.say("No clusters yet; `boatyard apply FILE` makes one.")
    elif not out.json:
        cells = [[str(row.get(key) or "-") for key in ("cluster", "ring", "at", "next", "reason")] for row in rows]
        out.table(("CLUSTER", "RING", "AT", "NEXT", "WHY"), cells)
        _say_what_waits(out, schedule)


def _say_what_waits(out: Out, schedule: "Schedule") -> None:
    """What only a person can do, with the command for it."""
    for halted in schedule.halted:
        out.line()
        out.say(f"Ring {halted.ring} stands still, and so do those behind it: {halted.reason}.")
        out.say(f"Once that is mended: boatyard fleet go-on {halted.ring}")
    for ask in schedule.asks:
        out.line()
        out.say(f"Ring {ask.ring} waits for your word: boatyard fleet approve {ask.ring} {ask.target}")


@verb("boatyard fleet approve production 1.36", "boatyard fleet approve production 1.36 --note 'after the sale'")
@click.argument("ring")
@click.argument("version", type=KubernetesVersion())
@click.option("--note", default="", help="Why; kept with the answer.")
def approve(out: Out, ring: str, version: str, note: str) -> None:
    """Let a ring take a version, once the rings before it have soaked it."""
    _answer(out, ring, version, granted=True, note=note)


@verb("boatyard fleet refuse production 1.36 --note 'not before the sale'")
@click.argument("ring")
@click.argument("version", type=KubernetesVersion())
@click.option("--note", default="", help="Why; kept with the answer.")
def refuse(out: Out, ring: str, version: str, note: str) -> None:
    """Keep a ring from a version. A later approval takes this back."""
    _answer(out, ring, version, granted=False, note=note)


@verb("boatyard fleet go-on canary")
@click.argument("ring")
def go_on(out: Out, ring: str) -> None:
    """Let a halted ring go on: what failed or was cancelled in it so far counts no more."""
    from boatyard.cli.me import who

    with keeping() as yard:
        _known(yard.store, ring, or_all=True)
        lift = yard.store.rollout.lift(ring, who=who())
    out.emit({"ring": ring, "lifted_at": lift.lifted_at})
    if not out.json:
        out.say(f"What failed or was cancelled in ring {ring} until now no longer holds it, nor those behind it.")


def _answer(out: Out, ring: str, version: str, *, granted: bool, note: str) -> None:
    from boatyard.cli.me import who

    with keeping() as yard:
        _known(yard.store, ring)
        yard.store.rollout.answer(ring, version, granted=granted, who=who(), note=note)
    out.emit({"ring": ring, "version": version, "granted": granted})
    if not out.json:
        out.say(f"Ring {ring} {'may take' if granted else 'stays away from'} {version}, from the next maintenance on.")


def _known(store: "Store", ring: str, *, or_all: bool = False) -> None:
    """or_all: without rings, the name under which the whole fleet stands still is known as well."""
    from boatyard.spec.wave_rules import NO_RING
    from boatyard.spec.waves import Waves

    kept = store.rollout.rules()
    names = [each.name for each in Waves.model_validate(kept.document).upgrades.rings] if kept is not None else []
    if or_all:
        names = names or [NO_RING]
    if ring not in names:
        there = f"there are: {', '.join(names)}" if names else "the fleet has none"
        hint = None if names else "`boatyard apply FOLDER` keeps those of its fleet.yaml."
        raise NotFound(f"there is no ring {shown(ring)}; {there}.", hint=hint)


_VERBS = {"upgrades": upgrades, "forecast": forecast, "approve": approve, "refuse": refuse, "go-on": go_on}
for _name, _verb in _VERBS.items():
    command.add(_name, _verb)
