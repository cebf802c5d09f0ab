"""kOps is installed for those who use it, from its release, against a real HTTP server."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from boatyard.errors import MissingTool
from boatyard.tools import Toolbox
from boatyard.tools.catalogue import CATALOGUE, Release, Tool
from boatyard.tools.install import Sources
from tests.unit.tools.conftest import ReleaseServer

VERSION = CATALOGUE["kops"].version
NAME = "kubernetes/kops/releases/download/v" + VERSION + "/kops-linux-amd64"


def kops(version: str = VERSION) -> bytes:
    """A program that says of itself what kOps does; 2 MB, so that it can be cut off."""
    text = f'#!/bin/sh\n[ "$*" = version ] || exit 64\necho "Client version: {version} (git-v{version})"\nexit 0\n'
    return text.encode() + b"#" * 2_000_000


def served_by(releases: ReleaseServer) -> Tool:
    """The catalogue's own entry, its release served from here."""
    tool = CATALOGUE["kops"]

    def here(address: str) -> str:
        return address.replace("https://github.com", releases.url)

    assert tool.release is not None
    release = tool.release.on("linux", "amd64")
    return replace(tool, release=Release(here(release.url), here(release.checksums)))


def toolbox(cache: Path, tool: Tool, search: str = "") -> Toolbox:
    return Toolbox(cache, catalogue={"kops": tool}, search=search, sources=Sources(stall=0.5))


def test_a_good_release_is_installed(tmp_path: Path, releases: ReleaseServer) -> None:
    releases.publish(NAME, kops())
    box = toolbox(tmp_path, served_by(releases))
    box.ensure(["kops"])
    assert box.path("kops").read_bytes() == kops()
    (status,) = box.status()
    assert (status.state, status.version) == ("ok", VERSION)


def test_a_wrong_hash_is_refused(tmp_path: Path, releases: ReleaseServer) -> None:
    releases.publish(NAME, kops(), "0" * 64)
    box = toolbox(tmp_path, served_by(releases))
    with pytest.raises(MissingTool, match=r"has sha256 .* published is 0000.*refused"):
        box.ensure(["kops"])
    with pytest.raises(MissingTool, match="prerequisites FILE --fix"):
        box.path("kops")


def test_another_version_under_its_name_is_refused(tmp_path: Path, releases: ReleaseServer) -> None:
    releases.publish(NAME, kops("1.30.0"))
    with pytest.raises(MissingTool, match=r"calls itself 1\.30\.0"):
        toolbox(tmp_path, served_by(releases)).ensure(["kops"])


@pytest.mark.parametrize("slow", [False, True], ids=["cut off", "stalls"])
def test_a_download_that_is_cut_off_or_slow_goes_on(tmp_path: Path, releases: ReleaseServer, slow: bool) -> None:
    releases.publish(NAME, kops())
    releases.cut = [700_000]
    releases.gate = threading.Event() if slow else None
    box = toolbox(tmp_path, served_by(releases))
    box.ensure(["kops"])
    assert box.path("kops").read_bytes() == kops()
    first, second = releases.gets(NAME)
    assert first == ""
    assert second.startswith("bytes=")


def test_a_server_that_is_gone_is_named(tmp_path: Path, releases: ReleaseServer) -> None:
    with pytest.raises(MissingTool, match=r"kops-linux-amd64\S* answered 404"):
        toolbox(tmp_path, served_by(releases)).ensure(["kops"])


def test_nobody_else_has_to_have_it(tmp_path: Path, releases: ReleaseServer) -> None:
    box = toolbox(tmp_path, served_by(releases))
    box.ensure()
    (status,) = box.status()
    assert (status.state, status.required) == ("missing", False)
    assert "Put it on PATH" in status.advice
    assert releases.seen == []


def test_one_on_path_is_used(tmp_path: Path, releases: ReleaseServer) -> None:
    for folder, version in (("old", "1.35.9"), ("new", "1.37.0")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "kops").write_bytes(kops(version))
        (tmp_path / folder / "kops").chmod(0o755)
    box = toolbox(tmp_path / "cache", served_by(releases), f"{tmp_path / 'old'}:{tmp_path / 'new'}")
    box.ensure(["kops"])
    assert box.path("kops") == tmp_path / "new/kops"
    assert releases.seen == []
