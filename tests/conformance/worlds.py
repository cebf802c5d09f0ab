"""What has to run beside a distribution under test: nothing, or an emulated AWS account with a stand-in for kOps."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from boatyard.settings import Settings
from boatyard.tools.toolbox import Toolbox

CHANNEL = Path(__file__).parents[1] / "cases/kops/channel/stable.yaml"

World = Callable[[Path], AbstractContextManager[Mapping[str, str]]]


@contextmanager
def this_machine(folder: Path) -> Iterator[Mapping[str, str]]:
    yield {}


@contextmanager
def aws(folder: Path) -> Iterator[Mapping[str, str]]:
    """An AWS account whose clusters live, and a kOps on PATH: the real one with BOATYARD_REAL_KOPS, else the stand-in.

    Tells api_server and channel.
    """
    from boatyard.sandbox.aws import Sandbox
    from tests.standin.kops.install import install

    with (
        Sandbox.start(folder / "sandbox", Toolbox(Settings.load().cache)) as sandbox,
        pytest.MonkeyPatch.context() as to,
    ):
        for name, value in sandbox.environment.items():
            to.setenv(name, value)
        to.delenv("AWS_PROFILE", raising=False)
        to.delenv("AWS_SESSION_TOKEN", raising=False)
        if not os.environ.get("BOATYARD_REAL_KOPS"):
            install(folder / "bin")
            to.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
        yield {"api_server": sandbox.api_server, "channel": f"file://{CHANNEL}"}


WORLDS: Mapping[str, World] = {"this machine": this_machine, "aws": aws}
