"""Start a Prefect server child and know when it is ready; ask a server for its health."""

import os
import select
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from boatyard import run
from boatyard.cli.prefect_server.child import PORT_TAKEN
from boatyard.cli.prefect_server.place import HOST
from boatyard.errors import DeadlineExceeded, Permanent, Temporary

STOP_GRACE = 10.0


@dataclass(frozen=True)
class Server:
    """A running server child. `url` is what a browser opens, `api` what a client calls."""

    process: run.Process
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def api(self) -> str:
        return f"{self.url}/api"

    def stop(self, grace: float = STOP_GRACE) -> None:
        """End it; what runs does not lose what it already reported."""
        self.process.stop(grace)


class Starting:
    """A server child on its way up; `wait` for it, doing something useful meanwhile."""

    def __init__(self, process: run.Process, pipe: int, place: Path) -> None:
        self.process, self._pipe, self._fifo = process, pipe, place

    def wait(self, timeout: float = 90.0) -> Server:
        """The ready server. Raises `Permanent` when it ended instead, `DeadlineExceeded` after `timeout` seconds."""
        try:
            return Server(self.process, self._port(time.monotonic() + timeout))
        except BaseException:
            self.process.kill()
            raise
        finally:
            self._close()

    def _port(self, end: float) -> int:
        while (left := end - time.monotonic()) > 0:
            with _exit_descriptor(self.process.pid) as gone:
                ready, _, _ = select.select([self._pipe, *gone], [], [], left if gone else min(left, 0.2))
            if self._pipe in ready and (said := os.read(self._pipe, 64)):
                return int(said)
            if (code := self.process.poll()) is not None:
                raise self._failure(code)
        raise DeadlineExceeded(f"The Prefect server was not ready in time; see {self.process.log}.")

    def _failure(self, code: int) -> Exception:
        said = self.process.log.read_text(errors="replace").strip().splitlines()[-3:]
        if code == PORT_TAKEN:
            where = said[-1] if said else "its port"
            return Permanent(f"Prefect's server cannot listen on {where}.", hint="Give another one with --port.")
        return Permanent(
            f"The Prefect server ended with {code} while starting; see {self.process.log}: {' '.join(said)}"
        )

    def _close(self) -> None:
        os.close(self._pipe)
        self._fifo.unlink(missing_ok=True)
        self._fifo.parent.rmdir()


@contextmanager
def _exit_descriptor(pid: int) -> Iterator[list[int]]:
    """A descriptor that is readable when the process has ended, where the system has such a thing."""
    if not hasattr(os, "pidfd_open"):
        yield []
        return
    descriptor = os.pidfd_open(pid)
    try:
        yield [descriptor]
    finally:
        os.close(descriptor)


def begin(env: Mapping[str, str], log: Path) -> Starting:
    """Start the server child, with `env` from place.server_env; returns at once."""
    fifo = Path(tempfile.mkdtemp(prefix="boatyard-")) / "ready"
    os.mkfifo(fifo, 0o600)
    pipe = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    argv = [sys.executable, "-m", "boatyard.cli.prefect_server.child"]
    process = run.start(argv, log=log, env={**env, "BOATYARD_PREFECT_READY": str(fifo)})
    return Starting(process, pipe, fifo)


def healthy(api: str, auth: str | None, timeout: float = 10.0) -> bool:
    """Whether a server answers there that it is ready, and takes our password; a refused connection says no at once."""
    try:
        return ask(api, "GET", "/ready", auth, timeout=timeout) is not None
    except (Temporary, Permanent):
        return False


def ask(api: str, method: str, path: str, auth: str | None, *, body: object = None, timeout: float = 10.0) -> object:
    """One request without Prefect; the decoded JSON. Raises `Temporary` when unreachable or busy, else `Permanent`."""
    import urllib3

    headers = urllib3.make_headers(basic_auth=auth) if auth else None
    try:
        answer = urllib3.request(method, api + path, json=body, headers=headers, timeout=timeout, retries=False)
    except urllib3.exceptions.HTTPError as error:
        raise Temporary(f"The Prefect server at {api} does not answer: {error}.") from error
    if answer.status == 429 or answer.status >= 500:
        raise Temporary(f"The Prefect server at {api} is busy ({answer.status}).")
    if answer.status >= 400:
        raise Permanent(f"The Prefect server refused {method} {path}: {answer.status} {answer.data[:300].decode()}")
    return answer.json() if answer.data else None
