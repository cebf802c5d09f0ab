"""How a child of ours ends: noticed without reaping it, waited for, and brought about for its whole process group.

A child that has ended stays a zombie until `end_group` reaps it, so that its number cannot meanwhile be given to
somebody else, who would then be signalled in its place.
"""

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess


@contextlib.contextmanager
def exit_fd(process: "subprocess.Popen[bytes]") -> Iterator[int | None]:
    """A descriptor that becomes readable when the child ends; None where the system has none."""
    if not hasattr(os, "pidfd_open"):
        yield None
        return
    descriptor = os.pidfd_open(process.pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def exit_code(process: "subprocess.Popen[bytes]") -> int | None:
    """The exit code without reaping: while the child is a zombie its group number cannot be given to somebody else."""
    if process.returncode is not None or not hasattr(os, "waitid"):
        return process.poll()
    try:
        state = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return process.poll()
    if state is None:
        return None
    return state.si_status if state.si_code == os.CLD_EXITED else -state.si_status


def wait(process: "subprocess.Popen[bytes]", end: float) -> None:
    """Return when the child has ended, or at `end` (monotonic seconds)."""
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        if exit_code(process) is not None:
            return
        if (descriptor := stack.enter_context(exit_fd(process))) is not None:
            selector.register(descriptor, selectors.EVENT_READ)
        while exit_code(process) is None and (left := end - time.monotonic()) > 0:
            selector.select(left if descriptor is not None else min(left, 0.05))


def end_group(process: "subprocess.Popen[bytes]", grace: float) -> int:
    """SIGTERM to the child's whole group, after `grace` seconds at most SIGKILL to what is left of it; grace 0: SIGKILL
    at once. Reaps the child and returns its exit code; may be called again."""
    if process.returncode is None:
        for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 0.0)):
            if number == signal.SIGKILL or patience:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, number)
                wait(process, time.monotonic() + patience)
    return process.wait()
