"""Malformed and hostile specs: always `InvalidSpec` with one line a problem, never a traceback, never a hang."""

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from boatyard.errors import InvalidSpec, NotFound
from boatyard.spec.load import load_cluster, load_text
from boatyard.spec.models import Cluster

LINE = re.compile(r"<text>:[1-9][0-9]*:[1-9][0-9]*: \S.*")
GOOD = """\
apiVersion: boatyard/v1
kind: Cluster
name: shop
owner: team@example.com
labels: {team: shop}
provider: {kind: kwok}
kubernetes: {version: "1.35", channel: stable}
control_plane: {size: big, count: 3}
pools:
  - {name: web, min: 3, max: 12, labels: {a: b}, taints: [batch=true:NoSchedule]}
  - {name: batch, min: 0, spot: true}
network: {pods: 10.244.0.0/16, services: 10.96.0.0/16}
apps:
  - {name: ingress, chart: oci://charts.example.com/ingress, version: 4.12.1, values: {a: [1, {b: 2.5}], c: null}}
  - {name: shop, chart: shop, repository: https://charts.example.com, depends_on: [ingress], timeout: 5m}
policy:
  maintenance: {window: "Sat 02:00-06:00 Europe/Berlin", ring: production}
  hibernate: {sleep: "Fri 20:00", wake: "Mon 06:30", timezone: Europe/Berlin}
  idle: {after: 14d, grace: 1d}
  ttl: 30d
"""
HANGS = 300
"""Seconds after which something hangs, on however busy a machine; all that is tried here takes one or two."""
HOSTILE: list[Any] = [
    *("", "~", "null", "1.35", "1.30", 1.30, True, None, 0, -1, 10**18, 1e308, [], {}, [[]], {"kind": "Cluster"}),
    *("../../etc/passwd", "/dev/zero", "-x", "--post-renderer=x", "a" * 5000, "\u202e", "é", "🚢", "x\ny", "\t"),
    *(
        "${HOME}",
        "$(id)",
        "`id`",
        "{{ x }}",
        "10.0.0.0/33",
        "::/0",
        "0.0.0.0/0",
        "Sat 25:00-26:00",
        "oci://",
        "https://",
    ),
    *(
        "daily 00:00-00:00 Etc/Nowhere",
        "999999w999999w",
        "٣m",
        "7d\n",
        "2026-11-22",
        "0x10",
        "1e400",
        "!!python/object",
    ),
    *("*x", "&x", "<<", "__class__", "__proto__", "[key]", "kwok"),
]
SCALARS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=20),
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)
KEYS = st.one_of(
    st.sampled_from([*Cluster.model_fields, "min", "kind", "name", "depends_on", "[key]", "0"]), st.text(max_size=10)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
QUICK = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


@contextmanager
def without_a_hang() -> Iterator[None]:
    """Fail instead of hanging."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"still at it after {HANGS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANGS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def attempt(text: str | bytes) -> Cluster | None:
    """The cluster, or None after checking that the refusal is in good form."""
    with without_a_hang():
        try:
            return load_text(text)
        except InvalidSpec as error:
            problems = error.problems
    assert problems
    assert len(set(problems)) == len(problems)
    for line in problems:
        assert LINE.fullmatch(line), line
        assert len(line) < 1000
        assert line.isprintable()
    return None


def each(count: int, line: str) -> str:
    """`line` for every number below `count`, with N and M for the number and the next one."""
    return "".join(line.replace("N", str(n)).replace("M", str(n + 1)) for n in range(count))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


TREE = yaml.safe_load(GOOD)
PLACES = [path for path in places(TREE) if path]


def changed(path: tuple[Any, ...], new: Any, *, key: str | None = None) -> Any:
    """The good spec with the value at `path` replaced, or with `key: new` put beside it."""
    tree = json.loads(json.dumps(TREE))
    parent = tree
    for part in path[:-1]:
        parent = parent[part]
    if key is not None and isinstance(parent, dict):
        parent[key] = new
    else:
        parent[path[-1]] = new
    return tree


def test_the_good_spec_is_good() -> None:
    assert load_text(GOOD).name == "shop"


@settings(max_examples=900, **QUICK)
@given(st.sampled_from(PLACES), VALUES)
def test_any_value_in_any_place(path: tuple[Any, ...], value: Any) -> None:
    attempt(json.dumps(changed(path, value)))


@settings(max_examples=400, **QUICK)
@given(st.sampled_from(PLACES), KEYS, VALUES)
def test_any_key_in_any_place(path: tuple[Any, ...], key: str, value: Any) -> None:
    attempt(json.dumps(changed(path, value, key=key)))


@settings(max_examples=500, **QUICK)
@given(
    st.integers(0, len(GOOD)), st.integers(0, 12), st.text("\n\t -:,[]{}#&*!|>'\"%@`<.0x\0\x1b\ufeff~?é", max_size=8)
)
def test_any_edit_of_the_text(start: int, length: int, new: str) -> None:
    attempt(GOOD[:start] + new + GOOD[start + length :])


@settings(max_examples=400, **QUICK)
@given(st.binary(max_size=200) | st.builds(lambda a, b: a + b, st.just(GOOD.encode()), st.binary(max_size=20)))
def test_any_bytes(raw: bytes) -> None:
    attempt(raw)


@settings(max_examples=400, **QUICK)
@given(st.text(max_size=100) | VALUES.map(json.dumps) | VALUES.map(lambda value: yaml.safe_dump(value)))
@example("\ud800")
@example("? ? ? ? a")
@example("%YAML 9.9\n--- {}")
@example("--- !<tag:yaml.org,2002:python/object/apply:os.system> [id]")
def test_any_text(text: str) -> None:
    attempt(text)


BIG = 1024 * 1024


BOMBS = {
    "number of a megabyte": "name: " + "9" * (BIG - 10),
    "number beyond Python's limit": "kubernetes: {version: " + "9" * 100_000 + "}",
    "long fraction": "a: " + "1" * 5000 + "." + "1" * 5000,
    "long exponent": "a: 1e" + "9" * 5000,
    "long hexadecimal": "a: 0x" + "f" * 100_000,
    "long octal": "a: 0" + "7" * 100_000,
    "too large": "x" * (BIG + 1),
    "open brackets": "[" * 500_000,
    "open braces": "{" * 500_000,
    "open mappings": "{a: " * 200_000,
    "nested lists": "- " * 400_000,
    "nested keys": "? " * 400_000,
    "deep by indentation": "".join(" " * n + "a:\n" for n in range(1000)),
    "many anchors": "a: &a [x]\n" + each(20_000, "bN: &bN [*a, *a]\n"),
    "billion laughs": "a0: &a0 [x, x]\n" + each(200, "aM: &aM [*aN, *aN]\n"),
    "thousands of unknown keys": each(24_000, "kN: 1\n"),
    "one key thousands of times": each(24_000, "a: 1\n"),
    "thousands of pools of one name": "pools:\n" + each(12_000, "  - {name: a}\n"),
    "thousands of circles": "apps:\n" + each(8_000, "  - {name: aN, depends_on: [aN]}\n"),
    "thousands of unknown apps": "apps:\n" + each(8_000, "  - {name: aN, depends_on: [bN]}\n"),
    "a chain of thousands": "apps:\n" + each(8_000, "  - {name: aN, depends_on: [aM]}\n") + "  - {name: a8000}\n",
    "thousands of escapes": "apps:\n" + each(8_000, "  - {manifests: ../../../../etc/passwd}\n"),
    "thousands of documents": each(10_000, "--- {}\n"),
    "long name": "name: " + "a" * 500_000,
    "long key": "a" * 500_000 + ": 1",
    "terminal escapes": "name: '" + "\\x1b[2J" * 1000 + "'",
    "long block": "name: |\n" + "  x\n" * 100_000,
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_bombs(text: str) -> None:
    assert attempt(text) is None


def test_a_megabyte_of_problems_gives_a_readable_number_of_lines() -> None:
    with pytest.raises(InvalidSpec) as caught:
        load_text("".join(f"k{n}: 1\n" for n in range(24_000)))
    assert len(caught.value.problems) == 101
    assert "more problems" in caught.value.problems[-1]


@pytest.mark.parametrize("kind", ["folder", "fifo", "device", "loop", "unreadable name"])
def test_what_is_no_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path = tmp_path / "two\nlines.yaml"
        path.write_text("[]")
    with without_a_hang(), pytest.raises(InvalidSpec) as caught:
        load_cluster(path)
    (line,) = caught.value.problems
    assert re.fullmatch(r".*spec.yaml'?:1:1: .*|/dev/zero:1:1: .*|.*lines.yaml'?:1:1: .*", line)
    assert line.isprintable()


@pytest.mark.parametrize("name", ["absent.yaml", "file/below.yaml", "nul\0.yaml", "x" * 300])
def test_a_missing_file_is_not_found(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotFound):
        load_cluster(tmp_path / name)
