"""What no single field can judge: rules between fields. Pure, and tolerant of data that is wrong elsewhere.

Each check takes plain data (as from YAML or JSON) and yields a path and what is wrong there.
"""

import ipaddress
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from boatyard.redact import Redactor
from boatyard.spec.provider import ProviderSettings
from boatyard.spec.types import parse_duration
from boatyard.spec.windows import known_zone, zone_names
from boatyard.spec.words import Path, did_you_mean, shown, shown_name

Wrong = tuple[Path, str]

MOST_OTHERS = 200
MOST_CYCLES = 10
"""Circles of apps named at once, and apps that are searched for the nearest match of an unknown one."""

DEFAULT_PODS = "10.244.0.0/16"
DEFAULT_SERVICES = "10.96.0.0/16"
DEFAULT_DRAIN = "15m"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[tuple[int, Mapping[str, Any]]]:
    """The mappings in a list, each with its position; nothing of what is no list."""
    return (
        [(at, item) for at, item in enumerate(value) if isinstance(item, Mapping)]
        if isinstance(value, Sequence)
        else []
    )


def between_fields(data: Mapping[str, Any]) -> Iterator[Wrong]:
    """Rules that hold for every cluster, whichever way it came in."""
    for field, rules in (("pools", pool_rules), ("apps", app_rules)):
        for at, item in items(data.get(field)):
            yield from (((field, at, *path), message) for path, message in rules(item))
    yield from _duplicates(data, "pools")
    yield from _duplicates(data, "apps")
    yield from _depends_on(data)
    yield from _networks(data)
    yield from _zones(data)
    upgrade = _mapping(_mapping(data.get("policy")).get("upgrade"))
    yield from ((("policy", "upgrade", *path), message) for path, message in upgrade_rules(upgrade))
    for field in ("before", "after"):
        for at, hook in items(upgrade.get(field)):
            yield from ((("policy", "upgrade", field, at, *path), message) for path, message in hook_rules(hook))


def pool_rules(pool: Mapping[str, Any]) -> Iterator[Wrong]:
    """Rules between the fields of one pool."""
    low, high = pool.get("min", 1), pool.get("max")
    if type(low) is int and type(high) is int and high < low:
        yield ("max",), f"found {high}, allowed at least min ({low})"


def app_rules(app: Mapping[str, Any]) -> Iterator[Wrong]:
    """Rules between the fields of one app."""
    given = [key for key in ("manifests", "kustomize", "chart") if app.get(key)]
    if len(given) != 1:
        yield (), f"found {' and '.join(given) or 'no source'}, allowed exactly one of manifests, kustomize, chart"
    elif given != ["chart"]:
        for key in ("values", "values_files", "version", "repository"):
            if app.get(key):
                yield (key,), f"found it beside {given[0]}, allowed only with chart"
    chart = app.get("chart")
    if isinstance(chart, str) and chart.startswith("-"):
        yield ("chart",), f"found {shown(chart)}, allowed a folder, oci://… or a name in repository"
    if app.get("plain_http") is True and not (isinstance(chart, str) and chart.startswith("oci://")):
        yield ("plain_http",), "found it without an oci:// chart, allowed only with one"


def hook_rules(hook: Mapping[str, Any]) -> Iterator[Wrong]:
    """Rules between the fields of one hook."""
    given = [key for key in ("command", "deployment") if hook.get(key)]
    if len(given) != 1:
        yield (), f"found {' and '.join(given) or 'neither'}, allowed exactly one of command, deployment"
    elif given == ["command"] and hook.get("parameters"):
        yield ("parameters",), "found it beside command, allowed only with deployment"
    command = hook.get("command")
    argv = [part for part in command if isinstance(part, str)] if isinstance(command, Sequence) else []
    advice = "a reference that it resolves itself: this is shown in plans and kept as it is"
    if Redactor().argv(argv) != tuple(argv):
        yield ("command",), f"found what looks like a secret, allowed {advice}"
    told = json.dumps(hook.get("parameters") or {}, default=str)
    if Redactor().text(told) != told:
        yield ("parameters",), f"found what looks like a secret, allowed {advice}"


def upgrade_rules(upgrade: Mapping[str, Any]) -> Iterator[Wrong]:
    """Rules between the fields of `policy.upgrade`."""
    try:
        limit = parse_duration(upgrade.get("drain_timeout", DEFAULT_DRAIN))
        force = parse_duration(upgrade["force_after"]) if upgrade.get("force_after") is not None else None
    except ValueError:
        force = None
    if force is not None and force >= limit:
        shorter = f"allowed less than drain_timeout ({upgrade.get('drain_timeout', DEFAULT_DRAIN)})"
        yield ("force_after",), f"found {upgrade['force_after']}, {shorter}: the step would have stopped by then"
    first: dict[str, str] = {}
    for field in ("before", "after"):
        for at, hook in items(upgrade.get(field)):
            name = hook.get("name")
            if isinstance(name, str) and name in first:
                yield (field, at, "name"), f"found {shown(name)}, already the name of {first[name]}: names are unique"
            elif isinstance(name, str):
                first[name] = f"{field}[{at}]"


def against_provider(data: Mapping[str, Any], settings: type[ProviderSettings]) -> Iterator[Wrong]:
    """What the provider can run; asked only of what is written: a stored cluster may be older than the list."""
    yield from settings.rules(data)
    version = _mapping(data.get("kubernetes")).get("version")
    if settings.minors and isinstance(version, str) and version.count(".") in (1, 2):
        minor = ".".join(version.split(".")[:2])
        if minor.replace(".", "").isdigit() and minor not in settings.minors:
            meant = did_you_mean(minor, settings.minors)
            yield ("kubernetes", "version"), f"found {shown(version)}, allowed {', '.join(settings.minors)}{meant}"
    sized = [(("control_plane", "size"), _mapping(data.get("control_plane")).get("size"))]
    sized += [(("pools", at, "size"), pool.get("size")) for at, pool in items(data.get("pools"))]  # type: ignore[misc]
    for path, size in sized:
        if settings.sizes and isinstance(size, str) and size not in settings.sizes:
            allowed = ", ".join(settings.sizes[:8]) + (", …" if len(settings.sizes) > 8 else "")
            yield path, f"found {shown(size)}, allowed {allowed}{did_you_mean(size, settings.sizes)}"


def _duplicates(data: Mapping[str, Any], field: str) -> Iterator[Wrong]:
    first: dict[str, int] = {}
    for at, item in items(data.get(field)):
        name = item.get("name")
        if not isinstance(name, str):
            continue
        if name in first:
            yield (
                (field, at, "name"),
                f"found {shown(name)}, already the name of {field}[{first[name]}]: names are unique",
            )
        first.setdefault(name, at)


def _depends_on(data: Mapping[str, Any]) -> Iterator[Wrong]:
    apps = items(data.get("apps"))
    position: dict[str, int] = {}
    for at, app in apps:
        if isinstance(app.get("name"), str):
            position.setdefault(app["name"], at)
    graph: dict[str, list[str]] = {name: [] for name in position}
    for at, app in apps:
        wanted = app.get("depends_on")
        for index, name in enumerate(wanted if isinstance(wanted, Sequence) and not isinstance(wanted, str) else ()):
            if not isinstance(name, str):
                continue
            if name not in position:
                others = [other for other in islice(position, MOST_OTHERS) if other != app.get("name")]
                allowed = ", ".join(map(shown_name, others[:20])) or "none, there is no other app"
                yield (
                    ("apps", at, "depends_on", index),
                    f"found {shown(name)}, allowed {allowed}{did_you_mean(name, others)}",
                )
            elif isinstance(app.get("name"), str):
                graph[app["name"]].append(name)
    for _ in range(MOST_CYCLES):
        cycle = find_cycle(graph)
        if cycle is None:
            return
        graph = {name: [n for n in after if n not in cycle] for name, after in graph.items() if name not in cycle}
        yield (
            ("apps", position[cycle[0]], "depends_on"),
            f"found a circle: {' → '.join(cycle[:20])}, allowed an order without one",
        )


def find_cycle(graph: Mapping[str, Sequence[str]]) -> list[str] | None:
    """Names along one circle, the first repeated at the end; None when there is an order. Never recurses."""
    state: dict[str, int] = {}
    for start in graph:
        stack, trail = [(start, iter(graph[start]))], [start]
        if state.get(start):
            continue
        state[start] = 1
        while stack:
            name, rest = stack[-1]
            following = next((n for n in rest if state.get(n) != 2), None)
            if following is None:
                state[name] = 2
                stack.pop()
                trail.pop()
            elif state.get(following) == 1:
                return [*trail[trail.index(following) :], following]
            else:
                state[following] = 1
                stack.append((following, iter(graph[following])))
                trail.append(following)
    return None


def _networks(data: Mapping[str, Any]) -> Iterator[Wrong]:
    network = _mapping(data.get("network"))
    try:
        pods = ipaddress.ip_network(str(network.get("pods", DEFAULT_PODS)))
        services = ipaddress.ip_network(str(network.get("services", DEFAULT_SERVICES)))
    except ValueError:
        return
    if pods.version == services.version and pods.overlaps(services):
        field = "services" if "services" in network else "pods"
        mine, other = (services, f"pods {pods}") if field == "services" else (pods, f"services {services}")
        yield ("network", field), f"found {mine}, which overlaps {other}, allowed ranges apart from each other"


def _zones(data: Mapping[str, Any]) -> Iterator[Wrong]:
    policy = _mapping(data.get("policy"))
    window = _mapping(policy.get("maintenance")).get("window")
    if isinstance(window, str) and len(parts := window.split(" ")) == 3:
        yield from zone_problem(("policy", "maintenance", "window"), parts[2])
    zone = _mapping(policy.get("hibernate")).get("timezone")
    if isinstance(zone, str):
        yield from zone_problem(("policy", "hibernate", "timezone"), zone)


def zone_problem(path: Path, zone: str) -> Iterator[Wrong]:
    """A time zone that the database does not have."""
    if not known_zone(zone):
        meant = did_you_mean(zone, zone_names())
        yield path, f"found the time zone {shown(zone)}, allowed names like Europe/Berlin or UTC{meant}"
