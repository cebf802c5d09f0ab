"""The logs of `boatyard up` stay within bounds while others write into them."""

import os
import stat
from pathlib import Path

from boatyard.cli.prefect_server.logs import trim


def test_a_long_log_begins_anew_and_whoever_writes_goes_on(tmp_path: Path) -> None:
    (tmp_path / "short.log").write_text("short\n")
    writer = os.open(tmp_path / "runs.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for line in (b"first\n" * 20, b"second\n" * 20):
            os.write(writer, line)
            trim(tmp_path, limit=100)
            assert (tmp_path / "runs.log").read_bytes() == b""
            assert (tmp_path / "runs.log.1").read_bytes() == line
        os.write(writer, b"third\n")
    finally:
        os.close(writer)
    trim(tmp_path, limit=100)
    assert (tmp_path / "runs.log").read_text() == "third\n"
    assert (tmp_path / "short.log").read_text() == "short\n"
    assert stat.S_IMODE((tmp_path / "runs.log.1").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.log", "runs.log.1", "short.log"]
