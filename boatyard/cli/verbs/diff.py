"""`boatyard diff`."""

from typing import TYPE_CHECKING

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import target_argument, verb
from boatyard.errors import NotFound

if TYPE_CHECKING:
    from boatyard.kube.diff import Change

CHANGES = 2
_PARALLEL = 4  # apps, most of which start a program
COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@verb("boatyard diff demo", "boatyard diff demo.yaml shop")
@target_argument("FILE|NAME")
@click.argument("app", metavar="[APP]", required=False)
def command(out: Out, target: str, app: str | None) -> int:
    """Show what deploying would change, object by object, as the API server would store it. Changes nothing.

    Without an APP the apps in the cluster that the spec no longer has are shown too: deploying removes them.

    Exit code 0: nothing; 2: there are changes. Values of Secrets are masked.
    """
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from boatyard.cli.looking import cluster, looking
    from boatyard.drivers.talking import client_of
    from boatyard.kube.apps import Sources
    from boatyard.kube.diff import diff, diff_removed

    found: dict[str, list[Change]] = {}
    with looking() as yard:
        wanted = cluster(target, yard.store)
        if app is not None and app not in {each.name for each in wanted.apps}:
            there = ", ".join(each.name for each in wanted.apps) or "none"
            raise NotFound(f"{wanted.name} has no app named {app}; there are: {there}.")
        sources = Sources(Path.cwd(), yard.toolbox.path, yard.settings.cache)
        asked = [each for each in wanted.apps if app in (None, each.name)]
        with client_of(yard.reader(wanted)) as client, ThreadPoolExecutor(_PARALLEL, "diff") as pool:
            looks = pool.map(lambda each: diff(client, each, sources), asked)
            found |= zip((each.name for each in asked), looks, strict=True)
            if app is None:
                found |= diff_removed(client, {each.name for each in wanted.apps})
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
        action: sum(change.action == action for change in changes)
        for action in ("create", "change", "replace", "delete", "same")
    }
    told = ", ".join(f"{count} {action}" for action, count in counts.items() if count) or "no objects"
    out.line(out.paint(f"{name}: {told}", "bold"))
    for change in changes:
        for line in change.text.splitlines():
            out.line("  " + out.paint(line, COLOURS.get(line[:1], "")))
