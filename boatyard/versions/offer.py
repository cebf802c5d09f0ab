"""What a provider offers: the versions a cluster can run, which one is its default, how long each is supported."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from boatyard.versions.minor import Minor

Support = Literal["unreleased", "supported", "ending", "extended", "ended", "unknown"]
"""How a provider stands to a version. `extended`: the standard support is over, a longer one, often paid, is not."""

ENDING_DAYS = 90
"""Days before the end of the standard support from which a version counts as `ending`: about one more minor's time."""


@dataclass(frozen=True)
class Offer:
    """One version that a provider lets a cluster run.

    version: `1.35.4`, or `1.35` where the provider has no patch levels of its own. default: what a new cluster gets.
    deprecated: still taken, but the provider advises against it. end_of_support, end_of_extended_support: the last day
    of each; None where it is not known, or where there is no such support. estimated: an end is not announced to the
    day, or could not be confirmed. source, as_of: who offers it, asked when. dates_source, dates_as_of: who says the
    ends, where that is somebody else. channels: those of the provider's own release channels that carry it, such as
    GKE's; empty where it has none.
    """

    version: str
    default: bool = False
    deprecated: bool = False
    end_of_support: date | None = None
    end_of_extended_support: date | None = None
    source: str = ""
    as_of: date | None = None
    estimated: bool = False
    dates_source: str = ""
    dates_as_of: date | None = None
    channels: frozenset[str] = frozenset()

    @property
    def minor(self) -> Minor:
        return Minor.parse(self.version)

    @property
    def last_day(self) -> date | None:
        """After this day nobody mends it any more: the end of the extended support, else of the standard one."""
        return self.end_of_extended_support or self.end_of_support

    def support(self, today: date) -> Support:
        """How the provider stands to it on that day."""
        return support(self.end_of_support, self.end_of_extended_support, today)


def support(standard: date | None, extended: date | None, today: date) -> Support:
    """From the last days of the standard and the extended support; either may be unknown."""
    if standard is not None and today <= standard:
        return "ending" if (standard - today).days <= ENDING_DAYS else "supported"
    if extended is not None and today <= extended:
        return "extended"
    return "unknown" if standard is None and extended is None else "ended"


def of_minor(offers: Iterable[Offer], version: str) -> Offer | None:
    """The offer of the same version, else one of the same minor: support goes by minors. None when there is neither."""
    minor = Minor.parse(version)
    found = [offer for offer in offers if offer.minor == minor]
    return next((offer for offer in found if offer.version == version), found[0] if found else None)
