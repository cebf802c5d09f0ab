"""YAML as a tree of nodes that know where they stand.

Only the plain part of YAML is understood: mappings with text keys, lists, text, whole and decimal numbers, true/false,
null, anchors and aliases within limits. Tags, merge keys and dates have no meaning, so a spec never builds an object.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union

import yaml
from yaml._yaml import CParser
from yaml.events import AliasEvent, DocumentStartEvent, MappingStartEvent, NodeEvent, ScalarEvent

from boatyard.spec.words import Path, dotted, shown, shown_name

MAX_DEPTH = 64
"""Levels of nesting; Helm values in the wild stay below 20."""
MAX_NODES = 50_000
"""Nodes of one file with every alias written out; stops alias bombs."""
MAX_DIGITS = 19
"""Digits of a whole number: what fits 64 bits."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z|0x[0-9a-fA-F]+\Z|0o?[0-7]+\Z")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?\Z")
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TEXT_TAGS = ("!", "tag:yaml.org,2002:str")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{shown_name(self.file)}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where, in which field, and what to do about it."""

    mark: Mark
    path: Path
    message: str

    def __str__(self) -> str:
        field = dotted(self.path)
        return f"{self.mark}: {field}: {self.message}" if field else f"{self.mark}: {self.message}"


class Node:
    """A value and its place. Mappings and lists have `children`, mappings the marks of their `keys` too."""

    __slots__ = ("children", "keys", "kind", "mark", "plain", "scalar", "size", "text")

    def __init__(self, kind: Literal["mapping", "list", "scalar"], mark: Mark) -> None:
        self.kind = kind
        self.mark = mark
        self.children: dict[str | int, Node] = {}
        self.keys: dict[str | int, Mark] = {}
        self.scalar: str | int | float | bool | None = None
        self.text = ""
        self.plain = False
        """Written without quotes."""
        self.size = 1

    def data(self) -> Any:
        """The value as dicts, lists, text, numbers, true/false and None."""
        if self.kind == "mapping":
            return {key: child.data() for key, child in self.children.items()}
        if self.kind == "list":
            return [child.data() for child in self.children.values()]
        return self.scalar

    def get(self, *path: str | int) -> Union["Node", None]:
        """The node at `path` below this one, or None."""
        node: Node | None = self
        for part in path:
            node = node.children.get(part) if node is not None else None
        return node

    def nearest(self, path: Path) -> tuple["Node", Path]:
        """The deepest node that exists on the way along `path`, and its own path."""
        node, done = self, 0
        for part in path:
            if part not in node.children:
                break
            node, done = node.children[part], done + 1
        return node, path[:done]

    def mark_of(self, path: Path) -> Mark:
        """Where the value at `path` stands, or the nearest thing around it."""
        return self.nearest(path)[0].mark

    def mark_of_key(self, path: Path) -> Mark:
        """Where the last key of `path` stands, or the value when it is a list item."""
        parent = self.get(*path[:-1]) if path else None
        return (parent.keys.get(path[-1]) if parent is not None else None) or self.mark_of(path)

    def found(self) -> str:
        """The value in words, short enough for one line."""
        if self.kind == "mapping":
            return "a mapping"
        if self.kind == "list":
            return "a list"
        if not self.plain or isinstance(self.scalar, str):
            return shown(self.text)
        if self.scalar is None:
            return "nothing"
        return self.text if isinstance(self.scalar, bool) else f"the number {self.text}"


def node_of(value: Any, mark: Mark) -> Node:
    """A node for a value that came without a text; all of it stands at `mark`."""
    node = Node("mapping" if isinstance(value, dict) else "list" if isinstance(value, list) else "scalar", mark)
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    node.children = {key: node_of(child, mark) for key, child in items}
    if node.kind == "scalar":
        node.scalar, node.plain = value, not isinstance(value, str)
        node.text = value if isinstance(value, str) else str(value)
    return node


class Malformed(Exception):
    """The text is not YAML that can be read on; carries the one problem."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(mark, (), message)


class _Reader:
    """Turns libyaml's events into nodes and gathers what is wrong but does not stop the reading."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.parser = CParser(text)
        self.problems: list[Problem] = []
        self.anchors: dict[str, Node | None] = {}
        self.nodes = 0

    def documents(self) -> Iterator[Node]:
        self.parser.get_event()
        while self.parser.check_event(DocumentStartEvent):
            self.parser.get_event()
            self.anchors = {}
            yield self.node(self.parser.get_event(), ())
            self.parser.get_event()

    def mark(self, event: Any) -> Mark:
        return Mark(self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def note(self, mark: Mark, path: Path, message: str) -> None:
        self.problems.append(Problem(mark, path, message))

    def node(self, event: Any, path: Path) -> Node:
        mark = self.mark(event)
        if isinstance(event, AliasEvent):
            return self.counted(self.alias(event, mark), mark)
        if len(path) > MAX_DEPTH:
            raise Malformed(mark, f"nested deeper than {MAX_DEPTH} levels, allowed at most {MAX_DEPTH}")
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self.counted(Node("scalar", mark), mark)
        if isinstance(event, ScalarEvent):
            node = self.scalar(event, mark, path)
        else:
            self.refuse_tag(event, mark, path)
            node = self.mapping(mark, path) if isinstance(event, MappingStartEvent) else self.sequence(mark, path)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def counted(self, node: Node, mark: Mark) -> Node:
        self.nodes += node.size
        if self.nodes > MAX_NODES:
            raise Malformed(
                mark, f"more than {MAX_NODES} values with every alias written out, allowed at most {MAX_NODES}"
            )
        return node

    def alias(self, event: Any, mark: Mark) -> Node:
        node = self.anchors.get(event.anchor)
        if node is None:
            what = "refers to itself" if event.anchor in self.anchors else "has no anchor before it"
            raise Malformed(mark, f"alias {shown(event.anchor)} {what}")
        return node

    def refuse_tag(self, event: Any, mark: Mark, path: Path) -> None:
        if event.tag is not None and event.tag not in _TEXT_TAGS:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.note(mark, path, f"found the tag {shown(tag)}, allowed none: a spec is plain data")

    def mapping(self, mark: Mark, path: Path) -> Node:
        node = Node("mapping", mark)
        while isinstance(event := self.parser.get_event(), NodeEvent):
            key_mark = self.mark(event)
            key = self.key(event, key_mark, path)
            child = self.node(self.parser.get_event(), (*path, key if key is not None else "?"))
            if key is None:
                continue
            if key in node.children:
                first = node.keys[key]
                self.note(key_mark, (*path, key), f"found the key twice, first in line {first.line}, allowed once")
                continue
            node.children[key], node.keys[key] = child, key_mark
            node.size += child.size
        return node

    def key(self, event: Any, mark: Mark, path: Path) -> str | None:
        node = self.node(event, (*path, "?"))
        if node.kind != "scalar":
            self.note(mark, path, f"found {node.found()} as a key, allowed text")
        elif node.plain and node.text == "<<":
            self.note(
                mark, path, "found a merge key '<<', allowed none: write the keys out, or use defaults in fleet.yaml"
            )
        elif not isinstance(node.scalar, str):
            self.note(mark, path, f"found {node.found()} as a key, allowed text: put it in quotes")
        else:
            return node.scalar
        return None

    def sequence(self, mark: Mark, path: Path) -> Node:
        node = Node("list", mark)
        while isinstance(event := self.parser.get_event(), NodeEvent):
            position = len(node.children)
            child = node.children[position] = self.node(event, (*path, position))
            node.size += child.size
        return node

    def scalar(self, event: Any, mark: Mark, path: Path) -> Node:
        self.refuse_tag(event, mark, path)
        node = Node("scalar", mark)
        node.text = event.value
        node.plain = event.style in (None, "") and event.tag is None
        node.scalar = node.text
        if "\0" in node.text:
            self.note(mark, path, "found a NUL character in the text, allowed none")
            node.scalar = node.text = node.text.replace("\0", "")
        if node.plain:
            self.resolve(node, mark, path)
        return node

    def resolve(self, node: Node, mark: Mark, path: Path) -> None:
        """Give a scalar without quotes its type; what is neither number, true/false nor null stays text."""
        text = node.text
        if text in _WORDS:
            node.scalar = _WORDS[text]
        elif _INT.match(text):
            if len(text.lstrip("-+")) > MAX_DIGITS:
                self.note(
                    mark,
                    path,
                    f"found a number of {len(text)} digits, allowed at most {MAX_DIGITS}: put text in quotes",
                )
                return
            base = 16 if text[:2] == "0x" else 8 if len(text) > 1 and text[0] == "0" else 10
            node.scalar = int(text[2:] if text[1:2] in ("x", "o") else text, base)
        elif _FLOAT.match(text):
            number = float(text) if len(text) <= 64 else float("inf")
            if number in (float("inf"), float("-inf")):
                self.note(mark, path, f"found {shown(text, 30)}, too big for a number: put text in quotes")
                return
            node.scalar = number
        elif text.lower().lstrip("-+") in (".inf", ".nan"):
            self.note(mark, path, f"found {text}, allowed a finite number: put text in quotes")


def parse(text: str, file: str) -> tuple[list[Node], list[Problem]]:
    """All documents of a YAML text, and what is wrong with its form. Text that is not YAML gives no document."""
    if bad := _CONTROL.search(text):
        mark = _mark_at(text, bad.start(), file)
        return [], [Problem(mark, (), f"found the character U+{ord(bad[0]):04X}, allowed only characters that print")]
    reader = _Reader(text, file)
    try:
        documents = list(reader.documents())
    except Malformed as stop:
        return [], [*reader.problems, stop.problem]
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        mark = Mark(file, at.line + 1, at.column + 1) if at is not None else Mark(file, 1, 1)
        return [], [*reader.problems, Problem(mark, (), f"not valid YAML: {_one_line(error.problem or error.context)}")]
    except yaml.YAMLError as error:
        return [], [*reader.problems, Problem(Mark(file, 1, 1), (), f"not valid YAML: {_one_line(str(error))}")]
    return documents, reader.problems


def _one_line(text: str | None) -> str:
    return " ".join((text or "cannot be read").split())[:200]


def _mark_at(text: str, offset: int, file: str) -> Mark:
    line_start = text.rfind("\n", 0, offset) + 1
    return Mark(file, text.count("\n", 0, offset) + 1, offset - line_start + 1)
