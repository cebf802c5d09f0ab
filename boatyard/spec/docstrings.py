"""What stands under a field in its class body. Read from the source when asked for, since few programs ask.

pydantic's own `use_attribute_docstrings` reads it for every class at import, and every command would wait for that.
"""

import ast
import functools
import inspect
import sys
from collections.abc import Mapping

from pydantic import BaseModel


def about(model: type[BaseModel], field: str) -> str | None:
    """What is said of `field`, by the model or by the first of its bases that says something."""
    given = model.model_fields[field].description
    if given is not None:
        return given
    for base in model.__mro__:
        said = _in_module(base.__module__).get(base.__qualname__, {}) if issubclass(base, BaseModel) else {}
        if field in said:
            return said[field]
    return None


@functools.cache
def _in_module(name: str) -> Mapping[str, Mapping[str, str]]:
    """Class → field → its docstring, for the classes at the top of a module; nothing where there is no source."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[name]))
    except (OSError, TypeError, KeyError):
        return {}
    return {part.name: _in_class(part) for part in tree.body if isinstance(part, ast.ClassDef)}


def _in_class(body: ast.ClassDef) -> dict[str, str]:
    found = {}
    for line, after in zip(body.body, body.body[1:], strict=False):
        match line, after:
            case ast.AnnAssign(target=ast.Name(id=field)), ast.Expr(value=ast.Constant(value=str(text))):
                found[field] = inspect.cleandoc(text)
    return found
