"""Errors that nobody meant to happen, in one sentence: what, and where in the program."""

import traceback
from pathlib import Path

import httpx

from boatyard.errors import BoatyardError
from boatyard.redact import redact

_ROOT = Path(__file__).parents[1]
_OURS = ("boatyard", "tasks", "flows")


def is_bug(error: BaseException) -> bool:
    """Whether it is no error of ours, no order to stop, and not Prefect's server being away."""
    return isinstance(error, Exception) and not isinstance(error, BoatyardError | httpx.TransportError)


def told(error: BaseException) -> str:
    """One sentence without a traceback, for whoever reads it in the morning."""
    text = (str(error).strip().splitlines() or [""])[0]
    what = f"{type(error).__name__}: {redact(text)}" if text else type(error).__name__
    return f"it met an error that Boatyard did not expect ({what}{_where(error)}); please report it as a bug."


def _where(error: BaseException) -> str:
    """The innermost line of our own code, by its place in the package."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(_ROOT) and path.relative_to(_ROOT).parts[0] in _OURS:
            return f", in {path.relative_to(_ROOT).as_posix()} line {frame.lineno}"
    return ""
