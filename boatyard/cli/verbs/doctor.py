"""`boatyard doctor`."""

from typing import TYPE_CHECKING

import click

from boatyard.cli.output import Cell, Out
from boatyard.cli.verb import verb

if TYPE_CHECKING:
    from boatyard.tools import ToolStatus

COLOURS = {"ok": "green", "missing": "yellow", "broken": "red"}


@verb("boatyard doctor", "boatyard doctor --fix    # install what is missing", "boatyard doctor --json")
@click.option("--fix", is_flag=True, help="Install the pinned tools that are missing; a few minutes without releases.")
def command(out: Out, fix: bool) -> int:
    """List everything Boatyard needs from this machine, with version, source and what to do about it.

    Exit code 9 when something required is missing.
    """
    from boatyard.clock import SystemClock
    from boatyard.settings import Settings
    from boatyard.tools import Toolbox
    from boatyard.versions.catalogue import catalogue

    settings = Settings.load()
    if fix:
        Toolbox(settings.cache, lambda line: click.echo(line, err=True)).ensure()
    found = Toolbox(settings.cache).prerequisites(settings.home)
    missing = [each.name for each in found if each.required and each.state != "ok"]
    stale = catalogue(settings.home).stale(SystemClock().now().date())
    documents = [_document(each) for each in found]
    out.emit({"ok": not missing, "missing": missing, "prerequisites": documents, "stale": stale or None})
    if not out.json:
        out.table(("", "WHAT", "VERSION", "SOURCE"), [_row(each) for each in found])
        _advise(out, found)
        out.line()
        out.say(f"Missing: {', '.join(missing)}." if missing else "All that is required is there.")
        if stale:
            out.say(stale)
    return 9 if missing else 0


def _document(each: "ToolStatus") -> dict[str, object]:
    return {
        "name": each.name,
        "state": each.state,
        "required": each.required,
        "version": each.version or None,
        "wanted": each.wanted or None,
        "source": each.source or None,
        "path": str(each.path) if each.path else None,
        "advice": each.advice,
        "note": each.note,
    }


def _row(each: "ToolStatus") -> tuple[Cell, ...]:
    state = each.state if each.required or each.state == "ok" else "optional"
    wanted = f"(wants {each.wanted})" if each.wanted and each.state != "ok" else ""
    return (
        (state, COLOURS[each.state]),
        each.name,
        " ".join(filter(None, (each.version, wanted))) or "-",
        each.source or "-",
    )


def _advise(out: Out, found: "list[ToolStatus]") -> None:
    todo: dict[str, list[str]] = {}
    for each in found:
        if each.state != "ok":
            text = " ".join(filter(None, (each.advice, each.note)))
            todo.setdefault(text, []).append(each.name)
    for text, names in todo.items():
        out.line()
        out.say(f"{', '.join(names)}: {text}", indent="  ")
