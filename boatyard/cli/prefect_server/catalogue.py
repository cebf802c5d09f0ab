"""What is to be deployed: prefect.yaml and deployments/automations/*.yaml, read and checked, without Prefect."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from boatyard.errors import InvalidSpec


@dataclass(frozen=True)
class Deployment:
    """One entry of prefect.yaml. `entrypoint` is a module path, `flows.create.create_cluster`."""

    name: str
    entrypoint: str
    description: str | None = None
    tags: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    schedules: tuple[dict[str, Any], ...] = ()
    concurrency_limit: int | None = None
    collision_strategy: str | None = None


@dataclass(frozen=True)
class Automation:
    """One file of deployments/automations; actions name a deployment where Prefect wants its id."""

    name: str
    document: dict[str, Any]


def project_file() -> Path:
    """prefect.yaml: beside the `deployments` package in a checkout, inside it in a wheel."""
    folder = automations_folder().parent
    beside = folder.parent / "prefect.yaml"
    return beside if beside.exists() else folder / "prefect.yaml"


def automations_folder() -> Path:
    """The folder with one YAML file an automation."""
    import deployments

    return Path(deployments.__path__[0]) / "automations"


def read_deployments(path: Path) -> list[Deployment]:
    """All deployments of a prefect.yaml. Raises `InvalidSpec` with a line for each wrong entry."""
    document = yaml.safe_load(path.read_text())
    entries = document.get("deployments") if isinstance(document, dict) else None
    if not entries:
        raise InvalidSpec([f"{path}: a list `deployments` is expected, found none."])
    problems: list[str] = []
    found: dict[str, Deployment] = {}
    for number, entry in enumerate(entries):
        if problem := _problem(entry, found):
            problems.append(f"{path}: deployments[{number}]: {problem}")
        else:
            found[entry["name"]] = _deployment(entry)
    if problems:
        raise InvalidSpec(problems)
    return list(found.values())


def _problem(entry: Any, found: dict[str, Deployment]) -> str | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        return "`name` is missing."
    if entry["name"] in found:
        return f"the name {entry['name']!r} is there twice."
    entrypoint = entry.get("entrypoint")
    if not isinstance(entrypoint, str) or ":" in entrypoint or "/" in entrypoint or "." not in entrypoint:
        return f"entrypoint {entrypoint!r} of {entry['name']!r} is no module path such as flows.create.create_cluster."
    return None


def _deployment(entry: dict[str, Any]) -> Deployment:
    limit = entry.get("concurrency_limit")
    options = limit if isinstance(limit, dict) else {"limit": limit}
    return Deployment(
        name=entry["name"],
        entrypoint=entry["entrypoint"],
        description=entry.get("description"),
        tags=tuple(entry.get("tags") or ()),
        parameters=entry.get("parameters") or {},
        schedules=tuple(entry.get("schedules") or ()),
        concurrency_limit=options.get("limit"),
        collision_strategy=options.get("collision_strategy"),
    )


def read_automations(folder: Path) -> list[Automation]:
    """All automations of a folder, by file name."""
    found = []
    for path in sorted(folder.glob("*.yaml")):
        document = yaml.safe_load(path.read_text())
        if not isinstance(document, dict) or not document.get("name") or not document.get("trigger"):
            raise InvalidSpec([f"{path}: an automation needs `name`, `trigger` and `actions`."])
        found.append(Automation(document["name"], document))
    return found
