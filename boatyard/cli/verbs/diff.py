"""`boatyard diff`."""

from typing import TYPE_CHECKING

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import target_argument, verb
from boatyard.errors import NotFound

if TYPE_CHECKING:
    from boatyard.kube.diff import Change

CHANGES = 2
COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@verb("boatyard diff demo", "boatyard diff demo.yaml shop")
@target_argument("FILE|NAME")
@click.argument("app", metavar="[APP]", required=False)
def command(out: Out, target: str, app: str | None) -> int:
    """Show what deploying would change, object by object, as the API server would store it. Changes nothing.

    Exit code 0: nothing; 2: there are changes. Values of Secrets are masked.
    """
    from pathlib import Path

    from boatyard.cli.looking import cluster, looking
    from boatyard.drivers.talking import client_of
    from boatyard.kube.apps import Sources
    from boatyard.kube.diff import diff

    found: dict[str, list[Change]] = {}
    with looking() as yard:
        wanted = cluster(target, yard.store)
        if app is not None and app not in {each.name for each in wanted.apps}:
            there = ", ".join(each.name for each in wanted.apps) or "none"
            raise NotFound(f"{wanted.name} has no app named {app}; there are: {there}.")
        sources = Sources(Path.cwd(), yard.toolbox.path, yard.settings.cache)
        with client_of(yard.reader(wanted)) as client:
            for each in wanted.apps:
                if app in (None, each.name):
                    found[each.name] = diff(client, each, sources)
    changes = any(change.action != "same" for each in found.values() for change in each)
    out.emit(
        {"cluster": wanted.name, "changes": changes, "apps": {name: _document(each) for name, each in found.items()}}
    )
    if not out.json:
        for name, changed in found.items():
            _show(out, name, changed)
        if not found:
            out.say(f"{wanted.name} has no apps.")
    return CHANGES if changes else 0


def _document(changes: "list[Change]") -> list[dict[str, str]]:
    return [{"object": str(change.ref), "action": change.action, "diff": change.text} for change in changes]


def _show(out: Out, name: str, changes: "list[Change]") -> None:
    counts = {
        action: sum(change.action == action for change in changes) for action in ("create", "change", "delete", "same")
    }
    told = ", ".join(f"{count} {action}" for action, count in counts.items() if count) or "no objects"
    out.line(out.paint(f"{name}: {told}", "bold"))
    for change in changes:
        for line in change.text.splitlines():
            out.line("  " + out.paint(line, COLOURS.get(line[:1], "")))
