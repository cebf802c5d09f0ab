"""A newer catalogue: read from a file or the web, judged against the one that is here, kept in the home folder.

Two forms are read: Boatyard's own (YAML or JSON, see catalogue.yaml), and one product of endoflife.date's API v1.
"""

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from boatyard.errors import BoatyardError, InvalidSpec, NotFound
from boatyard.tools.page import Fetch, download
from boatyard.versions import reading
from boatyard.versions.catalogue import KEPT, Catalogue, Release, Table, built, catalogue, merge
from boatyard.versions.minor import Minor

API = "https://endoflife.date/api/v1/products/"
PRODUCTS = {
    "kubernetes": "kubernetes",
    "amazon-eks": "eks",
    "google-kubernetes-engine": "gke",
    "azure-kubernetes-service": "aks",
}
"""endoflife.date's names → ours."""

_TIMEOUT = 15.0


@dataclass(frozen=True)
class Change:
    """An end that is another day now. what: `end_of_support` or `end_of_extended_support`; None: there is none."""

    minor: str
    what: str
    was: date | None
    now: date | None

    @property
    def shorter(self) -> bool:
        return self.was is not None and (self.now is None or self.now < self.was)

    def __str__(self) -> str:
        support = "extended support" if "extended" in self.what else "support"
        if self.was is not None and self.now is not None and self.shorter:
            return f"{self.minor}: {support} ends {(self.was - self.now).days} days EARLIER, {self.now}, was {self.was}"
        if self.shorter:
            return f"{self.minor}: the {support} until {self.was} is GONE"
        return f"{self.minor}: {support} ends {self.now}, was {self.was or 'none'}"


@dataclass(frozen=True)
class Renewal:
    """What a newer table of one provider brought. was: the day of the old one, None when there was none."""

    provider: str
    source: str
    as_of: date
    was: date | None
    added: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()


def refresh(
    home: Path, sources: Sequence[str], today: date, *, fetch: Fetch = download
) -> tuple[list[Renewal], list[BoatyardError]]:
    """Read each source, keep what is newer. sources: files or https:// addresses; none: endoflife.date's four products.

    What was renewed, and why other sources were not: a source that is refused changes nothing.
    """
    renewed: list[Renewal] = []
    refused: list[BoatyardError] = []
    for source in sources or [API + product for product in PRODUCTS]:
        try:
            renewed += _renew(home, source, today, fetch)
        except BoatyardError as error:
            refused.append(error)
    return renewed, refused


def _renew(home: Path, source: str, today: date, fetch: Fetch) -> list[Renewal]:
    here = catalogue(home)
    try:
        new = built(_document(_text(source, fetch), source, here))
    except ValueError as error:
        raise InvalidSpec([f"{error}; the dates that are here stay."]) from None
    found = [_compared(here.tables.get(name), table, source, today) for name, table in new.tables.items()]
    whole = _data(merge(here, new))
    try:
        reading.checked(whole, f"{source}, together with what is here,")
    except ValueError as error:
        raise InvalidSpec([f"{error}; nothing was kept."]) from None
    _write(home / KEPT, whole)
    return found


def _text(source: str, fetch: Fetch) -> str:
    if source.startswith("https://"):
        return fetch(source, _TIMEOUT).decode(errors="replace")
    if "://" in source:
        raise InvalidSpec([f"{source}: a file or an https:// address is allowed."])
    try:
        return Path(source).expanduser().read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"{source} is not there.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSpec([f"{source} cannot be read: {getattr(error, 'strerror', None) or error}."]) from None


def _document(text: str, source: str, here: Catalogue) -> reading.Document:
    """`ValueError` where it is neither form."""
    try:
        data = yaml.load(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ValueError(f"{source} is neither YAML nor JSON") from None
    if isinstance(data, dict) and isinstance(data.get("result"), dict):
        return reading.checked({"providers": _product(data, source, here)}, source)
    return reading.checked(data, source)


def _product(data: dict[str, Any], source: str, here: Catalogue) -> dict[str, Any]:
    """One product of endoflife.date in our form, from the oldest minor that we know on."""
    result = data["result"]
    name = PRODUCTS.get(str(result.get("name")))
    if name is None:
        known = ", ".join(PRODUCTS)
        raise ValueError(f"{source} is about {str(result.get('name'))[:60]!r} and not one of {known}")
    known_rows = {str(row.minor): row for row in here.tables[name].releases}
    read = [_row(one, known_rows, source) for one in result.get("releases") or () if isinstance(one, dict)]
    rows = sorted((row for row in read if row is not None), key=lambda row: Minor.parse(row["minor"]))
    day = str(data.get("last_modified") or data.get("generated_at") or "")[:10]
    return {name: {"title": here.tables[name].title, "source": source, "as_of": day, "minors": rows}}


def _row(one: dict[str, Any], known: dict[str, Release], source: str) -> dict[str, Any] | None:
    """None for minors that are older than what we keep, and for one whose end nobody has announced.

    Where the product has no column for the extended support, what we know of it stays. A day that we do not know is an
    estimate where the provider's days were ones before: endoflife.date does not mark them.
    """
    minor = str(one.get("name"))
    try:
        older = Minor.parse(minor) < min(map(Minor.parse, known))
    except ValueError:
        raise ValueError(f"{source} has a release named {minor[:60]!r}, which is no Kubernetes minor") from None
    if older or not one.get("eolFrom"):
        return None
    old = known.get(minor)
    extended = one.get("eoesFrom") or (old and old.end_of_extended_support)
    row = {
        "minor": minor,
        "released": one.get("releaseDate"),
        "end_of_support": one["eolFrom"],
        "end_of_extended_support": extended,
    }
    same = old is not None and str(old.end_of_support) == row["end_of_support"]
    row["estimated"] = old.estimated if old is not None and same else any(each.estimated for each in known.values())
    return row


def _compared(old: Table | None, new: Table, source: str, today: date) -> Renewal:
    """`InvalidSpec` for a table that is older than what is here, or from the future."""
    if new.as_of > today + timedelta(days=1):
        raise InvalidSpec(
            [f"{source}: its {new.provider} table is of {new.as_of}, which is not yet; nothing was kept."]
        )
    if old is None:
        return Renewal(new.provider, source, new.as_of, None, tuple(str(row.minor) for row in new.releases))
    if new.as_of < old.as_of:
        why = f"its {new.provider} table is of {new.as_of}, the one that is here of {old.as_of}"
        raise InvalidSpec([f"{source}: {why}; nothing was kept."])
    known = {row.minor: row for row in old.releases}
    added = tuple(str(row.minor) for row in new.releases if row.minor not in known)
    changes = tuple(
        Change(str(row.minor), what, before, after)
        for row in new.releases
        if row.minor in known
        for what in ("end_of_support", "end_of_extended_support")
        if (before := getattr(known[row.minor], what)) != (after := getattr(row, what))
    )
    return Renewal(new.provider, source, new.as_of, old.as_of, added, changes)


def _data(whole: Catalogue) -> dict[str, Any]:
    """All tables in the form of the file."""
    providers = {
        name: {
            "title": table.title,
            "source": table.source,
            "as_of": table.as_of,
            "minors": [
                {
                    "minor": str(row.minor),
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
        for name, table in whole.tables.items()
    }
    return {"providers": providers}


def _write(kept: Path, whole: dict[str, Any]) -> None:
    """Atomically: a reader sees the old file or the new one."""
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = kept.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
    part.write_text(json.dumps(whole, indent=1, default=str), encoding="utf-8")
    part.replace(kept)
