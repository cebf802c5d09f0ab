"""A forecast as a picture: a timeline per ring, in SVG. Bars are weeks, their height the number of upgrades."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from html import escape

from boatyard.plan.forecast import Forecast, Move
from boatyard.spec.waves import Waves
from boatyard.versions import Minor

WIDTH, LEFT, RIGHT, TOP, LANE, FOOT = 960, 150, 20, 48, 112, 48
BAR, NAME, NAMES = 60, 18, 2
"""Height of the fullest week of a ring, of a version's name, and how many of these LANE leaves room for above it."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#b8860b", "#4477aa", "#cc6677", "#117733")
"""Told apart by colour-blind people too, and against both a white and a black page."""
STYLE = """\
.page{fill:#fff;stroke:#d0d7de}.text{fill:#1f2328}.soft{fill:#59636e}.line{stroke:#d0d7de}.closed{fill:#59636e;opacity:.16}\
.holiday{fill:#59636e;opacity:.4}\
.name{stroke:#fff;stroke-width:3px;stroke-linejoin:round;paint-order:stroke}
@media (prefers-color-scheme:dark){.page{fill:#0d1117;stroke:#3d444d}.text{fill:#f0f6fc}.soft{fill:#9198a1}\
.line{stroke:#3d444d}.closed{fill:#9198a1;opacity:.25}.holiday{fill:#9198a1;opacity:.5}\
.name{stroke:#0d1117}}
text{font-family:system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;font-size:12px}"""


def as_svg(told: Forecast, waves: Waves | None = None) -> str:
    """The picture, WIDTH wide, on a page of its own, so that it is legible on any background."""
    rings = [ring.name for ring in waves.upgrades.rings] if waves is not None else []
    moves: defaultdict[str, list[Move]] = defaultdict(list)
    for move in told.moves:
        moves[move.ring or "-"].append(move)
    lanes = rings + sorted(name for name in moves if name not in rings)
    height = TOP + LANE * max(1, len(lanes)) + FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img">',
        f"<title>Upgrades from {told.since:%Y-%m-%d} to {told.until:%Y-%m-%d}</title><style>{STYLE}</style>",
        f'<rect class="page" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        f'<text class="text" x="16" y="28" style="font-size:16px;font-weight:600">Upgrades of the fleet, '
        f"{told.since:%Y-%m-%d} to {told.until:%Y-%m-%d}</text>",
    ]
    scale = _Scale(told.since, told.until)
    parts += [*_frozen(waves, scale, len(lanes)), *_holidays(waves, scale, len(lanes))]
    parts += _months(scale, len(lanes))
    for at, name in enumerate(lanes):
        parts += _lane(name, moves[name], scale, TOP + LANE * at)
    if not told.moves:
        parts.append(f'<text class="soft" x="{LEFT + 12}" y="{TOP + LANE // 2}">no upgrade in this time</text>')
    parts.append(
        f'<text class="soft" x="16" y="{height - 14}">A bar is a week, its colour the minor, its height the number of '
        "upgrades against the ring's fullest week. Grey: frozen; dark grey: a holiday.</text></svg>"
    )
    return "\n".join(parts) + "\n"


class _Scale:
    """From a moment to a place."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self.since, self.until = since, until
        self._whole = max((until - since).total_seconds(), 1.0)

    def x(self, moment: datetime) -> float:
        share = (moment - self.since).total_seconds() / self._whole
        return round(LEFT + min(1.0, max(0.0, share)) * (WIDTH - LEFT - RIGHT), 1)


def _lane(name: str, moves: Sequence[Move], scale: _Scale, top: int) -> Iterator[str]:
    base = top + LANE
    count = len({move.name for move in moves})
    yield f'<line class="line" x1="16" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>'
    yield f'<text class="text" x="16" y="{base - 42}" style="font-weight:600">{escape(_short(name))}</text>'
    yield f'<text class="soft" x="16" y="{base - 24}">{len(moves)} upgrades</text>'
    yield f'<text class="soft" x="16" y="{base - 8}">of {count} {"cluster" if count == 1 else "clusters"}</text>'
    week = timedelta(days=7)
    weeks = Counter((int((max(move.begins, scale.since) - scale.since) / week), _minor(move.to)) for move in moves)
    totals: Counter[int] = Counter()
    for (at, _), number in weeks.items():
        totals[at] += number
    most = max(totals.values(), default=1)
    heights: defaultdict[int, float] = defaultdict(float)
    named: dict[str, float] = {}
    for (at, minor), number in sorted(weeks.items(), key=lambda each: (each[0][0], Minor.parse(each[0][1]))):
        left, right = scale.x(scale.since + at * week), scale.x(scale.since + (at + 1) * week)
        high = max(2.0, round(BAR * number / most, 1))
        heights[at] += high
        y = round(base - heights[at], 1)
        label = escape(f"{minor}: {number} in the week from {scale.since + at * week:%Y-%m-%d}")
        yield (
            f'<rect x="{left}" y="{y}" width="{max(2.0, round(right - left - 1, 1))}" height="{high}" '
            f'fill="{_colour(minor)}"><title>{label}</title></rect>'
        )
        if minor not in named:
            named[minor] = left
    yield from _names(named, top)


def _names(named: dict[str, float], top: int) -> Iterator[str]:
    """Each version's name over its first week; where two would overlap, one above the other, then to the right."""
    ends = [0.0] * NAMES
    for minor, left in sorted(named.items(), key=lambda each: (each[1], Minor.parse(each[0]))):
        row = next((at for at, end in enumerate(ends) if end <= left), ends.index(min(ends)))
        x, y = max(left, ends[row]), top + LANE - BAR - 12 - NAME * row
        if x > WIDTH - RIGHT - 30:
            return
        yield f'<text class="text name" x="{round(x, 1)}" y="{y}">{minor}</text>'
        yield f'<rect x="{round(x, 1)}" y="{y + 3}" width="26" height="3" fill="{_colour(minor)}"/>'
        ends[row] = x + 34


def _months(scale: _Scale, lanes: int) -> Iterator[str]:
    bottom = TOP + LANE * max(1, lanes)
    at = datetime(scale.since.year, scale.since.month, 1, tzinfo=UTC)
    ended = -1000.0
    while at < scale.until:
        following = datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC)
        if at >= scale.since:
            x = scale.x(at)
            yield f'<line class="line" x1="{x}" x2="{x}" y1="{TOP}" y2="{bottom}"/>'
            if x - ended > 40 and x < WIDTH - 40:
                text = f"{at:%b %Y}" if at.month == 1 or ended < 0 else f"{at:%b}"
                yield f'<text class="soft" x="{x + 3}" y="{bottom + 16}">{text}</text>'
                ended = x
        at = following


def _frozen(waves: Waves | None, scale: _Scale, lanes: int) -> Iterator[str]:
    for freeze in waves.upgrades.freezes if waves is not None else ():
        title = f"frozen {freeze.first} to {freeze.to} {freeze.reason}".strip()
        yield from _band("closed", freeze.first, freeze.to, title, scale, lanes)


def _holidays(waves: Waves | None, scale: _Scale, lanes: int) -> Iterator[str]:
    """Days in a row are one band."""
    if waves is None:
        return
    days = sorted(waves.holidays.between(scale.since.date(), scale.until.date()).items())
    rows: list[list[tuple[date, str]]] = []
    for day, name in days:
        if rows and day - rows[-1][-1][0] == timedelta(days=1):
            rows[-1].append((day, name))
        else:
            rows.append([(day, name)])
    for row in rows:
        names = ", ".join(dict.fromkeys(name for _, name in row if name))
        first, last = row[0][0], row[-1][0]
        title = f"holiday {first}{f' to {last}' if last > first else ''} {names}".strip()
        yield from _band("holiday", first, last, title, scale, lanes)


def _band(kind: str, first: date, last: date, title: str, scale: _Scale, lanes: int) -> Iterator[str]:
    """Whole days from `first` to `last`, over all lanes; in UTC, which is near enough at a day's width."""
    begin = datetime.combine(first, time(), UTC)
    end = datetime.combine(last, time(), UTC) + timedelta(days=1)
    if end > scale.since and begin < scale.until:
        x, width = scale.x(begin), max(1.5, round(scale.x(end) - scale.x(begin), 1))
        yield (
            f'<rect class="{kind}" x="{x}" y="{TOP}" width="{width}" height="{LANE * max(1, lanes)}">'
            f"<title>{escape(title)}</title></rect>"
        )


def _short(name: str) -> str:
    return name if len(name) <= 17 else name[:16] + "…"


def _minor(version: str) -> str:
    return str(Minor.parse(version))


def _colour(minor: str) -> str:
    return COLOURS[Minor.parse(minor).minor % len(COLOURS)]
