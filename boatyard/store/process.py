"""Which process holds a lease, and whether it still lives. Says "dead" only when that is certain."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """machine: boot and process namespace, empty where that cannot be told; ids mean something only within one.

    started: the kernel's start time, so that a reused process id is not taken for the holder.
    """

    host: str
    machine: str
    pid: int
    started: str

    @classmethod
    def this(cls) -> "Process":
        pid = os.getpid()
        return cls(socket.gethostname(), _machine(), pid, _stat(pid)[1])


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - a link to no file, only its text counts
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, str]:
    """State letter and start time in ticks since boot; two empty strings when the system does not show them."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "", ""
    rest = text.rpartition(")")[2].split()
    return rest[0], rest[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _threads(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208 - only the count is of interest
    except OSError:
        return 0


def is_dead(machine: str, pid: int, started: str) -> bool:
    """True only if the process ran on this very machine and boot, in our process namespace, and is gone."""
    if not machine or machine != _machine():
        return False
    if not _exists(pid):
        return True
    state, since = _stat(pid)
    if state == "Z":
        return _threads(pid) <= 1  # a leader that ended shows as a zombie while its other threads still work
    return bool(since and started and since != started)
