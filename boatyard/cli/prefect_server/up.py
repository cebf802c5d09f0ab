"""`boatyard up`: one process that starts server, deployments and worker, keeps them running, and ends them in order."""

import contextlib
import fcntl
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from boatyard import run
from boatyard.cli import signals
from boatyard.cli.prefect_server import client, logs, private, server
from boatyard.cli.prefect_server.place import Place, auth_string, server_env
from boatyard.errors import BoatyardError, Temporary
from boatyard.settings import Settings

Report = Callable[[str], None]
_LOOK_EVERY = 5.0  # seconds between looks for runs that were killed
_AGAIN_AFTER = 5.0  # seconds until a worker is tried again that could not start because the server was busy


@dataclass(frozen=True)
class Options:
    """port: 0 lets the system choose. auth: ask for a password. limit: flow runs side by side. drain: seconds that
    running flows have to end after the first Ctrl-C. prepared: what to deploy instead of prefect.yaml's."""

    port: int = 4200
    auth: bool = True
    limit: int = 8
    drain: float = 60.0
    prepared: Callable[[], object] | None = None


@dataclass
class Backoff:
    """Seconds until a child is started again: at once, then 1, 2, 4 … 30; from anew after `calm` seconds of life."""

    calm: float = 120.0
    failures: int = 0
    began: float = field(default_factory=time.monotonic)

    def next(self, now: float) -> float:
        self.failures = 0 if now - self.began > self.calm else self.failures + 1
        return 0.0 if self.failures <= 1 else min(30.0, 2.0 ** (self.failures - 2))


class _Stop(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal; a BaseException so that nothing on the way swallows it."""


def up(settings: Settings, options: Options, report: Report) -> int:
    """Run until Ctrl-C, SIGTERM or the end of its terminal; the exit code.

    If this home is already up, say where and return 0.
    """
    place = Place.of(settings).make()
    with _only_one(place) as mine:
        if not mine:
            running = client.read(place)
            where = (
                f"at {running.url} (process {running.pid})" if running else "in another process that is just starting"
            )
            report(f"Boatyard is already up {where}.")
            return 0
        return _Supervisor(settings, place, options, report).run()


@contextmanager
def _only_one(place: Place) -> Iterator[bool]:
    """A lock that ends with the process, however it ends; False when another one has it."""
    with place.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


class _Supervisor:
    """Owns the two children; every method runs in the main thread."""

    def __init__(self, settings: Settings, place: Place, options: Options, report: Report) -> None:
        self._settings, self._place, self._options, self._tell = settings, place, options, report
        self._port = options.port
        self._auth = auth_string(place) if options.auth else None
        self._server: server.Server | None = None
        self._worker: run.Process | None = None
        self._server_backoff, self._worker_backoff = Backoff(), Backoff()

    def _report(self, line: str) -> None:
        """A terminal or pipe that is gone stops nobody."""
        with contextlib.suppress(OSError):
            self._tell(line)

    def run(self) -> int:
        with _signals():
            try:
                self._bring_up()
                self._watch()
            except _Stop:
                self._report("Stopping: no new runs start, those in progress may end. Ctrl-C again stops them too.")
            finally:
                self._shut_down()
        return 0

    def _bring_up(self) -> None:
        from boatyard.cli.prefect_server.deploy import Prepared, deploy, prepare

        began = time.monotonic()
        starting = self._begin_server()
        try:
            prepared = (self._options.prepared or prepare)()
            assert isinstance(prepared, Prepared)  # noqa: S101 - the type is imported late
        except BaseException:
            starting.process.kill()
            raise
        self._server = starting.wait()
        self._port = self._server.port
        running = client.write(self._place, self._server.url, auth=self._auth is not None)
        self._variables = client.variables(running, self._place)
        with client.connected(self._variables):
            ids = deploy(prepared, limit=self._options.limit)
        self._report(f"{len(ids)} deployments in place.")
        self._start_worker()
        self._report(f"Boatyard is up after {time.monotonic() - began:.1f} s: {self._server.url}")
        if self._auth:
            self._report(f"The UI asks for a password: it is the line in {self._place.auth}")

    def _begin_server(self) -> server.Starting:
        if not (database := os.environ.get("PREFECT_SERVER_DATABASE_CONNECTION_URL")):
            private.first_database(self._settings, self._place, self._report)
            database = f"sqlite+aiosqlite:///{self._place.database}"
        storage = self._place.folder / "storage"
        env = server_env(self._place, database=database, port=self._port, auth=self._auth, storage=storage)
        return server.begin(env, self._place.log("server"))

    def _start_worker(self) -> None:
        from boatyard.cli.prefect_server.reconcile import reconcile
        from boatyard.cli.prefect_server.worker import start_worker

        with client.connected(self._variables):
            for name in reconcile():
                self._report(f"Run {name!r} lost its process; it is marked as crashed.")
        self._worker = start_worker(self._variables, self._place.log("worker"))
        self._worker_backoff.began = time.monotonic()

    def _watch(self) -> None:
        """Wait for a child's end and start it again; for ever."""
        while True:
            assert self._server is not None  # noqa: S101 - _bring_up
            children = [self._server.process] + ([self._worker] if self._worker else [])
            if wait_for_end(children, _LOOK_EVERY if self._worker else _AGAIN_AFTER):
                self._mend()
            elif self._worker is None:
                self._start_again()
            else:
                self._look_after_runs()

    def _look_after_runs(self) -> None:
        from boatyard.cli.prefect_server.reconcile import look_after

        logs.trim(self._place.log("server").parent)
        with contextlib.suppress(Temporary), client.connected(self._variables):  # a busy server: the next look finds it
            for line in look_after():
                self._report(line)

    def _mend(self) -> None:
        if self._server and (code := self._server.process.poll()) is not None:
            self._mend_server(self._server, code)
        elif self._worker and (code := self._worker.poll()) is not None:
            self._pause("worker", code, self._worker_backoff.next(time.monotonic()), self._place.log("worker"))
            release(self._worker)
            self._worker = None
            self._start_again()

    def _mend_server(self, old: server.Server, code: int) -> None:
        self._pause("Prefect server", code, self._server_backoff.next(time.monotonic()), self._place.log("server"))
        old.process.kill()
        try:
            self._server = self._begin_server().wait()
        except BoatyardError as error:
            self._report(str(error))  # the old one is still the dead child that the next round mends
        else:
            self._server_backoff.began = time.monotonic()
            self._report("The Prefect server is back.")

    def _start_again(self) -> None:
        try:
            self._start_worker()
        except Temporary as error:
            self._report(f"The worker cannot start yet: {error}")
        else:
            self._report("The worker is back.")

    def _pause(self, what: str, code: int, seconds: float, log: object) -> None:
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        after = f" in {seconds:g} s" if seconds else ""
        self._report(f"The {what} ended ({how}); starting it again{after}. Its log: {log}")
        if seconds:
            wait_for_end([], seconds)

    def _shut_down(self) -> None:
        """Worker first, so that its runs can still report; a second signal hurries."""
        try:
            if self._worker:
                self._worker.stop(self._options.drain)
            if self._server:
                self._server.stop()
        except _Stop:
            if self._worker:
                self._worker.kill()
            if self._server:
                self._server.stop(2.0)
        finally:
            self._place.state.unlink(missing_ok=True)
        self._report("Stopped.")


def release(worker: run.Process) -> None:
    """Reap a dead worker but leave its flow runs alone: they are children of their own and still report."""
    worker.wait(0)


def wait_for_end(children: list[run.Process], timeout: float | None = None) -> bool:
    """Block until one of the children has ended (True) or `timeout` seconds have passed (False)."""
    with contextlib.ExitStack() as stack:
        gone = [child for child in children if child.poll() is not None]
        if gone:
            return True
        if children and not hasattr(os, "pidfd_open"):
            return children[0].wait(0.5) is not None or any(child.poll() is not None for child in children)
        descriptors = [os.pidfd_open(child.pid) for child in children]
        for descriptor in descriptors:
            stack.callback(os.close, descriptor)
        ready, _, _ = select.select(descriptors, [], [], timeout)
        return bool(ready)


@contextmanager
def _signals() -> Iterator[None]:
    def stop(number: int) -> None:
        raise _Stop

    with signals.heard(stop):
        yield
