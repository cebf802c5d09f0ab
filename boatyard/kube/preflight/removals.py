"""Which of Kubernetes' own API versions each minor no longer serves: a dated table that ships with Boatyard."""

import functools
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from boatyard.versions import Minor


@dataclass(frozen=True)
class Removal:
    """One kind in one API version. `instead`: the API version to use in its place, "" when there is none."""

    api_version: str
    kind: str
    deprecated: Minor
    removed: Minor
    instead: str


@dataclass(frozen=True)
class Removals:
    """The table, the day it was last compared with its sources, and the newest minor it knows."""

    as_of: date
    known: Minor
    by_kind: dict[tuple[str, str], Removal]

    def find(self, api_version: str, kind: str) -> Removal | None:
        return self.by_kind.get((api_version, kind))

    def gone(self, api_version: str, kind: str, at: Minor) -> bool:
        """Does an API server of minor `at` no longer serve it?"""
        found = self.find(api_version, kind)
        return found is not None and found.removed <= at


@functools.cache
def removals() -> Removals:
    """The table that ships with this version of Boatyard."""
    table = yaml.load(Path(__file__).with_name("removals.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    entries = {
        (row["api"], kind): Removal(
            row["api"], kind, Minor.parse(row["deprecated"]), Minor.parse(row["removed"]), row.get("instead", "")
        )
        for row in table["removals"]
        for kind in row["kinds"]
    }
    return Removals(date.fromisoformat(str(table["as_of"])), Minor.parse(table["known"]), entries)
