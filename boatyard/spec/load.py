"""From YAML files to a `Cluster`: every mistake at once, one line each with its place and what is allowed."""

import json
from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from boatyard.errors import InvalidSpec
from boatyard.spec import wording
from boatyard.spec.checks import against_provider, between_fields
from boatyard.spec.document import Mark, Node, Problem, parse
from boatyard.spec.models import Cluster
from boatyard.spec.paths import resolve_app_paths
from boatyard.spec.provider import driver_packages, settings_model
from boatyard.spec.source import decode, fleet_file, read_text
from boatyard.spec.words import Path as FieldPath
from boatyard.spec.words import did_you_mean

MOST_PROBLEMS = 100
"""Lines shown at once; looking for the nearest match of thousands would take minutes."""


def load_cluster(path: Path) -> Cluster:
    """The one cluster of a file, with the defaults of the fleet it lies in; paths of apps become absolute.

    Raises `NotFound` when there is no such file and `InvalidSpec` with all problems when it is wrong.
    """
    document, problems = read_one(path)
    if (fleet := fleet_file(path)) is not None:
        defaults, more = read_defaults(fleet)
        document = merge(defaults, document)
        problems += more
    return build(document, problems)


def load_text(text: str | bytes, name: str = "<text>", *, folder: Path | None = None) -> Cluster:
    """The one cluster of a text; `name` stands for the file in messages, paths start at `folder` (default: here)."""
    document, problems = one_document(text, name)
    return build(document, problems, folder=folder if folder is not None else Path.cwd())


def read_documents(path: Path) -> tuple[list[Node], list[Problem]]:
    """The documents of a file, and what is wrong with their form."""
    return parse(read_text(path), str(path))


def read_one(path: Path) -> tuple[Node, list[Problem]]:
    return _only(*read_documents(path), str(path))


def one_document(text: str | bytes, name: str) -> tuple[Node, list[Problem]]:
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return _only(*parse(decode(raw, name), name), name)


def _only(documents: list[Node], problems: list[Problem], name: str) -> tuple[Node, list[Problem]]:
    if not documents and not problems:
        problems = [Problem(Mark(name, 1, 1), (), "found nothing, allowed a mapping with kind: Cluster")]
    if len(documents) > 1:
        problems.append(
            Problem(
                documents[1].mark,
                (),
                "found another document, allowed one cluster a file (a fleet's folder takes many)",
            )
        )
    if not documents:
        raise refuse(problems)
    return documents[0], problems


def read_defaults(fleet: Path) -> tuple[Node, list[Problem]]:
    """The `defaults` of a fleet.yaml as a mapping; empty when there are none."""
    document, problems = read_one(fleet)
    defaults = document.get("defaults")
    if defaults is None or defaults.kind != "mapping":
        return Node("mapping", document.mark), problems
    return defaults, problems


def merge(below: Node, above: Node) -> Node:
    """`above` laid over `below`: mappings key by key, the rest whole. Another kind of provider replaces it."""
    if below.kind != "mapping" or above.kind != "mapping" or _other_kind(below, above):
        return above
    merged = Node("mapping", above.mark)
    merged.children = {**below.children, **above.children}
    merged.keys = {**below.keys, **above.keys}
    for key in below.children.keys() & above.children.keys():
        merged.children[key] = merge(below.children[key], above.children[key])
    return merged


def _other_kind(below: Node, above: Node) -> bool:
    ours, theirs = above.get("kind"), below.get("kind")
    return ours is not None and theirs is not None and ours.scalar != theirs.scalar


def build(document: Node, problems: Iterable[Problem] = (), *, folder: Path | None = None) -> Cluster:
    """The cluster of a parsed document; `InvalidSpec` with `problems` and all that is found here."""
    found = list(problems)
    cluster = judge(document, found, folder=folder)
    if cluster is None or found:
        raise refuse(found)
    return cluster


def judge(document: Node, problems: list[Problem], *, folder: Path | None = None) -> Cluster | None:
    """The cluster of a parsed document, or None; adds everything that is wrong to `problems`."""
    if document.kind != "mapping":
        problems.append(Problem(document.mark, (), f"found {document.found()}, allowed a mapping with kind: Cluster"))
        return None
    problems += resolve_app_paths(document, folder)
    data = document.data()
    known = _provider_problems(document, problems)
    rules = between_fields(data) if known is None else chain(against_provider(data, known), between_fields(data))
    problems += [Problem(document.mark_of(path), path, text) for path, text in islice(rules, MOST_PROBLEMS)]
    cluster = validate(Cluster, document, data, problems, skip_provider=known is None)
    return cluster if isinstance(cluster, Cluster) and not problems else None


def _provider_problems(document: Node, problems: list[Problem]) -> Any:
    """The provider's settings model; None, with a problem where there is something to say, when its kind is unknown."""
    provider = document.get("provider")
    if provider is None or provider.kind != "mapping":
        return None
    kind = provider.get("kind")
    kinds = driver_packages()
    allowed = ", ".join(kinds) or "none: no driver is installed"
    if kind is None:
        problems.append(
            Problem(provider.mark, ("provider", "kind"), f"found nothing, allowed {allowed}: {wording.REQUIRED}")
        )
        return None
    if not isinstance(kind.scalar, str) or kind.scalar not in kinds:
        meant = did_you_mean(kind.text, kinds) if kind.kind == "scalar" else ""
        problems.append(Problem(kind.mark, ("provider", "kind"), f"found {kind.found()}, allowed {allowed}{meant}"))
        return None
    return settings_model(kind.scalar)


def validate(
    model: type[BaseModel], document: Node, data: Any, problems: list[Problem], *, skip_provider: bool = False
) -> Any:
    """`data` as `model`, or None with the reasons added to `problems`."""
    try:
        # JSON mode: strict on types, yet it takes lists for tuples.
        return model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        skip = skip_provider and _is_mapping(document.get("provider"))
        told = wording.problems(error, document, model)
        problems += [problem for problem in told if not (skip and problem.path[:1] == ("provider",))]
    return None


def _is_mapping(node: Node | None) -> bool:
    return node is not None and node.kind == "mapping"


def refuse(problems: Iterable[Problem]) -> InvalidSpec:
    """The error with one line a problem, in the order of the files; of several about the same value the first."""
    first: dict[tuple[Mark, FieldPath], Problem] = {}
    for problem in problems:
        first.setdefault((problem.mark, problem.path), problem)
    ordered = sorted(first.values(), key=lambda p: (p.mark.file, p.mark.line, p.mark.column))
    lines = [str(problem) for problem in ordered[:MOST_PROBLEMS]]
    if len(ordered) > MOST_PROBLEMS:
        lines.append(f"{ordered[MOST_PROBLEMS].mark}: more problems from here on; mend these first")
    return InvalidSpec(lines)
