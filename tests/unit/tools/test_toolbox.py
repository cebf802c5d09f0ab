"""PATH, cache and doctor: what fits is used, what was changed is noticed."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from boatyard.errors import MissingTool, Permanent
from boatyard.tools import Toolbox
from boatyard.tools.catalogue import Tool
from tests.unit.tools.conftest import ReleaseServer, script

Boat = Callable[..., Tool]
OnPath = Callable[..., Path]


def box(cache: Path, tool: Tool, *folders: Path) -> Toolbox:
    return Toolbox(cache, catalogue={tool.name: tool}, search=os.pathsep.join(map(str, folders)))


def test_the_first_that_fits_on_path_is_used(tmp_path: Path, boat: Boat, on_path: OnPath) -> None:
    old, other, good = on_path("a", "1.1.9"), on_path("b", "1.2.3", says="game v{}"), on_path("c", "1.2.0")
    toolbox = box(tmp_path / "cache", boat(), old, other, good)
    assert toolbox.path("boat") == good / "boat"
    (status,) = toolbox.status()
    assert (status.state, status.version, status.source) == ("ok", "1.2.0", "PATH")


def test_what_does_not_fit_is_named(tmp_path: Path, boat: Boat, on_path: OnPath) -> None:
    old, other = on_path("a", "1.1.9"), on_path("b", "1.2.3", says="game v{}")
    (status,) = box(tmp_path / "cache", boat(), old, other).status()
    assert (status.state, status.wanted) == ("missing", "1.2.3")
    assert "a/boat is 1.1.9" in status.note
    assert "b/boat is something else" in status.note
    assert "doctor --fix" in status.advice


def test_a_program_that_changes_on_path_is_asked_again(tmp_path: Path, boat: Boat, on_path: OnPath) -> None:
    folder = on_path("a", "1.1.9")
    with pytest.raises(MissingTool):
        box(tmp_path / "cache", boat(), folder).path("boat")
    on_path("a", "1.2.33")
    assert box(tmp_path / "cache", boat(), folder).path("boat") == folder / "boat"


def test_path_is_asked_once(tmp_path: Path, boat: Boat, on_path: OnPath) -> None:
    folder = on_path("a", "1.2.3")
    count = tmp_path / "count"
    (folder / "boat").write_text(f"#!/bin/sh\necho x >> {count}\necho boat v1.2.3\n")
    for _ in range(2):
        assert box(tmp_path / "cache", boat(), folder).path("boat")
    assert count.read_text() == "x\n"


def test_a_changed_program_is_refused_and_replaced(tmp_path: Path, releases: ReleaseServer, boat: Boat) -> None:
    tool = boat(releases.publish("boat", script()))
    box(tmp_path, tool).ensure()
    program = box(tmp_path, tool).path("boat")
    program.write_bytes(script().replace(b"exit 0", b"exit 1"))
    with pytest.raises(MissingTool, match="not the program that was installed"):
        box(tmp_path, tool).path("boat")
    assert [status.state for status in box(tmp_path, tool).status()] == ["broken"]
    box(tmp_path, tool).ensure()
    assert program.read_bytes() == script()


def test_status_finds_a_change_that_hides_its_time(tmp_path: Path, releases: ReleaseServer, boat: Boat) -> None:
    tool = boat(releases.publish("boat", script()))
    box(tmp_path, tool).ensure()
    program = box(tmp_path, tool).path("boat")
    times = program.stat()
    program.write_bytes(script().replace(b"exit 0", b"exit 1"))
    os.utime(program, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert [status.state for status in box(tmp_path, tool).status()] == ["broken"]


@pytest.mark.parametrize(("version", "state"), [("1.2.3", "ok"), ("1.2.4", "broken")])
def test_a_program_put_there_by_hand_counts_when_it_is_the_pinned_one(
    tmp_path: Path, boat: Boat, version: str, state: str
) -> None:
    program = tmp_path / "tools/boat/1.2.3/boat"
    program.parent.mkdir(parents=True)
    program.write_bytes(script(version))
    program.chmod(0o755)
    assert [status.state for status in box(tmp_path, boat()).status()] == [state]


def test_an_unknown_name_says_the_known_ones(tmp_path: Path, boat: Boat) -> None:
    with pytest.raises(MissingTool, match=r"'ship'.*boat"):
        box(tmp_path, boat()).path("ship")


def test_no_source_at_all_is_one_clear_error(tmp_path: Path, boat: Boat) -> None:
    with pytest.raises(MissingTool, match=r"boat 1\.2\.3: There is no other source"):
        box(tmp_path, boat()).ensure()


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, boat: Boat) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Permanent, match=r"cannot be written.*BOATYARD_CACHE"):
        box(tmp_path / "file", boat()).ensure()


def test_prerequisites_name_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = {row.name: row for row in Toolbox(tmp_path / "cache", search="").prerequisites(tmp_path / "file/home")}
    assert {"python", "git", "kubectl", "go", "disk space", "chromium", "postgresql"} <= set(found)
    assert found["python"].state == "ok"
    assert found["tool cache"].state == "ok"
    assert found["state folder"].state == "broken"
    assert "BOATYARD_HOME" in found["state folder"].advice
    assert found["kubectl"].state == "missing"
    assert "kube-apiserver" in found["go"].note
    assert all(row.advice for row in found.values() if row.state != "ok")


def module(cache: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    env = {"PATH": "", "BOATYARD_CACHE": str(cache), "HOME": str(cache)}
    command = [sys.executable, "-m", "boatyard.tools", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_module_tells_by_exit_code_that_tools_are_missing(tmp_path: Path) -> None:
    done = module(tmp_path, "status")
    assert done.returncode == 9
    assert "kube-apiserver" in done.stdout
    assert "missing" in done.stdout


@pytest.mark.parametrize(("arguments", "code"), [(["ensure", "ship"], 9), (["float"], 2), ([], 2)])
def test_the_module_refuses_nonsense_in_one_line(tmp_path: Path, arguments: list[str], code: int) -> None:
    done = module(tmp_path, *arguments)
    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1)
