"""The signals that end a command: Ctrl-C, SIGTERM, and SIGHUP, by which a terminal says that it was closed."""

import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def heard(stop: Callable[[int], None], *, restored: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """While the block runs, `stop` is called with each of them, in the main thread; then all is as before, if
    `restored()`.

    A SIGHUP that is ignored, as under nohup, stays ignored. One that comes after another signal is none: a shell passes
    it on when its terminal goes, and the kernel sends one more. What would still be said to a terminal that has gone
    is dropped.
    """
    heard_of: list[int] = []

    def take(number: int, frame: object) -> None:
        if number == signal.SIGHUP:
            forget_terminal()
            if heard_of:
                return
        heard_of.append(number)
        stop(number)

    heeded = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        heeded.append(signal.SIGHUP)
    before = {number: signal.signal(number, take) for number in heeded}
    try:
        yield
    finally:
        if restored():
            for number, handler in before.items():
                signal.signal(number, handler)


def forget_terminal() -> None:
    """Input and output that were a terminal's are nothing's: each further line would be an error in the middle of the
    way out. By the kind of file alone, since one that is gone is no terminal any more."""
    with suppress(OSError):
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            with suppress(OSError):
                if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                    os.dup2(nothing, descriptor)
        os.close(nothing)
