"""When each Kubernetes minor came out and how long each provider supports it: a dated table that ships with Boatyard.

A newer one, read by `boatyard versions --refresh`, lies in the home folder; of each provider the newer table counts.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from boatyard.versions import reading
from boatyard.versions.minor import Minor
from boatyard.versions.offer import Offer, Support, support

UPSTREAM = "kubernetes"
"""The provider's name of the Kubernetes project itself."""

KEPT = "versions.json"
"""Name of the refreshed table in the home folder."""

STALE_DAYS = 120
"""A table older than this misses a minor, since one comes out every four months."""


@dataclass(frozen=True)
class Release:
    """One minor's life with one provider. Days are the last ones of their support.

    estimated: an end is not announced to the day, or could not be confirmed. source, as_of: where this row is from.
    """

    minor: Minor
    released: date
    end_of_support: date
    end_of_extended_support: date | None = None
    estimated: bool = False
    source: str = ""
    as_of: date = date.min

    def support(self, today: date) -> Support:
        if today < self.released:
            return "unreleased"
        return support(self.end_of_support, self.end_of_extended_support, today)


@dataclass(frozen=True)
class Table:
    """One provider's minors, oldest first, with where they are from and the day they were last compared with that."""

    provider: str
    title: str
    source: str
    as_of: date
    releases: tuple[Release, ...]

    def release(self, version: str) -> Release | None:
        """The minor that `version` belongs to; None when the table does not have it."""
        minor = Minor.parse(version)
        return next((release for release in self.releases if release.minor == minor), None)

    def support(self, version: str, today: date) -> Support:
        """How the provider stands to this version on that day; `ended` before the table begins, `unknown` after it."""
        if (found := self.release(version)) is not None:
            return found.support(today)
        return "ended" if Minor.parse(version) < self.releases[0].minor else "unknown"

    def stale(self, today: date) -> bool:
        return (today - self.as_of).days > STALE_DAYS

    def dated(self, offers: Iterable[Offer]) -> tuple[Offer, ...]:
        """The offers, with the ends of support that this table knows where they say none themselves."""
        return tuple(map(self._dated, offers))

    def _dated(self, offer: Offer) -> Offer:
        release = self.release(offer.version)
        if release is None or offer.last_day is not None:
            return offer
        return replace(
            offer,
            end_of_support=release.end_of_support,
            end_of_extended_support=release.end_of_extended_support,
            estimated=release.estimated,
            dates_source=release.source,
            dates_as_of=release.as_of,
        )


@dataclass(frozen=True)
class Catalogue:
    """All providers' tables by name. problem: why the table in the home folder is not used; "" when it is, or none."""

    tables: Mapping[str, Table]
    problem: str = field(default="", compare=False)

    @property
    def upstream(self) -> Table:
        return self.tables[UPSTREAM]

    def of(self, kind: str) -> Table:
        """The table of a driver's provider; upstream's where it has none of its own."""
        return self.tables.get(kind, self.upstream)

    def stale(self, today: date) -> str:
        """Which tables miss a minor by their age, in one sentence with what to do; "" when none does."""
        old = {name: table.as_of for name, table in self.tables.items() if table.stale(today)}
        if not old:
            return ""
        told = ", ".join(f"{name} of {day}" for name, day in sorted(old.items()))
        return f"Dates of support are older than {STALE_DAYS} days ({told}): `boatyard versions --refresh` reads newer."


def catalogue(home: Path | None = None) -> Catalogue:
    """The tables that ship with this version of Boatyard, or newer ones of the home folder, provider by provider."""
    shipped = _shipped()
    if home is None:
        return shipped
    kept = home / KEPT
    try:
        about = kept.stat()
    except OSError:
        return shipped
    return _merged(kept, about.st_mtime_ns, about.st_size)


@functools.cache
def _shipped() -> Catalogue:
    return built(
        reading.parse(Path(__file__).with_name("catalogue.yaml").read_text(encoding="utf-8"), "catalogue.yaml")
    )


@functools.lru_cache(maxsize=4)
def _merged(kept: Path, mtime: int, size: int) -> Catalogue:
    """mtime, size: so that a file which changed is read again."""
    shipped = _shipped()
    try:
        newer = built(reading.parse(kept.read_text(encoding="utf-8"), str(kept)))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        return replace(shipped, problem=f"{kept} is not used: {error}")
    return merge(shipped, newer)


def merge(old: Catalogue, new: Catalogue) -> Catalogue:
    """Of each provider the table that was compared later; of a new table's missing minors, the old rows."""
    tables = dict(old.tables)
    for name, table in new.tables.items():
        known = tables.get(name)
        if known is None:
            tables[name] = table
        elif table.as_of >= known.as_of:
            rows = {each.minor: each for each in (*known.releases, *table.releases)}
            tables[name] = replace(table, releases=tuple(rows[minor] for minor in sorted(rows)))
    return Catalogue(tables)


def built(document: "reading.Document") -> Catalogue:
    """The catalogue of a document that was checked."""
    return Catalogue({name: _table(name, provider) for name, provider in document.providers.items()})


def _table(name: str, provider: "reading.Provider") -> Table:
    releases = tuple(
        Release(
            Minor.parse(row.minor),
            row.released,
            row.end_of_support,
            row.end_of_extended_support,
            row.estimated,
            row.source or provider.source,
            row.as_of or provider.as_of,
        )
        for row in provider.minors
    )
    return Table(name, provider.title or name, provider.source, provider.as_of, releases)
