"""The base of every model a user writes: unknown keys are refused, values never change after loading."""

from collections.abc import Iterable
from typing import TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

M = TypeVar("M", bound=BaseModel)


class Model(BaseModel):
    """Strict towards the person who writes it, frozen towards the program that reads it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def judged(model: M, wrong: Iterable[tuple[tuple[str | int, ...], str]]) -> M:
    """For validators between fields: `model` as it is, or an error that names the first wrong field and why."""
    for path, message in wrong:
        field = ".".join(map(str, path))
        text = f"{field}: {message}" if field else message
        raise PydanticCustomError("wrong_field", "{text}", {"text": text, "field": field, "message": message})
    return model
