"""`boatyard versions`."""

from datetime import date
from typing import TYPE_CHECKING

import click

from boatyard.cli.offers import COLOURS, document, show
from boatyard.cli.output import Cell, Out
from boatyard.cli.verb import Target, verb

if TYPE_CHECKING:
    from boatyard.versions.catalogue import Catalogue, Table


@verb(
    "boatyard versions",
    "boatyard versions kops    # what is offered, and how long it is supported",
    "boatyard versions demo    # the same for a cluster, and what its channel wants",
    "boatyard versions --refresh",
    "boatyard versions --refresh --from dates.yaml",
)
@click.argument("target", type=Target(), metavar="[KIND|NAME|FILE]", required=False)
@click.option("--refresh", is_flag=True, help="Read newer dates of support and keep them in the home folder.")
@click.option(
    "--from", "source", metavar="FILE|URL", help="With --refresh: from here instead of endoflife.date's four products."
)
def command(out: Out, target: str | None, refresh: bool, source: str | None) -> None:
    """Show which Kubernetes versions each provider offers, and when its support of them ends.

    KIND is a distribution or a provider with a table of dates: kubernetes (the project itself), eks, gke, aks.
    """
    from boatyard.clock import SystemClock
    from boatyard.settings import Settings
    from boatyard.versions.catalogue import catalogue

    if source and not refresh:
        raise click.UsageError("--from goes with --refresh.")
    home, today = Settings.load().home, SystemClock().now().date()
    if refresh:
        if target is not None:
            raise click.UsageError("--refresh takes no KIND, NAME or FILE.")
        _refresh(out, [source] if source else [], today)
        return
    known = catalogue(home)
    if target is None:
        _all(out, known, today)
    else:
        show(out, target, known, today)
    if not out.json:
        warn(out, known, today)


def warn(out: Out, known: "Catalogue", today: date) -> None:
    """What is wrong with the dates themselves, once."""
    for text in filter(None, (known.problem, known.stale(today))):
        out.line()
        out.say(text[:1].upper() + text[1:])


def _all(out: Out, known: "Catalogue", today: date) -> None:
    """Every provider's ends side by side, newest minor first."""
    documents = [document(table, today) for table in known.tables.values()]
    out.emit({"providers": documents, "stale": known.stale(today) or None, "problem": known.problem or None})
    if out.json:
        return
    minors = sorted({row.minor for table in known.tables.values() for row in table.releases}, reverse=True)
    rows = [(str(minor), *(_cell(table, str(minor), today) for table in known.tables.values())) for minor in minors]
    out.table(("MINOR", *(name.upper() for name in known.tables)), rows)
    out.line()
    out.say("The day on which support ends; +: the extended one, which may cost extra. ~: an estimate.")
    for table in known.tables.values():
        out.say(f"{table.provider}: {table.source}, as of {table.as_of}.", indent="  ")


def _cell(table: "Table", minor: str, today: date) -> Cell:
    row = table.release(minor)
    if row is None:
        return "-"
    about = "~" if row.estimated else ""
    text = f"{about}{row.end_of_support}"
    if row.end_of_extended_support:
        text += f"\n+{about}{row.end_of_extended_support}"
    return text, COLOURS.get(row.support(today), "")


def _refresh(out: Out, sources: list[str], today: date) -> None:
    from boatyard.settings import Settings
    from boatyard.versions.refresh import refresh

    renewed, refused = refresh(Settings.load().home, sources, today)
    documents = [
        {
            "provider": each.provider,
            "source": each.source,
            "as_of": each.as_of,
            "was": each.was,
            "added": list(each.added),
            "changes": [
                {"minor": c.minor, "what": c.what, "was": c.was, "now": c.now, "shorter": c.shorter}
                for c in each.changes
            ],
        }
        for each in renewed
    ]
    if refused and not renewed:
        raise refused[0]
    out.emit({"renewed": documents, "refused": [str(error) for error in refused]})
    for each in renewed:
        added = f"; new: {', '.join(each.added)}" if each.added else ""
        out.say(f"{each.provider}: as of {each.as_of}, was {each.was or 'none'}{added}.", indent="  ")
        for change in each.changes:
            out.say(f"  {change}.", indent="    ")
    for error in refused:
        out.say(f"Not renewed: {error}", indent="  ")
