"""How kOps prints: klog lines, tables, previews and their differences. All recorded."""

import difflib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

VERSION = "1.36.2"
STARS = "*" * 81
Field = tuple[str, str]


class Fail(Exception):
    """What kOps prints after `Error:`; it ends with 1. `before` is printed ahead of it."""

    def __init__(self, text: str, before: str = "") -> None:
        super().__init__(text)
        self.before = before


class Odd(Exception):
    """Something the stand-in has neither seen recorded nor read in kOps' documentation; it ends with 64."""


def out(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def log(source: str, text: str, level: str = "I") -> None:
    now = datetime.now(UTC)
    sys.stderr.write(f"{level}{now:%m%d %H:%M:%S.%f} {os.getpid():>7} {source}] {text}\n")
    sys.stderr.flush()


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """As Go's tabwriter: cells end on multiples of eight, filled with tabs; the last column is as it is."""
    lines = [list(titles), *map(list, rows)]
    widths = [(max(len(line[at]) for line in lines) + 8) // 8 * 8 for at in range(len(titles) - 1)]
    for line in lines:
        text = ""
        for cell, width in zip(line, widths, strict=False):
            text += cell + "\t" * -((len(cell) - width) // 8)
        out(text + line[-1])


def created(kind: str, name: str, fields: Sequence[Field]) -> None:
    out(f"  {kind}/{name}")
    for key, value in fields:
        out(f"  \t{key:<20}\t{value}")
    out()


def modified(kind: str, name: str, changes: Sequence[tuple[str, str, str]]) -> None:
    """`changes`: field, what is, what is wanted; texts of several lines as a difference."""
    out(f"  {kind}/{name}")
    for key, actual, wanted in changes:
        if "\n" not in actual + wanted:
            out(f"  \t{key:<20}\t {actual} -> {wanted}")
            continue
        out(f"  \t{key:<20}")
        for line in difference(actual, wanted):
            out(f"  \t{'':<20}\t{line}")
    out()


def difference(actual: str, wanted: str) -> list[str]:
    """Two lines of context, `...` for what is left out, what is new before what goes, pair by pair."""
    old, new = actual.splitlines(), wanted.splitlines()
    matcher, lines = difflib.SequenceMatcher(a=old, b=new, autojunk=False), list[str]()
    for group in matcher.get_grouped_opcodes(2):
        if group[0][1] > 0 or lines:
            lines.append("...")
        for tag, a1, a2, b1, b2 in group:
            if tag == "equal":
                lines += [f"  {line}" for line in old[a1:a2]]
                continue
            gone, come = old[a1:a2], new[b1:b2]
            for at in range(max(len(gone), len(come))):
                lines += [f"+ {come[at]}"] if at < len(come) else []
                lines += [f"- {gone[at]}"] if at < len(gone) else []
    return [*lines, "...", ""]


def tags(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in values.items()) + "}"


def flag(value: bool) -> str:
    return "true" if value else "false"


_STEPS = (0, 35, 57, 91, 95, 101, 103, 107, 109, 119, 120)
"""Tasks done, as recorded of a cluster with 120 tasks, each of which can run when those before it are done."""


def tasks(total: int, done: int) -> None:
    """The executor's line for the `done`-th of the recorded phases, scaled to `total` tasks."""
    here, after = (_STEPS[at] * total // _STEPS[-1] for at in (done, min(done + 1, len(_STEPS) - 1)))
    log("executor.go:113", f"Tasks: {here} done / {total} total; {after - here} can run")


PHASES = len(_STEPS)
