"""Two commands at the same moment do not take each other's private server for one that was left."""

import tempfile
import threading
from pathlib import Path

import pytest

from boatyard.cli.prefect_server import private


def test_another_commands_sweep_leaves_a_folder_alone_that_is_being_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, make = threading.Thread(target=private.sweep, args=(tmp_path,)), tempfile.mkdtemp

    def made_while_another_sweeps(**where: object) -> str:
        folder = make(**where)  # type: ignore[call-overload]
        other.start()
        other.join(0.2)  # time enough for a sweep that waits for nobody
        return str(folder)

    (left := tmp_path / "private-1-left").mkdir()
    monkeypatch.setattr(tempfile, "mkdtemp", made_while_another_sweeps)
    with private.own_folder(tmp_path) as folder:
        other.join()
        assert folder.is_dir()
        assert not left.exists()
    assert not folder.exists()
