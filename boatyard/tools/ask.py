"""Asking a program for its version."""

from pathlib import Path

from boatyard.errors import BoatyardError
from boatyard.run import run
from boatyard.tools.catalogue import Tool

_TIMEOUT = 20.0


def version_of(program: Path, tool: Tool) -> str:
    """The version that `program` prints about itself; an empty text when it cannot run or is something else."""
    try:
        result = run([program, *tool.version_args], timeout=_TIMEOUT, check=False)
    except BoatyardError:
        return ""
    return (tool.parse(result.stdout) or tool.parse(result.stderr) or "") if result.code == 0 else ""
