"""Official releases: verified, resumed, refused; against a real HTTP server."""

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from boatyard.errors import MissingTool, Permanent, Temporary
from boatyard.tools import Toolbox
from boatyard.tools.catalogue import Release, Tool
from boatyard.tools.fetch import Fetcher
from boatyard.tools.install import Sources
from tests.unit.tools.conftest import ReleaseServer, script

Boat = Callable[..., Tool]


def toolbox(cache: Path, tool: Tool, lines: list[str] | None = None) -> Toolbox:
    report = (lambda line: None) if lines is None else lines.append
    return Toolbox(cache, report, catalogue={tool.name: tool}, search="", sources=Sources(stall=0.5))


def nothing_half_done(cache: Path) -> bool:
    return not list((cache / "tools").glob(".tmp-*")) and not list((cache / "tools").rglob("*.part"))


def test_a_good_release_is_installed_once(tmp_path: Path, releases: ReleaseServer, boat: Boat) -> None:
    tool = boat(releases.publish("boat", script()))
    box = toolbox(tmp_path, tool)
    with pytest.raises(MissingTool, match=r"boat 1\.2\.3 is not installed.*doctor --fix"):
        box.path("boat")
    box.ensure(["boat"])
    box.ensure(["boat"])
    toolbox(tmp_path, tool).ensure(["boat"])
    assert box.path("boat") == tmp_path / "tools/boat/1.2.3/boat"
    assert releases.gets("boat") == [""]
    (status,) = box.status()
    assert (status.state, status.version, status.source) == ("ok", "1.2.3", f"cache, from {releases.url}/boat")
    assert nothing_half_done(tmp_path)


@pytest.mark.parametrize(
    ("content", "sha256", "said"),
    [
        (script(), "0" * 64, "has sha256 .* published is 0000.*refused"),
        (script(), "not a sum", "names no sha256"),
        (script("1.2.4"), None, r"calls itself 1\.2\.4, 1\.2\.3 was expected: refused"),
        (b"\x7fELF nonsense", None, "does not run here"),
    ],
    ids=["wrong hash", "no hash", "wrong version", "broken program"],
)
def test_what_is_not_as_published_is_refused_and_named(
    tmp_path: Path, releases: ReleaseServer, boat: Boat, content: bytes, sha256: str | None, said: str
) -> None:
    box = toolbox(tmp_path, boat(releases.publish("boat", content, sha256)))
    with pytest.raises(MissingTool, match=said) as caught:
        box.ensure(["boat"])
    assert releases.url in str(caught.value)
    with pytest.raises(MissingTool):
        box.path("boat")
    assert nothing_half_done(tmp_path)


@pytest.mark.parametrize("ranges", [True, False], ids=["server resumes", "server starts again"])
def test_a_download_that_breaks_off_goes_on(tmp_path: Path, releases: ReleaseServer, boat: Boat, ranges: bool) -> None:
    releases.cut, releases.ranges = [700_000, 700_000], ranges
    toolbox(tmp_path, boat(releases.publish("boat", script()))).ensure(["boat"])
    begun = [int(range_.removeprefix("bytes=").rstrip("-") or 0) for range_ in releases.gets("boat")]
    assert len(begun) == 3
    assert 0 == begun[0] < begun[1]
    assert not ranges or begun[1] < begun[2]


def test_a_stalled_download_goes_on(tmp_path: Path, releases: ReleaseServer, boat: Boat) -> None:
    import threading

    releases.cut, releases.gate = [1_000_000], threading.Event()
    tool = boat(releases.publish("boat", script()))
    toolbox(tmp_path, tool).ensure(["boat"])
    first, second = releases.gets("boat")
    assert first == ""
    assert second.startswith("bytes=")


def test_a_part_of_another_file_is_noticed(tmp_path: Path, releases: ReleaseServer, boat: Boat) -> None:
    release = releases.publish("boat", script())
    part = tmp_path / "tools/downloads" / f"{hashlib.sha256(script()).hexdigest()}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"y" * 1_000_000)
    toolbox(tmp_path, boat(release)).ensure(["boat"])
    assert len(releases.gets("boat")) == 2


def test_a_file_that_is_gone_is_named(tmp_path: Path, releases: ReleaseServer, boat: Boat) -> None:
    release = releases.publish("boat", script())
    del releases.files["/boat"]
    with pytest.raises(MissingTool, match=f"{releases.url}/boat answered 404"):
        toolbox(tmp_path, boat(release)).ensure(["boat"])


def packed(kind: str) -> bytes:
    """The program as boat-1/bin/boat in an archive."""
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("boat-1/bin/boat", script())
    else:
        with tarfile.open(fileobj=file, mode="w:gz") as tar:
            info = tarfile.TarInfo("boat-1/bin/boat")
            info.size = len(script())
            tar.addfile(info, io.BytesIO(script()))
    return file.getvalue()


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_program_inside_an_archive(tmp_path: Path, releases: ReleaseServer, boat: Boat, kind: str) -> None:
    content = packed(kind)
    releases.files |= {
        f"/b.{kind}": content,
        "/SUMS": f"{'1' * 64}  a\n{hashlib.sha256(content).hexdigest()} *b.{kind}".encode(),
    }
    good = Release(f"{releases.url}/b.{kind}", f"{releases.url}/SUMS", "boat-1/bin/boat")
    toolbox(tmp_path / "good", boat(good)).ensure()
    bad = Release(good.url, good.checksums, "elsewhere/boat")
    with pytest.raises(MissingTool, match="holds no program elsewhere/boat"):
        toolbox(tmp_path / "bad", boat(bad)).ensure()


def test_the_digest_in_a_description_of_a_release(tmp_path: Path, releases: ReleaseServer, boat: Boat) -> None:
    release = releases.publish("boat", script())
    digest = f"sha256:{hashlib.sha256(script()).hexdigest()}"
    assets = [{"name": "other", "digest": None}, {"name": "boat", "digest": digest}]
    releases.files["/tags"] = json.dumps({"assets": assets}).encode()
    toolbox(tmp_path, boat(Release(release.url, f"{releases.url}/tags"))).ensure()
    del assets[1]
    releases.files["/tags"] = json.dumps({"assets": assets}).encode()
    with pytest.raises(Permanent, match="names no sha256"):
        Fetcher(tmp_path, print).fetch("boat", Release(release.url, f"{releases.url}/tags"), tmp_path / "x")


def test_an_unreachable_host_is_not_tried_again(tmp_path: Path, releases: ReleaseServer) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        gone = Release(f"http://127.0.0.1:{port}/boat", f"http://127.0.0.1:{port}/boat.sha256")
        fetcher = Fetcher(tmp_path, print)
        fetcher.probe([gone])
        taken.listen()
        taken.settimeout(0.5)
        with pytest.raises(Temporary, match=f"127.0.0.1:{port} cannot be reached"):
            fetcher.fetch("boat", gone, tmp_path / "x")
        with pytest.raises(TimeoutError):  # nobody knocked although somebody listens now
            taken.accept()
    fetcher.fetch("boat", releases.publish("boat", script()), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == script()
