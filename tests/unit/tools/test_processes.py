"""Several processes on one cache, and kill -9 in the middle."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from boatyard.tools import Toolbox
from boatyard.tools.catalogue import Tool
from tests.unit.tools.conftest import PATTERN, ReleaseServer, script

Boat = Callable[..., Tool]

PROGRAM = """
import sys
from pathlib import Path
from boatyard.tools import Toolbox
from boatyard.tools.catalogue import Release, Tool, same_minor
tool = Tool("boat", "1.2.3", ("--version",), {pattern!r}, same_minor, Release({url!r}, {url!r} + ".sha256"))
box = Toolbox(Path({cache!r}), lambda line: print(line, flush=True), catalogue={{"boat": tool}}, search="")
box.ensure(["boat"])
print("at", box.path("boat"), flush=True)
"""


def installer(cache: Path, url: str) -> "subprocess.Popen[str]":
    code = PROGRAM.format(pattern=PATTERN, url=url, cache=str(cache))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line
    raise AssertionError(f"it ended without saying {text!r}")


def finish(process: "subprocess.Popen[str]") -> int:
    code = process.wait(30)
    assert process.stdout is not None
    process.stdout.close()
    return code


def test_two_processes_install_once(tmp_path: Path, releases: ReleaseServer) -> None:
    release = releases.publish("boat", script())
    releases.gate, releases.cut = threading.Event(), [1_000_000]
    first = installer(tmp_path, release.url)
    assert releases.requested.wait(20)
    second = installer(tmp_path, release.url)
    assert f"pid {first.pid}" in read_until(second, "waiting")
    releases.gate.set()
    for process in (first, second):
        read_until(process, f"at {tmp_path / 'tools/boat/1.2.3/boat'}")
        assert finish(process) == 0
    first_bytes = [range_ for range_ in releases.gets("boat") if not range_]
    assert len(first_bytes) == 1


def test_killed_while_it_downloads_the_next_goes_on(tmp_path: Path, releases: ReleaseServer, boat: Boat) -> None:
    release = releases.publish("boat", script())
    releases.gate, releases.cut = threading.Event(), [1_200_000]
    process = installer(tmp_path, release.url)
    assert releases.requested.wait(20)
    (part,) = eventually(
        lambda: [p for p in (tmp_path / "tools/downloads").glob("*.part") if p.stat().st_size > 500_000]
    )
    process.kill()
    finish(process)
    kept = part.stat().st_size
    releases.gate.set()
    box = Toolbox(tmp_path, catalogue={"boat": boat(release)}, search="")
    assert [status.state for status in box.status()] == ["missing"]
    box.ensure()
    assert box.path("boat").read_bytes() == script()
    assert releases.gets("boat") == ["", f"bytes={kept}-"]
    assert not list((tmp_path / "tools").glob(".tmp-*"))


def test_rests_of_a_killed_installation_are_removed(tmp_path: Path, releases: ReleaseServer, boat: Boat) -> None:
    rest = tmp_path / "tools/.tmp-put-abc/boat"
    rest.parent.mkdir(parents=True)
    rest.write_bytes(b"half")
    Toolbox(tmp_path, catalogue={"boat": boat(releases.publish("boat", script()))}, search="").ensure()
    assert not rest.parent.exists()


def eventually(look: Callable[[], list[Path]]) -> list[Path]:
    event = threading.Event()
    for _ in range(1000):
        if found := look():
            return found
        event.wait(0.01)
    raise AssertionError("it never came")
