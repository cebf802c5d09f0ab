"""Signals that end a command: heard once, and never where they are ignored."""

import os
import signal
from collections.abc import Iterator

import pytest

from boatyard.cli import signals

EVERY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in EVERY}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", EVERY, ids=str)
def test_each_is_heard_for_the_block_only(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "forget_terminal", lambda: None)
    mine = lambda *_: None  # noqa: E731
    signal.signal(number, mine)
    heard: list[int] = []
    with signals.heard(heard.append):
        os.kill(os.getpid(), number)
    assert heard == [number]
    assert signal.getsignal(number) is mine


def test_under_nohup_a_closed_terminal_ends_nothing() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    heard: list[int] = []
    with signals.heard(heard.append):
        os.kill(os.getpid(), signal.SIGHUP)
    assert heard == []


def test_what_is_said_to_a_closed_terminal_is_dropped_and_a_file_kept(tmp_path) -> None:
    ours, theirs = os.openpty()
    child = os.fork()
    if child == 0:
        try:
            file = os.open(tmp_path / "kept", os.O_WRONLY | os.O_CREAT)
            os.dup2(theirs, 1)
            os.dup2(file, 2)
            os.close(ours)
            signals.forget_terminal()
            os.write(1, b"to nobody")
            os.write(2, b"to the file")
            os._exit(0)
        finally:
            os._exit(1)
    os.close(ours)
    os.close(theirs)
    assert os.waitpid(child, 0)[1] == 0
    assert (tmp_path / "kept").read_text() == "to the file"
