"""What a command prints: text and tables for people, one JSON document for programs. Standard library only."""

import json
import os
import re
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from boatyard.cli.failure import clean

Cell = str | tuple[str, str]
"""Text, or text with its colour."""

TIED = "\N{NO-BREAK SPACE}"
"""Keeps two words of a cell on one line; printed as a space."""

GAP = 2
LEAST = 7
_COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_SGR = re.compile(r"\x1b\[[0-9;]{0,8}m")


def colourful(stream: TextIO) -> bool:
    """Colours go to terminals only, and not where NO_COLOR is set (no-color.org) or the terminal has none."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def columns() -> int:
    """Width to write for; 80 where there is no terminal."""
    return max(40, shutil.get_terminal_size((80, 24)).columns)


@dataclass(frozen=True)
class Out:
    """A command's output. With `json`, stdout carries the one document and everything for people goes to stderr."""

    json: bool = False

    @property
    def stream(self) -> TextIO:
        """Where text for people goes."""
        return sys.stderr if self.json else sys.stdout

    def line(self, text: str = "") -> None:
        self.stream.write(clean(text) + "\n")

    def lines(self, text: str) -> None:
        for line in text.splitlines():
            self.line(line)

    def say(self, text: str, *, indent: str = "") -> None:
        """A sentence, wrapped to the width."""
        for line in textwrap.wrap(clean(text), columns(), subsequent_indent=indent, break_on_hyphens=False) or [""]:
            self.line(line)

    def emit(self, document: Any) -> None:
        """The JSON document; a no-op without --json."""
        if self.json:
            json.dump(document, sys.stdout, indent=2, default=plain, ensure_ascii=False)
            sys.stdout.write("\n")

    def paint(self, text: str, colour: str) -> str:
        if not colour or not colourful(self.stream):
            return text
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Cell]], *, indent: int = 0) -> None:
        """Columns side by side; text that does not fit goes on below, inside its column."""
        cells = [[_split(cell) for cell in row] for row in rows]
        titles = [(title, "bold") for title in head] if any(head) else []
        everything = [titles, *cells] if titles else cells
        widths = fit([[text for text, _ in row] for row in everything], columns() - indent)
        for row in everything:
            for line in self._row(row, widths):
                self.line((" " * indent + line).rstrip())

    def _row(self, row: Sequence[tuple[str, str]], widths: Sequence[int]) -> list[str]:
        wrapped = [_wrap(text, width) for (text, _), width in zip(row, widths, strict=True)]
        lines = []
        for at in range(max(map(len, wrapped), default=0)):
            parts = []
            for (_, colour), column, width in zip(row, wrapped, widths, strict=True):
                text = column[at] if at < len(column) else ""
                parts.append((self.paint(text, colour) if text else "") + " " * (width - wide(text)))
            lines.append((" " * GAP).join(parts).rstrip())
        return lines


def plain(value: Any) -> Any:
    """Values that JSON does not know: times in UTC as ISO 8601, durations in seconds, everything else as text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value)


def wide(text: str) -> int:
    """Cells of a terminal that `text` fills."""
    text = _SGR.sub("", text)
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def fit(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Column widths: natural ones where they fit, else the widest columns give way first."""
    widths = [
        max(1, *(wide(line) for text in column for line in text.splitlines() or [""]))
        for column in zip(*rows, strict=True)
    ]
    room = width - GAP * (len(widths) - 1)
    while sum(widths) > room and max(widths) > LEAST:
        widest = max(widths)
        next_widest = max((each for each in widths if each < widest), default=LEAST)
        most = [at for at, each in enumerate(widths) if each == widest]
        share = max(1, min(widest - next_widest, -(-(sum(widths) - room) // len(most))))
        for at in most:
            widths[at] = max(LEAST, widths[at] - share)
    return widths


def _split(cell: Cell) -> tuple[str, str]:
    text, colour = cell if isinstance(cell, tuple) else (cell, "")
    return clean(text).expandtabs(), colour


def _wrap(text: str, width: int) -> list[str]:
    lines = []
    for line in text.splitlines() or [""]:
        lines += textwrap.wrap(line, width, break_on_hyphens=wide(line) > width) if wide(line) > width else [line]
    return [line.replace(TIED, " ") for line in lines] or [""]


def ago(then: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that says enough: `12s`, `5m`, `3h`, `2d`."""
    seconds = max(0, int((now - then).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def moment(when: datetime) -> str:
    """A time for people, in UTC."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
