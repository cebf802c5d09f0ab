"""The pinned programs: where they are, whether they are sound, and how they get there."""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from boatyard.errors import MissingTool
from boatyard.tools.ask import version_of
from boatyard.tools.cache import Cache, VersionMemo
from boatyard.tools.catalogue import CATALOGUE, Tool
from boatyard.tools.progress import Report

if TYPE_CHECKING:
    from boatyard.tools.install import Sources

State = Literal["ok", "missing", "broken"]
FIX = "Run `boatyard doctor --fix`."
FIX_ON_DEMAND = (
    "Put it on PATH, or let `boatyard prerequisites FILE --fix` get its official release where that can be reached."
)


@dataclass(frozen=True)
class ToolStatus:
    """One prerequisite, as `boatyard doctor` lists it.

    version: what is there, empty when nothing is. wanted: what is pinned or asked for. source: PATH, or where the
    cached program came from. required: without it something is broken; else only `note` names what is not possible.
    advice: what to do, empty when all is well. note: what else is worth knowing.
    """

    name: str
    state: State
    version: str = ""
    wanted: str = ""
    source: str = ""
    path: Path | None = None
    required: bool = True
    advice: str = ""
    note: str = ""


class Toolbox:
    """Pinned programs by name. `cache` is Boatyard's cache folder; the programs are in `tools` below it.

    report: takes one line of progress. search: a PATH to look on instead of the environment's. All methods may be
    called from several threads and several processes at once.
    """

    def __init__(
        self,
        cache: Path,
        report: Report = lambda line: None,
        *,
        catalogue: Mapping[str, Tool] = CATALOGUE,
        search: str | None = None,
        sources: "Sources | None" = None,
    ) -> None:
        self.catalogue = catalogue
        self.cache = Cache(cache / "tools")
        self._report, self._search, self._sources = report, search, sources
        self._found: dict[str, Path] = {}
        self._lock = threading.RLock()
        self._version = VersionMemo(
            self.cache.root / ".versions.json", lambda program, name: version_of(program, catalogue[name])
        )

    def path(self, name: str) -> Path:
        """The absolute path of a program that fits: on PATH, else in the cache. Installs nothing.

        `MissingTool` when there is none or it is not the program that was installed.
        """
        with self._lock:
            if name not in self._found:
                self._found[name] = self._find(self._tool(name))
            return self._found[name]

    def ensure(self, names: Sequence[str] | None = None) -> None:
        """Install what is missing of `names` (None: the whole catalogue but what is on demand).

        `MissingTool` says what could not be had from which source, and why.
        """
        if names is None:
            names = [tool.name for tool in self.catalogue.values() if not tool.on_demand]
        tools = [self._tool(name) for name in names]
        if not self._missing(tools):
            return
        with self.cache.lock(self._report):
            missing = self._missing(tools)  # another process may have installed them while we waited
            if missing:
                from boatyard.tools.install import Installer, Sources

                self.cache.clean()
                Installer(self.cache, self._report, self._sources or Sources()).install(missing)
        for tool in tools:
            self.path(tool.name)

    def status(self) -> list[ToolStatus]:
        """Every program of the catalogue, checked fully: cached ones against the sha256 they were installed with."""
        return [self._status(tool) for tool in self.catalogue.values()]

    def prerequisites(self, home: Path) -> list[ToolStatus]:
        """Everything Boatyard needs from this machine, the tools among it, for `boatyard doctor`. Reads only."""
        from boatyard.tools.doctor import prerequisites

        return prerequisites(self, home)

    def _tool(self, name: str) -> Tool:
        if name not in self.catalogue:
            raise MissingTool(f"Boatyard does not know the tool {name!r}; it knows {', '.join(self.catalogue)}.")
        return self.catalogue[name]

    def _missing(self, tools: Sequence[Tool]) -> list[Tool]:
        missing = []
        for tool in tools:
            try:
                self.path(tool.name)
            except MissingTool:
                missing.append(tool)
        return missing

    def _find(self, tool: Tool) -> Path:
        if found := self._on_path(tool):
            return found[0]
        program = self.cache.program(tool.name, tool.version)
        if not program.exists():
            raise MissingTool(f"{tool.name} {tool.version} is not installed.", hint=_fix(tool))
        if not self._sound(tool, fully=False):
            raise MissingTool(f"{program} is not the program that was installed there.", hint=_fix(tool))
        return program

    def _sound(self, tool: Tool, *, fully: bool) -> bool:
        if self.cache.manifest(tool.name, tool.version) is None:
            if version_of(self.cache.program(tool.name, tool.version), tool) != tool.version:
                return False
            self.cache.adopt(tool.name, tool.version)
            return True
        return self.cache.intact(tool.name, tool.version, fully=fully)

    def _candidates(self, name: str) -> Iterator[tuple[Path, str]]:
        """Programs of that name on PATH with their version, empty when unknown."""
        search = self._search if self._search is not None else os.environ.get("PATH", "")
        for folder in dict.fromkeys(Path(part).resolve() for part in search.split(os.pathsep) if part):
            program = folder / name
            if program.is_file() and os.access(program, os.X_OK):
                yield program, self._version(program, name)

    def _on_path(self, tool: Tool) -> tuple[Path, str] | None:
        return next((found for found in self._candidates(tool.name) if tool.accepts(found[1])), None)

    def _status(self, tool: Tool) -> ToolStatus:
        others = [f"{path} is {version or 'something else'}" for path, version in self._candidates(tool.name)]
        note = f"On PATH, but does not fit: {'; '.join(others)}." if others else ""
        needed = not tool.on_demand
        if found := self._on_path(tool):
            return ToolStatus(tool.name, "ok", found[1], tool.version, "PATH", found[0], needed)
        program = self.cache.program(tool.name, tool.version)
        if not program.exists():
            return ToolStatus(tool.name, "missing", "", tool.version, "", None, needed, _fix(tool), note)
        if not self._sound(tool, fully=True):
            advice = f"{program} was changed since it was installed. {_fix(tool)}"
            return ToolStatus(tool.name, "broken", "", tool.version, "cache", program, needed, advice, note)
        manifest = self.cache.manifest(tool.name, tool.version)
        source = f"cache, from {manifest.source}" if manifest else "cache"
        return ToolStatus(tool.name, "ok", tool.version, tool.version, source, program, needed, note=note)


def _fix(tool: Tool) -> str:
    return FIX_ON_DEMAND if tool.on_demand else FIX
