"""A forecast for people and programs: rows of a table, Markdown, JSON, and what a change of the rules would move."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any

from boatyard.plan.fleet import FleetState
from boatyard.plan.forecast import Forecast, Move
from boatyard.words import some

ASSUMED = (
    "Assumed: upgrades take as long as expected and end well, health stays as it is, "
    "approvals are granted when asked for, and minors come out in upstream's rhythm; "
    "of patches only those that are out already are told."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One cluster. moves: in order. stays: why it goes no further by the end of the forecast."""

    name: str
    ring: str
    version: str
    moves: tuple[Move, ...]
    stays: str


@dataclass(frozen=True, slots=True)
class Shift:
    """What other rules change for one cluster: the first upgrade that differs, None for none, and its last version."""

    name: str
    before: Move | None
    after: Move | None
    ends_at: tuple[str, str]


def rows(told: Forecast, state: FleetState) -> list[Row]:
    """One a cluster, by name."""
    moves: defaultdict[str, list[Move]] = defaultdict(list)
    for move in told.moves:
        moves[move.name].append(move)
    stays = {verdict.name: verdict.reason for verdict in told.stays}
    return [
        Row(each.name, each.ring or "-", each.version, tuple(moves[each.name]), stays[each.name])
        for each in sorted(state.members, key=lambda member: member.name)
    ]


def cells(row: Row) -> tuple[str, str, str, str, str]:
    """Name, ring, version now, what comes next, and what after that; or why nothing comes."""
    if not row.moves:
        return row.name, row.ring, row.version, "-", row.stays
    first, last = row.moves[0], row.moves[-1]
    rest = len(row.moves) - 1
    later = (
        row.stays if not rest else f"{last.to} on {day(last.begins)}" + (f", {rest - 1} between" if rest > 1 else "")
    )
    return row.name, row.ring, row.version, f"{first.to} on {moment(first.begins)}{' (forced)' * first.forced}", later


def day(when: datetime) -> str:
    """`2026-06-06`."""
    return f"{when:%Y-%m-%d}"


def moment(when: datetime) -> str:
    """`Sat 2026-06-06 02:00`, in UTC."""
    return f"{when:%a %Y-%m-%d %H:%M}"


def summary(told: Forecast) -> list[str]:
    """Sentences about the whole: how many upgrades, what people will be asked, what stands still."""
    clusters = {move.name for move in told.moves}
    few = f"{len(told.moves)} upgrades of {len(clusters)} of {len(told.stays)} clusters"
    lines = [f"{few} from {day(told.since)} to {day(told.until)}; times are UTC."]
    lines += [f"Halted: {halted.reason}." for halted in told.halted]
    asked = [f"{ask.target} for ring {ask.ring} on {day(when)}" for when, ask in told.approvals]
    if asked:
        lines.append(f"Approvals to be given: {some(asked, 6)}.")
    return lines


def as_markdown(told: Forecast, state: FleetState, most: int = 200) -> str:
    """Summary and table; of a large fleet the first `most` clusters."""
    found = rows(told, state)
    lines = [*summary(told), "", ASSUMED, "", "| cluster | ring | now | next | after that |", "|-|-|-|-|-|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells(row)) + " |" for row in found[:most]]
    if len(found) > most:
        lines += ["", f"{len(found) - most} more: `boatyard fleet forecast` lists all."]
    return "\n".join(lines)


def as_json(told: Forecast, state: FleetState) -> dict[str, Any]:
    """Keys: since, until, clusters (name, ring, version, moves, stays), approvals, soaked, halted; times in UTC."""
    return {
        "since": told.since,
        "until": told.until,
        "clusters": [
            {
                "name": row.name,
                "ring": row.ring,
                "version": row.version,
                "moves": [_move(m) for m in row.moves],
                "stays": row.stays,
            }
            for row in rows(told, state)
        ],
        "approvals": [{"ring": ask.ring, "target": ask.target, "at": when} for when, ask in told.approvals],
        "soaked": [{"ring": fact.ring, "target": fact.target, "at": fact.at} for fact in told.soaked],
        "halted": [
            {"ring": each.ring, "target": each.target, "failed": each.failed, "reason": each.reason}
            for each in told.halted
        ],
    }


def _move(move: Move) -> dict[str, Any]:
    return {"from": move.version, "to": move.to, "begins": move.begins, "ends": move.ends, "forced": move.forced}


def compare(before: Forecast, after: Forecast) -> list[Shift]:
    """Clusters that move otherwise under other rules, by name."""
    ours, theirs = _by_name(before), _by_name(after)
    names = sorted({verdict.name for told in (before, after) for verdict in told.stays})
    found = []
    for name in names:
        pairs = zip_longest(ours.get(name, ()), theirs.get(name, ()))
        differs = next(((one, other) for one, other in pairs if _what(one) != _what(other)), None)
        if differs is not None:
            found.append(Shift(name, *differs, (_last(ours, name), _last(theirs, name))))
    return found


def _what(move: Move | None) -> tuple[datetime, str] | None:
    return None if move is None else (move.begins, move.to)


def _by_name(told: Forecast) -> Mapping[str, list[Move]]:
    found: defaultdict[str, list[Move]] = defaultdict(list)
    for move in told.moves:
        found[move.name].append(move)
    return found


def _last(moves: Mapping[str, list[Move]], name: str) -> str:
    return moves[name][-1].to if moves.get(name) else "-"
