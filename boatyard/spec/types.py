"""The small types of the spec: names, versions, durations, windows, address ranges.

Each is text in YAML and in JSON; the parsed form is what the rest of Boatyard works with.
"""

import ipaddress
import re
from datetime import date, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, StringConstraints, WithJsonSchema

NAME = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
CLUSTER_NAME = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$"
VERSION = r"^1\.[1-9][0-9]?(\.[0-9]{1,3})?$"

Name = Annotated[str, StringConstraints(pattern=NAME)]
"""DNS label: pools, apps, namespaces."""

ClusterName = Annotated[str, StringConstraints(pattern=CLUSTER_NAME, max_length=200)]
"""DNS name; kOps wants a full one."""

VersionText = Annotated[str, StringConstraints(pattern=VERSION)]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"^(?:[0-9]{1,6}[smhdw]){1,5}$")
_LONGEST = 100 * 365 * 86400


def parse_duration(text: Any) -> Any:
    """`90s`, `1h30m`, `7d` → timedelta; other values pass through for pydantic to judge."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        raise ValueError("a duration like 90s, 15m, 1h30m, 7d or 2w")
    seconds = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)([smhdw])", text))
    if seconds > _LONGEST:
        raise ValueError("a duration of at most 100 years")
    return timedelta(seconds=seconds)


def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads back as the same value."""
    left, parts = int(value.total_seconds()), []
    for unit in ("w", "d", "h", "m", "s"):
        number, left = divmod(left, _UNITS[unit])
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _DURATION.pattern, "examples": ["15m", "7d"]}),
]


_DAY_TEXT = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")


def _day(text: Any) -> Any:
    """`2026-12-31` → date; pydantic alone would take numbers and times, too."""
    if isinstance(text, date):
        return text
    expected = "a day like 2026-12-31"
    if not isinstance(text, str) or not _DAY_TEXT.fullmatch(text):
        raise ValueError(expected)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{expected} that is in the calendar") from None


Day = Annotated[
    date,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", "pattern": _DAY_TEXT.pattern, "examples": ["2026-12-31"]}),
]


def _cidr(text: str) -> str:
    expected = "an address range like 10.96.0.0/16 or fd00::/108"
    if "/" not in text:
        raise ValueError(expected)
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        pass
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(expected) from None
    raise ValueError(f"{expected}; the range that holds this address is {network}")


Cidr = Annotated[str, AfterValidator(_cidr), WithJsonSchema({"type": "string", "examples": ["10.96.0.0/16"]})]

_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = rf"([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_PART}"
LABEL_KEY = rf"^{_KEY}$"
LABEL_VALUE = rf"^({_PART})?$"
TAINT = rf"^{_KEY}(={_PART})?:(NoSchedule|PreferNoSchedule|NoExecute)$"
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"
_DAY = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun|daily)"
WEEK_TIME = f"^{_DAY} {_TIME}$"
WINDOW = rf"^{_DAY} {_TIME}-{_TIME}( [A-Za-z0-9_+\-/]{{1,64}})?$"
CHART_VERSION = r"^[0-9A-Za-z~^<>=*][0-9A-Za-z.+\-~^<>=*|, ]{0,99}$"
PERCENT = r"^(100|[1-9]?[0-9])%$"
FILLED = r"\S"
REPOSITORY = r"^https?://[^\s]{1,500}$"
LABEL_SELECTOR = rf"^{_KEY}(={_PART})?(,{_KEY}(={_PART})?){{0,9}}$"
DEPLOYMENT = r"^[^/\s][^/]{0,199}/[^/]{0,199}[^/\s]$"

LabelMap = dict[
    Annotated[str, StringConstraints(pattern=LABEL_KEY)], Annotated[str, StringConstraints(pattern=LABEL_VALUE)]
]

TaintText = Annotated[str, StringConstraints(pattern=TAINT)]
"""`key=value:NoSchedule` or `key:NoExecute`."""

LabelSelector = Annotated[str, StringConstraints(pattern=LABEL_SELECTOR)]
"""`tier=batch`, or `tier` for any value; several joined by `,` must all hold."""

DeploymentName = Annotated[str, StringConstraints(pattern=DEPLOYMENT)]
"""A Prefect deployment: flow/name."""

WeekTime = Annotated[str, StringConstraints(pattern=WEEK_TIME)]
"""`Fri 20:00` or `daily 20:00`."""

Window = Annotated[str, StringConstraints(pattern=WINDOW)]
"""`Sat 02:00-06:00 Europe/Berlin`; without a zone, UTC. May run over midnight."""

ChartVersion = Annotated[str, StringConstraints(pattern=CHART_VERSION)]
"""`4.12.1`, or a range as Helm understands it."""

Repository = Annotated[str, StringConstraints(pattern=REPOSITORY)]

Percent = Annotated[str, StringConstraints(pattern=PERCENT)]
"""`10%`, a whole number from 0 to 100."""

PATTERN_WORDS = {
    NAME: "a name of at most 63 lower-case letters, digits and '-'",
    CLUSTER_NAME: "a name of lower-case letters, digits, '-' and '.'",
    VERSION: "a version like 1.35 or 1.35.2",
    LABEL_KEY: "a label key like app or example.com/app",
    LABEL_VALUE: "a label value of at most 63 letters, digits, '-', '_' and '.'",
    LABEL_SELECTOR: "a label like tier=batch, or several joined by ','",
    DEPLOYMENT: "a Prefect deployment like flow/name",
    TAINT: "a taint like key=value:NoSchedule, with NoSchedule, PreferNoSchedule or NoExecute",
    WEEK_TIME: "a time of the week like 'Fri 20:00' or 'daily 20:00'",
    WINDOW: "a window like 'Sat 02:00-06:00 Europe/Berlin' or 'daily 22:00-04:00'",
    PERCENT: "a share from 0% to 100%, like 10%",
    CHART_VERSION: "a chart version like 4.12.1",
    FILLED: "some text",
    REPOSITORY: "an address that begins with https:// or http://",
}
"""What a pattern asks for, in words; the loader's messages and nothing else depend on it."""
