"""`boatyard fleet forecast`: when each cluster will be upgraded, as a table, JSON and a picture."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from boatyard.cli.output import Cell, Out
from boatyard.cli.verb import verb

if TYPE_CHECKING:
    from boatyard.plan.fleet import FleetState
    from boatyard.plan.forecast import Forecast, Move
    from boatyard.plan.outlook import Shift
    from boatyard.spec.fleet import Fleet

MOST_DAYS = 1830


@verb(
    "boatyard fleet forecast",
    "boatyard fleet forecast fleets/shop --picture shop.svg",
    "boatyard fleet forecast --what-if changed/fleet.yaml --days 90",
)
@click.argument("folder", type=click.Path(path_type=Path), default=Path(), metavar="[FOLDER]", required=False)
@click.option("--days", type=click.IntRange(1, MOST_DAYS), default=365, show_default=True, help="How far to look.")
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE.svg", help="Write a timeline per ring.")
@click.option("--what-if", type=click.Path(path_type=Path), metavar="FLEET.yaml", help="Compare with these rules.")
def forecast(out: Out, folder: Path, days: int, picture: Path | None, what_if: Path | None) -> None:
    """When each cluster will be upgraded to what, or why not.

    The scheduler itself, run ahead. FOLDER holds a fleet.yaml; this folder when left out.
    With --what-if: which clusters would move under the rules and defaults of another fleet.yaml.
    """
    from boatyard.cli.looking import keeping
    from boatyard.drivers.survey import survey
    from boatyard.plan.forecast import forecast as foretell
    from boatyard.plan.outlook import as_json
    from boatyard.spec.fleet import load_fleet

    fleet = load_fleet(folder)
    other = load_fleet(folder, what_if) if what_if is not None else None
    period = timedelta(days=days)
    with keeping() as yard:
        now = yard.clock.now()

        def told(of: "Fleet") -> "tuple[Forecast, FleetState]":
            state = survey(yard, of.clusters.values(), of.waves, now + period)
            return foretell(of.waves, state, now, period=period), state

        ours, state = told(fleet)
        theirs, their_state = told(other) if other is not None else (ours, state)
    shown, rules = (theirs, other.waves) if other is not None else (ours, fleet.waves)
    if picture is not None:
        from boatyard.cli.files import replace_text
        from boatyard.plan.picture import as_svg

        replace_text(picture, as_svg(shown, rules))
    if other is None:
        out.emit(as_json(ours, state))
        if not out.json:
            _show(out, ours, state)
        return
    _differences(out, ours, theirs, as_json(theirs, their_state))


def _show(out: Out, told: "Forecast", state: "FleetState") -> None:
    from boatyard.plan.outlook import ASSUMED, cells, rows, summary

    for line in summary(told):
        out.say(line)
    out.line()
    found: Sequence[Sequence[Cell]] = [cells(row) for row in rows(told, state)]
    out.table(("CLUSTER", "RING", "NOW", "NEXT", "AFTER THAT"), found)
    out.line()
    out.say(ASSUMED)


def _differences(out: Out, ours: "Forecast", theirs: "Forecast", document: dict[str, object]) -> None:
    from boatyard.plan.outlook import compare, summary

    found = compare(ours, theirs)
    out.emit(
        document
        | {
            "moved": [
                {"name": each.name, "before": _when(each.before), "after": _when(each.after), "ends_at": each.ends_at}
                for each in found
            ]
        }
    )
    if out.json:
        return
    out.say(f"As it is: {summary(ours)[0]}")
    out.say(f"Changed:  {summary(theirs)[0]}")
    out.line()
    if not found:
        out.say("No cluster moves otherwise.")
        return
    out.table(("CLUSTER", "AS IT IS", "IF CHANGED", "AT THE END"), [_row(each) for each in found])


def _row(shift: "Shift") -> Sequence[Cell]:
    before, after = shift.ends_at
    return (
        shift.name,
        _when(shift.before) or "-",
        _when(shift.after) or "-",
        before if before == after else f"{before} → {after}",
    )


def _when(move: "Move | None") -> str | None:
    from boatyard.plan.outlook import moment

    return None if move is None else f"{move.to} on {moment(move.begins)}"
