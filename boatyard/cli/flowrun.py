"""Running one flow from the terminal: a server for it, its progress on the screen, and where to look when it fails."""

import contextlib
import importlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from boatyard.cli import signals
from boatyard.cli.failure import HUNG_UP, INTERRUPTED, TERMINATED, Stopped
from boatyard.cli.me import who
from boatyard.cli.output import Out
from boatyard.errors import BoatyardError, InvalidSpec, Permanent, Temporary

if TYPE_CHECKING:
    from boatyard.cli.prefect_server.private import ForCommand
    from boatyard.cli.progress import Progress

PATIENCE = 15.0
"""Seconds that an interrupted flow has to end in order; then the process goes, and its programs with it."""


@dataclass
class Ran:
    """How a flow ended. `url`: its page in the UI, None under a private server that is gone with the command."""

    seconds: float = 0.0
    result: Any = None
    run_id: str | None = None
    url: str | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)

    def document(self, cluster: str, operation: str, outcome: str = "done", **more: Any) -> dict[str, Any]:
        """The run for programs."""
        return {
            "cluster": cluster,
            "operation": operation,
            "outcome": outcome,
            "seconds": round(self.seconds, 3),
            "flow_run": self.run_id,
            "url": self.url,
            "steps": self.steps,
            **more,
        }


@contextmanager
def flows(out: Out, *, stages: bool = False) -> "Iterator[Session]":
    """A server, and what the flows called inside need; Ctrl-C, SIGTERM and a closed terminal end them in order.

    stages: tell when each subflow begins and ends.
    """
    os.environ["BOATYARD_WHO"] = who()
    for queue in ("APILogWorker", "EventsWorker"):  # they count on the screen what they still send when we end
        logging.getLogger(queue).setLevel(logging.ERROR)
    from boatyard.cli.progress import progress

    with _signals(), progress(out, stages=stages) as shown:
        from boatyard.cli.prefect_server.private import server_for_command

        with server_for_command(report=shown.note) as server, _without_heartbeat(server):
            yield Session(out, server, shown)


@contextmanager
def _without_heartbeat(server: "ForCommand") -> Iterator[None]:
    """Heartbeats tell a lasting server of dead runs; a private one dies first, and each would cost a second a flow."""
    if not server.private:
        yield
        return
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with temporary_settings(restore_defaults={PREFECT_FLOWS_HEARTBEAT_FREQUENCY}):
        yield


class Session:
    """Calls flows one after another on one server."""

    def __init__(self, out: Out, server: "ForCommand", shown: "Progress") -> None:
        self.out, self.server, self.progress = out, server, shown

    def call(
        self, module: str, name: str, cluster: str, given: Mapping[str, Any], *, hide: tuple[str, ...] = ()
    ) -> Ran:
        """Run `flows.<module>.<name>` with `given`. hide: log texts that the user has seen already."""
        flow = getattr(importlib.import_module(f"flows.{module}"), name)
        from boatyard.cli.approval import ask_here
        from boatyard.cli.hearing import heard

        ask_here(self.out, self.progress, private=self.server.private)
        ran = Ran()
        began = time.monotonic()
        with heard(self.progress, hide) as hearing:
            try:
                ran.result = flow(**given)
            except BaseException as error:  # noqa: BLE001 - raised again, in our words
                self._tell(ran, hearing.run_id)
                raise _ours(error, cluster, ran.url) from None
            finally:
                ran.seconds = time.monotonic() - began
                ran.steps = [step.document() for step in self.progress.steps]
        self._tell(ran, hearing.run_id)
        return ran

    def _tell(self, ran: Ran, run_id: str | None) -> None:
        ran.run_id = run_id
        if run_id and not self.server.private:
            ran.url = f"{self.server.url}/runs/flow-run/{run_id}"


def run_flow(
    out: Out, module: str, name: str, cluster: str, given: Mapping[str, Any], *, operation: str, said: str = ""
) -> Ran:
    """One flow on a server of its own or the running one; prints `said` and the JSON document in the end."""
    with flows(out) as session:
        ran = session.call(module, name, cluster, given)
    out.emit(ran.document(cluster, operation))
    if said and not out.json:
        out.say(f"{said} {ran.seconds:.1f} s." + (f" {ran.url}" if ran.url else ""))
    return ran


def known(name: str) -> None:
    """Refuse a name that the store does not have, or a cluster that is held, before seconds go into starting a server.

    The flow takes the lease, and has the last word.
    """
    from boatyard.cli.looking import registered
    from boatyard.settings import Settings
    from boatyard.store import reader
    from boatyard.store.process import is_dead
    from boatyard.store.records import LeaseHeld

    with reader(Settings.load().store_url) as store:
        registered(name, store)
        lease = store.leases.current(name)
    if lease is not None and not is_dead(lease.machine, lease.pid, lease.started):
        raise LeaseHeld(lease)


def _ours(error: BaseException, cluster: str, url: str | None) -> BaseException:
    """The error to end with: ours as it is, with where to look; Prefect's own in our words."""
    if isinstance(error, Stopped | KeyboardInterrupt | SystemExit):
        return error
    found = error if isinstance(error, BoatyardError) else _translated(error)
    if isinstance(found, BoatyardError):
        places = [url] if url else []
        found.add_note(f"See `boatyard logs {cluster}`" + "".join(f" and {place}" for place in places) + ".")
    return found


def _translated(error: BaseException) -> BaseException:
    from prefect import exceptions

    if isinstance(
        error, exceptions.ParameterTypeError | exceptions.ParameterBindError | exceptions.SignatureMismatchError
    ):
        return InvalidSpec([" ".join(str(error).split())])
    if isinstance(error, exceptions.TerminationSignal):
        return Stopped(TERMINATED)
    if type(error).__module__.startswith(("httpx", "httpcore")):
        return Temporary(
            f"the Prefect server stopped answering ({type(error).__name__}).", hint="Run the command again."
        )
    if isinstance(error, exceptions.CrashedRun | exceptions.CancelledRun | exceptions.FailedRun | exceptions.Abort):
        return Permanent(" ".join(str(error).split()) or "the flow ended before it was done.")
    return error


@contextmanager
def _signals() -> Iterator[None]:
    """First signal: end in order, within `PATIENCE`; second: at once. Programs that run.py started die with us."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = threading.Event()

    def stop(number: int) -> None:
        code = {signal.SIGINT: INTERRUPTED, signal.SIGHUP: HUNG_UP}.get(signal.Signals(number), TERMINATED)
        if asked.is_set():
            _leave(code)
        asked.set()
        watchdog = threading.Timer(PATIENCE, _leave, (code,))
        watchdog.daemon = True
        watchdog.start()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise Stopped(code)

    with signals.heard(stop, restored=lambda: not asked.is_set()):
        yield


def _leave(code: int) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write("boatyard: stopped.\n")
        sys.stderr.flush()
    os._exit(code)
