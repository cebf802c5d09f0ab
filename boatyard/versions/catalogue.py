"""When each Kubernetes minor came out and how long it is supported: a dated table that ships with Boatyard."""

import functools
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import yaml

from boatyard.versions.minor import Minor

Support = Literal["unreleased", "supported", "ending", "ended", "unknown"]

ENDING_DAYS = 90
"""Days before the end of support from which a minor counts as `ending`: one more minor comes out in that time."""


@dataclass(frozen=True)
class Release:
    """One minor's life. `estimated`: the end of support is not announced to the day."""

    minor: Minor
    released: date
    end_of_support: date
    estimated: bool = False

    def support(self, today: date) -> Support:
        if today < self.released:
            return "unreleased"
        if today > self.end_of_support:
            return "ended"
        return "ending" if (self.end_of_support - today).days <= ENDING_DAYS else "supported"


@dataclass(frozen=True)
class Catalogue:
    """The table, oldest minor first, with where it is from and the day it was last compared with that."""

    source: str
    as_of: date
    releases: tuple[Release, ...]

    def release(self, version: str) -> Release | None:
        """The minor that `version` belongs to; None when the table does not have it."""
        minor = Minor.parse(version)
        return next((release for release in self.releases if release.minor == minor), None)

    def support(self, version: str, today: date) -> Support:
        """How upstream stands to this version on that day; `ended` before the table begins, `unknown` after it ends."""
        if (found := self.release(version)) is not None:
            return found.support(today)
        return "ended" if Minor.parse(version) < self.releases[0].minor else "unknown"


@functools.cache
def catalogue() -> Catalogue:
    """The table that ships with this version of Boatyard."""
    text = Path(__file__).with_name("catalogue.yaml").read_text(encoding="utf-8")
    table = yaml.load(text, Loader=yaml.CSafeLoader)
    releases = tuple(
        Release(
            minor=Minor.parse(row["minor"]),
            released=date.fromisoformat(row["released"]),
            end_of_support=date.fromisoformat(row["end_of_support"]),
            estimated=row.get("estimated", False),
        )
        for row in table["minors"]
    )
    return Catalogue(table["source"], date.fromisoformat(table["as_of"]), releases)
