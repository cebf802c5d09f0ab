"""The rules of upgrades in a fleet.yaml, and those that the store has: scheduled maintenance goes by the store's."""

from pathlib import Path
from typing import TYPE_CHECKING

from boatyard.cli.looking import keeping

if TYPE_CHECKING:
    from boatyard.cli.output import Out
    from boatyard.spec.fleet import Fleet
    from boatyard.store import Store


def source_of(folder: str) -> str:
    """What the store calls the file of a fleet's folder."""
    from boatyard.spec.source import FLEET_FILE

    return str((Path(folder).expanduser() / FLEET_FILE).resolve())


def difference(fleet: "Fleet | None", folder: str) -> str | None:
    """What keeping the fleet's rules would change, as a sentence; None where nothing."""
    if fleet is None:
        return None
    with keeping() as yard:
        return _difference(yard.store, fleet, source_of(folder))


def keep(out: "Out", fleet: "Fleet | None", folder: str) -> None:
    """Maintenance goes by the fleet's rules from now on. Says so where that is news."""
    if fleet is None:
        return
    source = source_of(folder)
    with keeping() as yard:
        store = yard.store
        news = _difference(store, fleet, source)
        if news is not None:
            store.rollout.set_rules(fleet.waves.model_dump(mode="json") if fleet.waves else None, source)
            out.say(news)


def _difference(store: "Store", fleet: "Fleet", source: str) -> str | None:
    known = store.rollout.rules()
    if fleet.waves is None:
        # A folder without rules takes only its own away: another one's are not its to remove.
        ours = known is not None and known.source == source
        return (
            "Upgrades go by no rules of the fleet any more, each cluster by its own window and channel."
            if ours
            else None
        )
    if known is not None and known.document == fleet.waves.model_dump(mode="json"):
        return None
    rings = ", ".join(ring.name for ring in fleet.waves.upgrades.rings) or "none"
    instead = (
        f", no longer by those of {known.source}" if known is not None and known.source not in (None, source) else ""
    )
    return f"Scheduled upgrades go by the rules of {source} (rings: {rings}){instead}."
