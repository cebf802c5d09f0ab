"""YAML text → Kubernetes objects. Reads what kubectl reads, and names file and document number in every error."""

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from boatyard.errors import InvalidSpec

Json = dict[str, Any]
_NODES_AT_MOST = 1_000_000  # values in one document, aliases counted as often as they are used
_DEEPEST = 1000  # levels; libyaml's composer ends the process where its stack does, some 30,000 levels down
_BRACKETS = 5000  # as many must be there, or a run of dashes on one line, before levels are counted
_RUN = re.compile(r"(?:[-?][ \t]+){200}")


@dataclass(frozen=True)
class Document:
    """One object and where it was written, for errors."""

    object: Json
    where: str


class Loader(yaml.CSafeLoader):
    """YAML as Kubernetes takes it: no dates, no base-60 numbers (`22:22` is text), no default key (`=` is text), no key
    twice."""

    yaml_implicit_resolvers = {
        first: [
            (tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":int", ":float", ":value"))
        ]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen and name != "<<":
                raise yaml.constructor.ConstructorError(None, None, f"the key {name!r} is there twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(?:0b[0-1_]+|0[0-7_]*|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))$|^\.(?:nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)


def parse(text: str | bytes, where: str) -> list[Document]:
    """Every object in a YAML or JSON stream, lists taken apart. `InvalidSpec` for the first that is none."""
    found: list[Document] = []
    for number, value in _values(text, where):
        place = f"{where}, document {number}"
        if value is not None:
            found += _objects(value, place)
    return found


def _values(text: str | bytes, where: str) -> Iterator[tuple[int, Any]]:
    number = 0
    if too_deep(text):
        raise InvalidSpec([f"{where}: nested deeper than {_DEEPEST} levels"])
    try:
        loader = Loader(text)
    except yaml.YAMLError as error:
        raise InvalidSpec([f"{where}: not readable as YAML: {_problem(error)}"]) from None
    suspicious = b"*" in text if isinstance(text, bytes) else "*" in text
    try:
        while loader.check_data():  # type: ignore[no-untyped-call]
            number += 1
            value = loader.get_data()
            if suspicious and too_big(value):
                raise InvalidSpec([f"{where}, document {number}: its aliases expand to over {_NODES_AT_MOST} values"])
            yield number, value
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidSpec([f"{where}, document {max(number, 1)}: {_problem(error)}"]) from None
    finally:
        loader.dispose()


def _problem(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error) or type(error).__name__


def too_deep(text: str | bytes) -> bool:
    """Is YAML nested so deeply that reading it would end the process? To be asked before a hostile text is read."""
    plain = text.decode("latin-1") if isinstance(text, bytes) else text
    if plain.count("[") + plain.count("{") < _BRACKETS and not _RUN.search(plain):
        return False
    depth = 0
    try:
        for event in yaml.parse(text, yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                return True
    except yaml.YAMLError:
        return False  # reading it says what is wrong
    return False


def too_big(value: Any) -> bool:
    """Does a document grow beyond measure when its aliases are written out?"""
    left, stack = _NODES_AT_MOST, [value]
    while stack:
        item = stack.pop()
        left -= 1
        if left < 0:
            return True
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return False


def _objects(value: Any, place: str) -> list[Document]:
    if not isinstance(value, dict):
        raise InvalidSpec([f"{place}: expected an object with apiVersion and kind, found {_kind_of(value)}"])
    kind, version = value.get("kind"), value.get("apiVersion")
    for key, given in (("apiVersion", version), ("kind", kind)):
        if not isinstance(given, str) or not given:
            raise InvalidSpec([f"{place}: {key} is missing"])
    if str(kind).endswith("List") and isinstance(value.get("items"), list):
        found = []
        for index, item in enumerate(value["items"]):
            if isinstance(item, dict) and kind != "List":
                item = {"apiVersion": version, "kind": str(kind).removesuffix("List"), **item}
            found += _objects(item, f"{place}, item {index + 1}")
        return found
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        raise InvalidSpec([f"{place}: {kind} has no metadata.name (generateName cannot be applied twice)"])
    return [Document(value, place)]


def _kind_of(value: Any) -> str:
    return {"str": "text", "list": "a list", "int": "a number", "bool": "true or false"}.get(
        type(value).__name__, type(value).__name__
    )
