"""A cluster's processes as the kernel knows them, found without trusting any pid file.

kwokctl starts `clusters/NAME/bin/COMPONENT`, a link to the pinned program, so the first argument says whose it is.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from boatyard.drivers.kwok.state import Layout
from boatyard.errors import Permanent

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok-controller")


@dataclass(frozen=True)
class Proc:
    """A live process. `component`: which part of the cluster it is; empty when it is none."""

    pid: int
    component: str
    command: str


def components(layout: Layout) -> dict[str, list[Proc]]:
    """Component → its live processes (normally one); absent ones are left out."""
    found: dict[str, list[Proc]] = {}
    prefix = f"{layout.folder}/bin/".encode()
    for pid in _pids():
        line = _read(pid, "cmdline")
        if line.startswith(prefix) and _alive(pid):
            component = line.split(b"\0", 1)[0].removeprefix(prefix).decode(errors="replace")
            found.setdefault(component, []).append(Proc(pid, component, component))
    return found


def at_work(layout: Layout) -> list[Proc]:
    """Every process that is the cluster's: its components, and any kwokctl that is changing it. Never this one."""
    found = [proc for procs in components(layout).values() for proc in procs]
    workdir = f"KWOK_WORKDIR={layout.workdir}".encode()
    for pid in _pids():
        arguments = _read(pid, "cmdline").split(b"\0")
        if (
            arguments[0].rpartition(b"/")[2] == b"kwokctl"
            and f"--name={layout.name}".encode() in arguments
            and workdir in _read(pid, "environ").split(b"\0")
            and pid != os.getpid()
            and _alive(pid)
        ):
            found.append(Proc(pid, "", "kwokctl"))
    return found


def inside(folder: Path) -> list[Proc]:
    """Every process that works in a folder; perhaps somebody's shell, so nothing to be killed. Never this one."""
    found = []
    for pid in _pids():
        where = _cwd(pid).removesuffix(" (deleted)")
        if pid != os.getpid() and (where == str(folder) or where.startswith(f"{folder}/")):
            found.append(Proc(pid, "", _read(pid, "comm").decode(errors="replace").strip()))
    return found


def reconcile_pid_files(layout: Layout) -> None:
    """Make kwokctl's pid files tell the truth: it believes a reused pid or a zombie to be its component, and starts a
    component a second time when it was killed before it wrote the file."""
    live = components(layout)
    for component in COMPONENTS:
        file = layout.pid_file(component)
        pids = [proc.pid for proc in live.get(component, [])]
        noted = _noted(file)
        if noted in pids:
            end([pid for pid in pids if pid != noted])
        elif pids:
            end(pids[1:])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(str(pids[0]))
        else:
            file.unlink(missing_ok=True)


def end(pids: Iterable[int], *, patience: float = 10.0) -> None:
    """SIGKILL and wait until the kernel says they are gone. `Permanent` for one that stays."""
    with _handles(pids) as handles:
        for handle in handles:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        _wait_gone(handles, patience)


def wait_gone(pids: Iterable[int], *, patience: float = 10.0) -> None:
    """Wait until processes that were already told to end are gone. `Permanent` for one that stays."""
    with _handles(pids) as handles:
        _wait_gone(handles, patience)


@contextlib.contextmanager
def _handles(pids: Iterable[int]) -> Iterator[dict[int, int]]:
    """Handle → pid. A handle keeps meaning the same process, whatever becomes of its number."""
    handles: dict[int, int] = {}
    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                handles[os.pidfd_open(pid)] = pid
        yield handles
    finally:
        for handle in handles:
            os.close(handle)


def _wait_gone(handles: dict[int, int], patience: float) -> None:
    poll = select.poll()
    waiting = dict(handles)
    for handle in waiting:
        poll.register(handle, select.POLLIN)
    until = time.monotonic() + patience
    while waiting:
        ready = poll.poll(max(0.0, until - time.monotonic()) * 1000)
        if not ready:
            stuck = ", ".join(str(pid) for pid in waiting.values())
            raise Permanent(
                f"process {stuck} does not end, even when killed.",
                hint="It is stuck in the kernel; see its state in /proc.",
            )
        for handle, _ in ready:
            poll.unregister(handle)
            del waiting[handle]


def listeners(pids: Iterable[int]) -> set[tuple[str, int]]:
    """(address, port) of every TCP socket these processes listen on; the address in hexadecimal, as in /proc."""
    inodes = {inode for pid in pids for inode in _socket_inodes(pid)}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, port = fields[1].split(":")
                found.add((address, int(port, 16)))
    return found


def _socket_inodes(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(entry.readlink())
                if target.startswith("socket:["):
                    yield target[8:-1]


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - a thousand Path objects cost too much here


def _read(pid: int, name: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:  # noqa: PTH123 - as above
            return file.read()
    except OSError:
        return b""


def _cwd(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115 - as above
    except OSError:
        return ""


def _alive(pid: int) -> bool:
    """A zombie is dead; only its parent has not yet asked how it died."""
    state = _read(pid, "stat").rpartition(b")")[2].split()
    return bool(state) and state[0] not in (b"Z", b"X")


def _noted(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0
