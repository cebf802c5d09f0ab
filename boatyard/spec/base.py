"""The base of every model a user writes: unknown keys are refused, values never change after loading."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Strict towards the person who writes it, frozen towards the program that reads it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
