"""Pinned, verified command-line tools."""

from boatyard.tools.toolbox import Toolbox, ToolStatus

__all__ = ["Toolbox", "ToolStatus"]
