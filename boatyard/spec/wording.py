"""pydantic's errors in our words: what was found, what is allowed, and what the writer most likely meant."""

import re
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from boatyard.spec.document import Node, Problem
from boatyard.spec.types import PATTERN_WORDS
from boatyard.spec.words import Path, did_you_mean, shown

MOST_DETAILS = 500
"""Errors put into words; looking for nearest matches takes about half a millisecond each."""

REQUIRED = "the field is required"

TYPE_WORDS = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a mapping",
    "mapping": "a mapping",
    "model": "a mapping",
    "model_attributes": "a mapping",
    "tuple": "a list",
    "list": "a list",
    "set": "a list",
    "frozen_set": "a list",
    "none_required": "nothing",
}


def problems(error: ValidationError, node: Node, model: type[BaseModel]) -> list[Problem]:
    """A problem for each of pydantic's errors, at its place in the document; at most `MOST_DETAILS`."""
    details = error.errors(include_url=False, include_input=False)
    return [_problem(detail, node, model) for detail in details[:MOST_DETAILS]]


def _problem(detail: ErrorDetails, node: Node, model: type[BaseModel]) -> Problem:
    path = _path(detail["loc"], node)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        keys = allowed_keys(model, node, path[:-1])
        return Problem(
            node.mark_of_key(path), path, f"unknown key, allowed {_listed(keys)}{did_you_mean(str(path[-1]), keys)}"
        )
    if kind == "missing":
        return Problem(node.mark_of(path), path, f"found nothing, allowed a value: {REQUIRED}")
    if kind == "wrong_field":
        return _wrong_field(context, node, path)
    if detail["loc"][-1:] == ("[key]",) and len(path) < len(detail["loc"]):
        return Problem(
            node.mark_of_key(path), path, f"found the key {shown(str(path[-1]))}, allowed {_allowed(detail)}"
        )
    found = node.nearest(path)[0]
    return Problem(found.mark, path, f"found {found.found()}, allowed {_allowed(detail)}{_meant(detail, found)}")


def _path(loc: tuple[int | str, ...], node: Node) -> Path:
    """pydantic's location without what is no key of the document: union tags, `[key]`, names of validators."""
    path: list[int | str] = []
    here: Node | None = node
    for at, part in enumerate(loc):
        child = here.children.get(part) if here is not None else None
        if part == "[key]" and child is None:
            continue
        tag = here is not None and (kind := here.children.get("kind")) is not None and kind.scalar == part
        if child is None and at + 1 < len(loc) and (tag or here is None or here.kind == "scalar"):
            continue
        path.append(part)
        here = child
    return tuple(path)


def _wrong_field(context: Mapping[str, Any], node: Node, path: Path) -> Problem:
    extra: list[str | int] = [int(part) if part.isdigit() else part for part in context["field"].split(".") if part]
    full = (*path, *extra)
    return Problem(node.mark_of(full), full, context["message"])


def _allowed(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return PATTERN_WORDS.get(context["pattern"], f"text that matches {context['pattern']}")
    if kind in ("literal_error", "enum"):
        return str(context["expected"]).replace(" or ", ", ").replace("'", "")
    if kind == "value_error":
        return str(context["error"])
    bounds = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}
    bounds |= {"greater_than": ("more than", "gt"), "less_than": ("less than", "lt")}
    if kind in bounds:
        words, key = bounds[kind]
        return f"{words} {context[key]}"
    if kind == "string_too_long":
        return f"at most {context['max_length']} characters"
    if kind == "int_from_float":
        return "a whole number"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return str(context.get("expected_tags", "a kind")).replace("'", "")
    if kind.endswith("_type") and kind.removesuffix("_type") in TYPE_WORDS:
        return TYPE_WORDS[kind.removesuffix("_type")]
    text = " ".join(detail["msg"].split())
    return text[:1].lower() + text[1:]


def _meant(detail: ErrorDetails, found: Node) -> str:
    if detail["type"] == "literal_error" and found.kind == "scalar":
        return did_you_mean(found.text, re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected", ""))))
    wants_text = detail["type"] == "string_type"
    if wants_text and found.kind == "scalar" and found.plain and found.text:
        return f': write it in quotes, "{found.text[:40]}"'
    return ""


def _listed(keys: list[str]) -> str:
    return ", ".join(keys) if keys else "none"


def allowed_keys(model: type[BaseModel], node: Node, path: Path) -> list[str]:
    """The fields of the model that judges the mapping at `path`."""
    here: Any = model
    for depth, part in enumerate(path):
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(str(part))
            here = field.annotation if field is not None else None
        else:
            here = next(iter(get_args(here)), None)
        here = _model_in(here, node.get(*path[: depth + 1])) or here
    found = _model_in(here, node.get(*path))
    return [field.alias or name for name, field in found.model_fields.items()] if found is not None else []


def _model_in(annotation: Any, node: Node | None) -> type[BaseModel] | None:
    """The model in an annotation such as `Model | None`; of several, the one whose `kind` the document names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) not in (Union, types.UnionType):
        return None
    models = [arg for arg in get_args(annotation) if isinstance(arg, type) and issubclass(arg, BaseModel)]
    if len(models) < 2 or node is None:
        return models[0] if models else None
    kind = node.get("kind")
    wanted = kind.scalar if kind is not None else None
    return next(
        (m for m in models if "kind" in m.model_fields and wanted in get_args(m.model_fields["kind"].annotation)), None
    )
