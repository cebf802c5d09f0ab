"""What a provider offers for a cluster or a kind of cluster: `boatyard versions KIND|NAME|FILE`."""

from datetime import date
from typing import TYPE_CHECKING, Any

from boatyard.cli import looking
from boatyard.cli.failure import shown
from boatyard.cli.output import Cell, Out
from boatyard.errors import BoatyardError, NotFound

if TYPE_CHECKING:
    from boatyard.drivers.operation import Yard
    from boatyard.spec.models import Cluster
    from boatyard.versions import Offer
    from boatyard.versions.catalogue import Catalogue, Table

COLOURS = {"supported": "green", "ending": "yellow", "extended": "yellow", "ended": "red", "unreleased": "dim"}
_LIMIT = 30.0
"""Seconds that asking the provider may take."""


def show(out: Out, target: str, known: "Catalogue", today: date) -> None:
    """The offers as a table, with who says so, and for a cluster what its channel wants."""
    with looking.looking() as yard:
        table = known.tables.get(target)
        if table is not None and yard.store.clusters.get(target) is None:
            out.emit(document(table, today))
            _known(out, table, today)
            return
        cluster, name = _cluster(target, known, yard)
        offers, why = _offers(cluster, yard)
        running = _running(name, yard) if name else None
    kind = cluster.provider.kind
    plan = _wanted(cluster, offers, running) if name else None
    out.emit(
        {
            "provider": kind,
            "cluster": plan,
            "offers": [_document(offer, today) for offer in offers],
            "unknown": why or None,
            "stale": known.stale(today) or None,
        }
    )
    if out.json:
        return
    if not offers:
        out.say(f"{why} These are the minors there are:")
        out.line()
        _known(out, known.of(kind), today)
    else:
        _ends(
            out, ("VERSION", "STATE", "SUPPORT ENDS", "EXTENDED ENDS", "NOTE"), [_row(each, today) for each in offers]
        )
        out.line()
        _sources(out, offers)
    if plan is not None:
        out.line()
        out.say(_sentence(plan))


def _known(out: Out, table: "Table", today: date) -> None:
    """A provider's minors, where it has a table of dates and nobody to ask."""
    rows: list[tuple[Cell, ...]] = []
    for row in reversed(table.releases):
        about, state = "~" if row.estimated else "", row.support(today)
        extended = f"{about}{row.end_of_extended_support}" if row.end_of_extended_support else "-"
        cells = (str(row.minor), (state, COLOURS.get(state, "")), str(row.released), f"{about}{row.end_of_support}")
        rows.append((*cells, extended))
    _ends(out, ("MINOR", "STATE", "RELEASED", "SUPPORT ENDS", "EXTENDED ENDS"), rows)
    out.line()
    out.say(f"{table.title}: {table.source}, as of {table.as_of}.", indent="  ")
    _legend(out, any(row.estimated for row in table.releases))


def _ends(out: Out, head: tuple[str, ...], rows: list[tuple[Cell, ...]]) -> None:
    """The table, without the column of extended ends where there is none."""
    at = head.index("EXTENDED ENDS")
    if all(row[at] == "-" for row in rows):
        head, rows = (*head[:at], *head[at + 1 :]), [(*row[:at], *row[at + 1 :]) for row in rows]
    out.table(head, rows)


def _legend(out: Out, estimated: bool) -> None:
    if estimated:
        out.say("~: an estimate.")


def document(table: "Table", today: date) -> dict[str, Any]:
    """One provider's table for programs."""
    return {
        "provider": table.provider,
        "title": table.title,
        "source": table.source,
        "as_of": table.as_of,
        "minors": [
            {
                "minor": row.minor,
                "support": row.support(today),
                "released": row.released,
                "end_of_support": row.end_of_support,
                "end_of_extended_support": row.end_of_extended_support,
                "estimated": row.estimated,
                "source": row.source,
                "as_of": row.as_of,
            }
            for row in table.releases
        ],
    }


def _cluster(target: str, known: "Catalogue", yard: "Yard") -> "tuple[Cluster, str | None]":
    """The cluster to ask for, and its name; of a kind alone the cluster of its example, which nobody has."""
    from boatyard.spec.provider import driver_packages

    record = yard.store.clusters.get(target)
    if target in driver_packages() and record is None:
        import yaml

        from boatyard.spec.example import commented_example
        from boatyard.spec.models import Cluster

        return Cluster.model_validate(yaml.safe_load(commented_example(target))), None
    if record is None and not looking.is_path(target):
        providers = ", ".join(sorted({*known.tables, *driver_packages()}))
        raise NotFound(
            f"{shown(target)} is neither a cluster that is known nor a provider; the providers are {providers}."
        )
    found = looking.cluster(target, yard.store)
    return found, found.name


def _offers(cluster: "Cluster", yard: "Yard") -> "tuple[list[Offer], str]":
    """Newest first; and why there are none."""
    from boatyard.drivers.base import Upgradable
    from boatyard.drivers.registry import driver_for
    from boatyard.versions.paths import in_order

    said: list[str] = []
    driver = driver_for(cluster, yard.env(_LIMIT, f"asking what {cluster.provider.kind} offers", report=said.append))
    if not isinstance(driver, Upgradable):
        return [], f"the {driver.kind} driver does not upgrade."
    try:
        found = {offer.version: offer for offer in driver.offers()}
    except (BoatyardError, OSError) as error:
        said.append(str(error))
        found = {}
    why = (" ".join(said) or f"{driver.kind} does not say what it offers").rstrip(".") + "."
    return [found[version] for version in reversed(in_order(found))], "" if found else why


def _running(name: str, yard: "Yard") -> str | None:
    record = yard.store.clusters.get(name)
    version = (record.observed or {}).get("version") if record else None
    return str(version) if version else None


def _wanted(cluster: "Cluster", offers: "list[Offer]", running: str | None) -> dict[str, Any]:
    """Where the cluster stands, what its channel wants, and the way there or why there is none."""
    from boatyard.versions import explain, route, target

    channel = cluster.kubernetes.channel
    goal = target(channel, offers, running) if running and offers else None
    versions = [offer.version for offer in offers]
    why = explain(running, goal, offered=versions, kind=cluster.provider.kind) if goal else None
    way = route(running, goal, offered=versions) if running and goal and not why else []
    document = {"name": cluster.name, "version": running, "channel": channel, "wants": goal, "way": way}
    return document | {"impossible": why}


def _sentence(plan: dict[str, Any]) -> str:
    name, running, channel, goal = plan["name"], plan["version"], plan["channel"], plan["wants"]
    if running is None:
        return f"What {name} runs was not seen yet; its channel is {channel}."
    if goal is None:
        return f"{name} runs {running}, and its channel {channel} wants nothing newer."
    if plan["impossible"]:
        return f"{name} runs {running}, and its channel {channel} wants {goal}: {plan['impossible']}"
    steps = len(plan["way"])
    through = f" through {', '.join(plan['way'][:-1])}" if steps > 1 else ""
    return f"{name} runs {running}, and its channel {channel} wants {goal}{through}."


def _row(offer: "Offer", today: date) -> tuple[Cell, ...]:
    about, state = "~" if offer.estimated else "", offer.support(today)
    notes = [text for text, true in (("default", offer.default), ("deprecated", offer.deprecated)) if true]
    return (
        offer.version,
        (state, COLOURS.get(state, "")),
        f"{about}{offer.end_of_support}" if offer.end_of_support else "-",
        f"{about}{offer.end_of_extended_support}" if offer.end_of_extended_support else "-",
        ", ".join([*notes, *sorted(offer.channels)]),
    )


def _sources(out: Out, offers: "list[Offer]") -> None:
    for text, pairs in (
        ("Offered by", {(offer.source, offer.as_of) for offer in offers if offer.source}),
        ("Ends of support", {(each.dates_source, each.dates_as_of) for each in offers if each.dates_source}),
    ):
        for source, day in sorted(pairs, key=str):
            out.say(f"{text}: {source}{f', as of {day}' if day else ''}.", indent="  ")
    _legend(out, any(offer.estimated for offer in offers))


def _document(offer: "Offer", today: date) -> dict[str, Any]:
    names = ("version", "default", "deprecated", "end_of_support", "end_of_extended_support", "estimated")
    more = ("source", "as_of", "dates_source", "dates_as_of")
    values = {name: getattr(offer, name) for name in names} | {name: getattr(offer, name) or None for name in more}
    return values | {"minor": offer.minor, "support": offer.support(today), "channels": sorted(offer.channels)}
