"""`boatyard logs`."""

import json
import sys
from typing import TYPE_CHECKING

import click

from boatyard.cli.output import Out, plain
from boatyard.cli.verb import cluster_argument, verb

if TYPE_CHECKING:
    from boatyard.store import Entry

SETTLED = ("done", "failed", "skipped", "interrupted")


@verb("boatyard logs demo", "boatyard logs demo --limit 200", "boatyard logs demo --follow")
@cluster_argument
@click.option("--limit", type=click.IntRange(1, 10000), default=40, show_default=True, help="The newest so many steps.")
@click.option("--follow", is_flag=True, help="Go on with new steps as they end, until Ctrl-C.")
def command(out: Out, name: str, limit: int, follow: bool) -> None:
    """Show a cluster's journal: every step, who asked for it, how it ended and how long it took.

    With --json --follow, one document a line.
    """
    from boatyard.cli.fleet_view import entry_document, journal
    from boatyard.cli.looking import unknown
    from boatyard.settings import Settings
    from boatyard.store import reader

    url = Settings.load().store_url
    with reader(url) as store:
        entries = store.journal.list(name, limit=limit)
        if not entries and store.clusters.get(name) is None:
            raise unknown(name, store)
    if out.json and not follow:
        out.emit({"cluster": name, "entries": [entry_document(entry) for entry in entries]})
        return
    if not out.json and (entries or not follow):
        journal(out, entries) if entries else out.say(f"Nothing was done to {name} yet.")
    if out.json:
        _print(out, entries)
    if follow:
        _follow(out, name, url, entries)


def _print(out: Out, entries: "list[Entry]") -> None:
    from boatyard.cli.fleet_view import entry_document, journal

    if out.json:
        for entry in entries:
            sys.stdout.write(json.dumps(entry_document(entry), default=plain) + "\n")
    elif entries:
        journal(out, entries, head=False)
    sys.stdout.flush()


def _follow(out: Out, name: str, url: str, seen: "list[Entry]") -> None:
    """Print each entry when it begins, and again with its outcome when it has ended."""
    from boatyard.cli.follow import ticks
    from boatyard.store import reader

    told = {entry.id: entry.outcome for entry in seen}
    for _ in ticks():
        open_ids = [id for id, outcome in told.items() if outcome not in SETTLED]  # noqa: A001 - the record's own word
        after = min(open_ids) - 1 if open_ids else max(told, default=0)
        with reader(url) as store:
            entries = store.journal.list(name, limit=1000, after=after)
        news = [entry for entry in entries if told.get(entry.id) != entry.outcome]
        told |= {entry.id: entry.outcome for entry in news}
        if news:
            _print(out, news)
