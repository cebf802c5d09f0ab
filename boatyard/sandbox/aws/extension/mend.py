"""One way to put something of ours in the place of something of moto's."""

import functools
from collections.abc import Callable
from typing import Any


def mend(owner: Any, name: str) -> Callable[[Callable[..., Any]], None]:
    """Decorator: the function stands in for `owner.name`, and is given the original as its first argument.

    `AttributeError` at once when moto no longer has what is to be mended.
    """
    original = getattr(owner, name)

    def put(function: Callable[..., Any]) -> None:
        @functools.wraps(original)
        def instead(*args: Any, **kwargs: Any) -> Any:
            return function(original, *args, **kwargs)

        setattr(owner, name, instead)

    return put


def compute(owner: Any, name: str) -> Callable[[Callable[[Any], Any]], None]:
    """Decorator: the function becomes the property `owner.name`, `AttributeError` when there is none yet."""
    getattr(owner, name)
    return lambda function: setattr(owner, name, property(function))
