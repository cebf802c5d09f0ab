"""The base of every model a user writes: unknown keys are refused, values never change after loading."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.fields import ComputedFieldInfo, FieldInfo
from pydantic_core import PydanticCustomError

from boatyard.spec.docstrings import about
from boatyard.spec.types import format_duration

M = TypeVar("M", bound=BaseModel)

_KINDS = {"string": "text", "integer": "number", "array": "list", "object": "settings", "null": "left out"}


def _title(name: str, _: FieldInfo | ComputedFieldInfo) -> str:
    """`drain_timeout` as Drain timeout: what forms print over a field."""
    return (name[:1].upper() + name[1:]).replace("_", " ")


def legible(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """For forms and editors: what a field is for, defaults as a person writes them, words for the branches of what may
    be left out."""
    names = {info.alias or name: name for name, info in model.model_fields.items()}
    for key, field in schema.get("properties", {}).items():
        if name := names.get(key):
            default = model.model_fields[name].default
            if isinstance(default, timedelta):
                field["default"] = format_duration(default)
            if text := about(model, name):
                field["description"] = text
        if "const" in field:
            field.setdefault("default", field["const"])  # a form shows it and sends it; nobody can type it there
        for branch in field.get("anyOf", ()):
            if "$ref" not in branch and branch.get("type") in _KINDS:
                branch.setdefault("title", _KINDS[branch["type"]])


class Model(BaseModel):
    """Strict towards the person who writes it, frozen towards the program that reads it."""

    model_config = ConfigDict(
        extra="forbid",
        defer_build=True,
        frozen=True,
        field_title_generator=_title,
        json_schema_extra=legible,
    )


def judged(model: M, wrong: Iterable[tuple[tuple[str | int, ...], str]]) -> M:
    """For validators between fields: `model` as it is, or an error that names the first wrong field and why."""
    for path, message in wrong:
        field = ".".join(map(str, path))
        text = f"{field}: {message}" if field else message
        raise PydanticCustomError("wrong_field", "{text}", {"text": text, "field": field, "message": message})
    return model
