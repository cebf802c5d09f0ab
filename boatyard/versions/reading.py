"""The catalogue's file: its form, and what must be true of it. `ValueError` is one sentence."""

from datetime import date
from itertools import pairwise
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from boatyard.versions.minor import Minor

FIRST_DAY, LAST_DAY = date(2014, 1, 1), date(2100, 1, 1)
"""Days outside are slips of the pen: Kubernetes is from 2014."""
LONGEST_YEARS = 5
"""No provider supports a minor for longer; GKE's and EKS' extended support ends after a little over two years."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
Text = Annotated[str, Field(max_length=300)]


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Checked):
    """One minor of one provider."""

    minor: Annotated[str, Field(pattern=r"^1\.[0-9]{1,3}$")]
    released: date
    end_of_support: date
    """Last day of the standard support."""
    end_of_extended_support: date | None = None
    estimated: bool = False
    """An end is not announced to the day, or could not be confirmed."""
    source: Text = ""
    """Where the row is from, when not from the provider's `source`."""
    as_of: date | None = None
    """When the row was last compared with its source; the provider's day when left out."""

    @model_validator(mode="after")
    def _in_order(self) -> "Row":
        ends = [self.end_of_support, *([self.end_of_extended_support] if self.end_of_extended_support else [])]
        days = [self.released, *ends]
        if not all(FIRST_DAY <= day < LAST_DAY for day in days):
            raise ValueError(f"{self.minor} has a day outside {FIRST_DAY.year} to {LAST_DAY.year}")
        if any(later < earlier for earlier, later in pairwise(days)):
            raise ValueError(f"{self.minor} ends before it begins")
        if (days[-1] - self.released).days > LONGEST_YEARS * 366:
            raise ValueError(f"{self.minor} is said to be supported for more than {LONGEST_YEARS} years")
        return self


class Provider(_Checked):
    """One provider's table."""

    title: Text = ""
    source: Text
    as_of: date
    """The day on which the table was last compared with its source."""
    minors: Annotated[tuple[Row, ...], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _ascending(self) -> "Provider":
        numbers = [Minor.parse(row.minor) for row in self.minors]
        for before, after in pairwise(numbers):
            if after.ahead_of(before) != 1:
                raise ValueError(f"after {before} comes {after}; each minor stands once, oldest first, without gaps")
        return self


class Document(_Checked):
    """The whole file."""

    providers: Annotated[dict[Name, Provider], Field(min_length=1, max_length=50)]


def parse(text: str, where: str) -> Document:
    """YAML or JSON in Boatyard's own form. where: names the file in errors."""
    try:
        data: Any = yaml.load(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ValueError(f"{where} is no YAML") from None
    return checked(data, where)


def checked(data: Any, where: str) -> Document:
    """Data in Boatyard's own form."""
    try:
        return Document.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{where} is no catalogue of versions: {f'{place}: ' if place else ''}{what}") from None
