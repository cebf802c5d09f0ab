"""A fleet: a folder of clusters' files with the defaults they share.

`fleet.yaml` (`kind: Fleet`) holds the defaults. Every other `*.yaml` and `*.yml` file beside it, in `clusters/` and in
`templates/` holds clusters and templates, one document or several. Other folders are left alone: apps live there.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from boatyard.errors import InvalidSpec, NotFound
from boatyard.spec import load, wording
from boatyard.spec.base import Model
from boatyard.spec.document import Mark, Node, Problem, parse
from boatyard.spec.holidays import Holidays, read_holidays
from boatyard.spec.models import Cluster
from boatyard.spec.source import FLEET_FILE, read_text
from boatyard.spec.template import KIND as TEMPLATE
from boatyard.spec.template import Template, judge_template
from boatyard.spec.types import Name
from boatyard.spec.wave_rules import named_rules, ring_problem, upgrades_rules
from boatyard.spec.waves import Upgrades, Waves
from boatyard.spec.words import shown

FOLDERS = ("", "clusters", "templates")
MOST_FILES = 10_000


class FleetFile(Model):
    """What `fleet.yaml` may say."""

    apiVersion: Literal["boatyard/v1"] = "boatyard/v1"
    kind: Literal["Fleet"]
    name: Name = "fleet"
    defaults: dict[str, Any] = {}
    """Anything a cluster's file may say but its name; laid under every cluster and template, key by key."""
    upgrades: Upgrades | None = None
    """In which order, when and how many at a time scheduled upgrades go through the fleet; see docs/waves.md."""


class Fleet(Model):
    """All clusters of a folder, defaults applied, by name; `sources` has each one's file."""

    name: str = "fleet"
    defaults: dict[str, Any] = {}
    clusters: dict[str, Cluster] = {}
    templates: dict[str, Template] = {}
    sources: dict[str, str] = {}
    waves: Waves | None = None
    """What `upgrades` says, with the days of its holidays' file; None where it says nothing."""


def load_fleet(folder: Path, file: Path | None = None) -> Fleet:
    """Every cluster and template of a folder. `NotFound` without the folder or its fleet.yaml; `InvalidSpec` with all
    problems of all files. file: taken for its fleet.yaml, to see what another one would mean."""
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}.")
    problems: list[Problem] = []
    lines: list[str] = []
    file = file if file is not None else folder / FLEET_FILE
    head = _head(file, problems)
    defaults = head.get("defaults") or Node("mapping", head.mark)
    found = _Found()
    for path in _files(folder):
        try:
            documents, wrong = parse(read_text(path), str(path))
        except InvalidSpec as error:
            lines += error.problems
            continue
        problems += wrong
        for document in documents:
            _take(document, defaults, found, problems)
    _same_names(found, problems)
    waves = _waves(file.parent, head, found, problems, lines)
    if problems or lines:
        raise InvalidSpec([*lines, *(load.refuse(problems).problems if problems else ())])
    fields = head.data()
    return Fleet(
        name=fields.get("name", "fleet"),
        defaults=fields.get("defaults") or {},
        clusters={cluster.name: cluster for cluster, _ in found.clusters},
        templates={template["name"]: template for template, _ in found.templates},
        sources={cluster.name: node.mark.file for cluster, node in found.clusters},
        waves=waves,
    )


class _Found:
    def __init__(self) -> None:
        self.clusters: list[tuple[Cluster, Node]] = []
        self.templates: list[tuple[Template, Node]] = []
        self.names: list[tuple[str, Node]] = []


def _head(path: Path, problems: list[Problem]) -> Node:
    document, wrong = load.read_one(path)
    problems += wrong
    if document.kind != "mapping":
        raise load.refuse([Problem(document.mark, (), f"found {document.found()}, allowed a mapping with kind: Fleet")])
    load.validate(FleetFile, document, document.data(), problems)
    defaults = document.get("defaults")
    if defaults is not None and defaults.kind == "mapping":
        problems += _defaults_problems(defaults)
    return document


def _waves(folder: Path, head: Node, found: "_Found", problems: list[Problem], lines: list[str]) -> Waves | None:
    """`upgrades`, judged against the clusters; adds what is wrong to `problems`, or to `lines` for the calendar."""
    node = head.get("upgrades")
    if node is None or node.kind != "mapping":
        return None
    data = node.data()
    wrong = [*upgrades_rules(data), *named_rules(data, [cluster.name for cluster, _ in found.clusters])]
    problems += [Problem(node.mark_of(path), ("upgrades", *path), text) for path, text in wrong]
    for cluster, where in found.clusters:
        if (text := ring_problem(data, cluster.policy.maintenance.ring)) is not None:
            path = ("policy", "maintenance", "ring")
            problems.append(Problem(where.mark_of(path), path, text))
    if problems or lines:
        return None
    upgrades = Upgrades.model_validate_json(json.dumps(data))
    try:
        holidays = read_holidays(folder / upgrades.holidays) if upgrades.holidays is not None else Holidays()
    except NotFound as error:
        mark = node.mark_of(("holidays",))
        problems.append(Problem(mark, ("upgrades", "holidays"), f"{error} Allowed: an .ics file beside fleet.yaml"))
        return None
    except InvalidSpec as error:
        lines += error.problems
        return None
    return Waves(upgrades=upgrades, holidays=holidays)


def _defaults_problems(defaults: Node) -> Iterator[Problem]:
    """Mistakes that show without any cluster: what is missing may come from the cluster."""
    for key in ("name", "kind", "apiVersion"):
        if key in defaults.children:
            mark = defaults.keys[key]
            yield Problem(mark, ("defaults", key), "found it among the defaults, allowed only in a cluster's own file")
    wrong: list[Problem] = []
    load.judge(defaults, wrong)
    for problem in wrong:
        if wording.REQUIRED not in problem.message and problem.path != ("name",):
            yield Problem(problem.mark, ("defaults", *problem.path), problem.message)


def _files(folder: Path) -> list[Path]:
    files = [
        file
        for name in FOLDERS
        for file in sorted((folder / name).glob("*"))
        if file.suffix in (".yaml", ".yml") and not file.name.startswith(".") and file != folder / FLEET_FILE
    ]
    if len(files) > MOST_FILES:
        raise InvalidSpec([f"{folder}:1:1: found {len(files)} files, allowed at most {MOST_FILES}"])
    return files


def _take(document: Node, defaults: Node, found: _Found, problems: list[Problem]) -> None:
    mine: list[Problem] = []
    merged = load.merge(defaults, document) if document.kind == "mapping" else document
    kind = document.get("kind")
    if kind is not None and kind.scalar == TEMPLATE:
        template = judge_template(merged, mine)
        if template is not None:
            found.templates.append((template, document))
    else:
        cluster = load.judge(merged, mine)
        if cluster is not None:
            found.clusters.append((cluster, document))
    name = document.get("name")
    if name is not None and isinstance(name.scalar, str):
        found.names.append((f"{kind.scalar if kind else 'Cluster'} {name.scalar}", name))
    # What is wrong in the defaults themselves has been said already, under its own field path.
    told = {(problem.mark, problem.message) for problem in problems}
    problems += [problem for problem in mine if (problem.mark, problem.message) not in told]


def _same_names(found: _Found, problems: list[Problem]) -> None:
    first: dict[str, Mark] = {}
    for name, node in found.names:
        if name in first:
            message = f"found {shown(node.text)}, already used at {first[name]}: names are unique in a fleet"
            problems.append(Problem(node.mark, ("name",), message))
        first.setdefault(name, node.mark)
