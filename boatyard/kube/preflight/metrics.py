"""`apiserver_requested_deprecated_apis`, by which an API server tells which deprecated APIs were called."""

import re
from dataclasses import dataclass

_NAME = "apiserver_requested_deprecated_apis"
_LINE = re.compile(rf"^{_NAME}\{{(?P<labels>[^}}]*)\}} (?P<value>[0-9.e+]+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_STARTED = re.compile(r"^process_start_time_seconds ([0-9.e+]+)", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Requested:
    """A deprecated API that somebody has called since the API server's start; it does not say who.

    removed: the minor without it, "" when that is not settled. since: the server's start, seconds since 1970.
    """

    group: str
    version: str
    resource: str
    removed: str
    since: float

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


def requested_deprecated(text: str) -> tuple[Requested, ...]:
    """From the text of `/metrics`; one a resource, its subresources with it."""
    started = _STARTED.search(text)
    since = float(started[1]) if started else 0.0
    found = set()
    for line in _LINE.finditer(text):
        if float(line["value"]) > 0:
            said = dict(_LABEL.findall(line["labels"]))
            what = (said.get("group", ""), said.get("version", ""), said.get("resource", ""))
            found.add(Requested(*what, said.get("removed_release", ""), since))
    return tuple(sorted(found))
