"""The small types of the spec: names, versions, durations, windows, address ranges.

Each is text in YAML and in JSON; the parsed form is what the rest of Boatyard works with.
"""

import ipaddress
import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, StringConstraints, WithJsonSchema

NAME = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
CLUSTER_NAME = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$"
VERSION = r"^1\.[1-9][0-9]?(\.[0-9]{1,3})?$"

Name = Annotated[str, StringConstraints(pattern=NAME)]
"""DNS label: pools, apps, namespaces."""

ClusterName = Annotated[str, StringConstraints(pattern=CLUSTER_NAME, max_length=200)]
"""DNS name; kOps wants a full one."""

VersionText = Annotated[str, StringConstraints(pattern=VERSION)]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"^(?:\d{1,6}[smhdw])+$")


def parse_duration(text: Any) -> Any:
    """`90s`, `1h30m`, `7d` → timedelta; other values pass through for pydantic to judge."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not _DURATION.match(text):
        raise ValueError("a duration is written like 90s, 15m, 1h30m, 7d or 2w")
    return timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhdw])", text)))


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


def _cidr(text: str) -> str:
    return str(ipaddress.ip_network(text))


Cidr = Annotated[str, AfterValidator(_cidr), WithJsonSchema({"type": "string", "examples": ["10.96.0.0/16"]})]

LabelMap = dict[Annotated[str, Field(max_length=317)], Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")]]

TaintText = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][-A-Za-z0-9_./]*(=[A-Za-z0-9][-A-Za-z0-9_.]*)?:(NoSchedule|PreferNoSchedule|NoExecute)$")
]
"""`key=value:NoSchedule` or `key:NoExecute`."""

WeekTime = Annotated[str, StringConstraints(pattern=r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun|daily) ([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""`Fri 20:00` or `daily 20:00`."""

Window = Annotated[
    str,
    StringConstraints(
        pattern=r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun|daily) ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]( [A-Za-z_+\-/0-9]+)?$"
    ),
]
"""`Sat 02:00-06:00 Europe/Berlin`; without a zone, UTC. May run over midnight."""
