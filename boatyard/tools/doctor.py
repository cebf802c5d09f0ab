"""Everything Boatyard needs from a machine, for `boatyard doctor`."""

import os
import platform
import re
import shutil
import sys
from pathlib import Path

from boatyard.errors import BoatyardError
from boatyard.run import run
from boatyard.tools.build import MODULE, go_on_path, needed_go
from boatyard.tools.catalogue import GoBuild
from boatyard.tools.toolbox import State, Toolbox, ToolStatus

_PYTHON = (3, 11)
_ROOM = 5_000_000_000  # bytes
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def prerequisites(toolbox: Toolbox, home: Path) -> list[ToolStatus]:
    """Every prerequisite with its state; reads only. `home` is the folder of Boatyard's state."""
    tools = toolbox.status()
    to_build = [tool.name for tool in tools if tool.state != "ok" and toolbox.catalogue[tool.name].go_package]
    folders = [_writable("state folder", home, "BOATYARD_HOME")]
    folders += [_writable("tool cache", toolbox.cache.root, "BOATYARD_CACHE"), _room(toolbox.cache.root, to_build)]
    return [_python(), _git(), *tools, _go(toolbox, to_build), *folders, _chromium(), _postgres()]


def _python() -> ToolStatus:
    wanted = ".".join(map(str, _PYTHON))
    enough = sys.version_info >= _PYTHON
    advice = "" if enough else f"Install Python {wanted} or newer and run Boatyard with it."
    state: State = "ok" if enough else "missing"
    program = Path(sys.executable)
    return ToolStatus(
        "python", state, platform.python_version(), f"{wanted}+", "this interpreter", program, advice=advice
    )


def _program(name: str, commands: tuple[str, ...], need: str, advice: str, folders: str | None = None) -> ToolStatus:
    """An optional program that is asked for `--version`."""
    found = next((path for path in (shutil.which(command, path=folders) for command in commands) if path), None)
    if found is None:
        return ToolStatus(name, "missing", required=False, advice=advice, note=need)
    try:
        said = run([found, "--version"], timeout=20, check=False).stdout
    except BoatyardError:
        said = ""
    version = re.search(r"\d+(?:\.\d+)+", said)
    if version is None:
        return ToolStatus(name, "broken", path=Path(found), required=False, advice=advice, note=need)
    return ToolStatus(name, "ok", version.group(0), source="PATH", path=Path(found), required=False, note=need)


def _git() -> ToolStatus:
    return _program("git", ("git",), "Only for apps that are kept in git.", "Install git with your package manager.")


def _chromium() -> ToolStatus:
    return _program("chromium", _CHROMIUM, "Only for the browser tests.", "Install the package `chromium`.")


def _postgres() -> ToolStatus:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders = os.pathsep.join([os.environ.get("PATH", ""), *map(str, debian)])
    need = "Only for a store that several machines share; without it SQLite is used."
    advice = "Install PostgreSQL, or set BOATYARD_STORE_URL to a server."
    return _program("postgresql", ("postgres", "psql"), need, advice, folders)


def _go(toolbox: Toolbox, to_build: list[str]) -> ToolStatus:
    wanted, build = needed_go(MODULE), GoBuild()
    need = (
        f"To build {', '.join(to_build)}, should no release be had." if to_build else "Not needed: no tool is missing."
    )
    if go := go_on_path(MODULE):
        return ToolStatus("go", "ok", go.version, f"{wanted}+", go.source, go.program, required=False, note=need)
    version = build.go_requirement.partition("==")[2]
    program = toolbox.cache.root / "go" / version / "bin" / "go"
    if program.is_file():
        return ToolStatus("go", "ok", version, f"{wanted}+", "cache", program, required=False, note=need)
    advice = f"`boatyard doctor --fix` fetches {build.go_requirement} when it is needed." if to_build else ""
    return ToolStatus("go", "missing", wanted=f"{wanted}+", required=False, advice=advice, note=need)


def _existing(folder: Path) -> Path:
    return next(part for part in (folder, *folder.parents) if part.exists())


def _writable(name: str, folder: Path, variable: str) -> ToolStatus:
    place = _existing(folder)
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return ToolStatus(name, "ok", wanted="writable", source=str(folder), path=folder)
    advice = f"Make {place} writable for you, or set {variable} to a folder that is."
    return ToolStatus(name, "broken", wanted="writable", source=str(folder), path=folder, advice=advice)


def _room(folder: Path, to_build: list[str]) -> ToolStatus:
    free, wanted = shutil.disk_usage(_existing(folder)).free, _ROOM if to_build else _ROOM // 5
    text = f"{free / 1e9:.1f} GB"
    if free >= wanted:
        return ToolStatus("disk space", "ok", text, f"{wanted / 1e9:.0f} GB", str(folder), folder)
    advice = f"Make room at {folder}, or set BOATYARD_CACHE to another disk."
    return ToolStatus("disk space", "broken", text, f"{wanted / 1e9:.0f} GB", str(folder), folder, advice=advice)
