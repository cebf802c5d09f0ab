"""The files and folders that apps name: found from the spec's own folder, never outside the project."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

from boatyard.spec.document import Node, Problem
from boatyard.spec.source import project_root
from boatyard.spec.words import Path as FieldPath
from boatyard.spec.words import shown

KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")


def resolve_app_paths(document: Node, folder: Path | None = None) -> list[Problem]:
    """Make every path of the document's apps absolute, in place. `folder`: where text without a file stands."""
    problems: list[Problem] = []
    root_of = functools.cache(project_root)
    for field, node in _path_nodes(document):
        base = folder if folder is not None else Path(node.mark.file).absolute().parent
        found = _resolve(node, base, root_of(base))
        if isinstance(found, Path):
            wrong = _wrong_kind(field, node, found)
            node.scalar = str(found)
        else:
            wrong = found
        if wrong:
            problems.append(Problem(node.mark, field, f"found {shown(node.text, 120)}, {wrong}"))
    return problems


def _path_nodes(document: Node) -> Iterator[tuple[FieldPath, Node]]:
    apps = document.get("apps")
    for at, app in apps.children.items() if apps is not None and apps.kind == "list" else ():
        for key in ("manifests", "kustomize", "chart"):
            node = app.get(key)
            if _is_text(node) and not (key == "chart" and _is_remote(app, node)):
                yield ("apps", at, key), node
        for index, node in (app.get("values_files") or Node("list", app.mark)).children.items():
            if _is_text(node):
                yield ("apps", at, "values_files", index), node


def _is_text(node: Node | None) -> TypeGuard[Node]:
    return node is not None and isinstance(node.scalar, str) and node.kind == "scalar"


def _is_remote(app: Node, chart: Node) -> bool:
    return "repository" in app.children or chart.text.startswith("oci://")


def _resolve(node: Node, base: Path, root: Path) -> Path | str:
    """The absolute path, or what is wrong."""
    text = node.text
    if not text:
        return "allowed a path"
    if len(text) > 1000:
        return "allowed at most 1000 characters"
    if text.startswith(("/", "~")):
        return "allowed a path relative to this file"
    real = Path(os.path.realpath(base / text))
    if not real.is_relative_to(root):
        return f"which is outside the project {shown(str(root), 200)}, allowed only paths inside"
    try:
        real.stat()
    except OSError as error:
        return f"which cannot be read ({error.strerror}), allowed a file or folder that exists"
    return real


def _wrong_kind(field: FieldPath, node: Node, path: Path) -> str | None:
    key = field[2]
    if key == "manifests" and not (path.is_file() or path.is_dir()):
        return "allowed a file or a folder"
    if key == "kustomize" and not any((path / name).is_file() for name in KUSTOMIZATIONS):
        return "allowed a folder with a kustomization.yaml"
    if key == "chart" and not (path / "Chart.yaml").is_file() and path.suffix != ".tgz":
        return "allowed a folder with a Chart.yaml, oci://…, or a name together with repository"
    if key == "values_files" and not path.is_file():
        return "allowed a file"
    return None
