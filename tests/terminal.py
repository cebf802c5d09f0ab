"""A command in a terminal of its own, which can be closed like a window or an SSH session."""

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self


def _lead() -> None:
    """A login shell's begin: a terminal of its own, and a hang-up that counts, also where the tests run under nohup."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Terminal:
    """The command leads its session, so that the kernel tells it when the terminal goes. A context manager."""

    def __init__(self, argv: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path) -> None:
        self._ours, theirs = os.openpty()
        self._over, self._heard = threading.Event(), bytearray()
        self.process = subprocess.Popen(
            argv,
            env={**env, "TERM": "xterm"},
            cwd=cwd,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_lead,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def said(self) -> str:
        return self._heard.decode(errors="replace")

    def close(self) -> None:
        """It is closed, and as a shell in between would do, the hang-up is passed on once more."""
        self._over.set()
        self._reader.join()
        os.close(self._ours)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGHUP)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._over.is_set():
            self.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(60)
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        while not self._over.is_set():
            ready, _, _ = select.select([self._ours], [], [], 0.1)
            try:
                self._heard += os.read(self._ours, 65536) if ready else b""
            except OSError:  # the command has ended
                return
