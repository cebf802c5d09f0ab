"""A program that has everything imported and forks a process for each flow run it is asked for, one JSON line each.

{"do": "start", "home": …, "flow": "flows.scale:scale_cluster", "arguments": {…}, "out": FOLDER} → {"pid": …}
{"do": "wait", "pid": …} → {"status": …}   (negative: the signal that ended it)

Nothing of the product is changed but that some of its methods count as moments: each is written to OUT/moments.
`kill_at` N: the process kills itself with SIGKILL at the N-th; `stop_at` NAME: the thread that comes to the first of
that name waits there until somebody writes to OUT/go. OUT/outcome tells how a run ended that was not killed, OUT/log
what it said. `limit` makes time limits of steps that many seconds and retries quick, for tests in which nothing gets
better by waiting. `run` makes the run one that the server knows before, as a deployed one: "" a new one, whose id goes
to OUT/run; an id makes it a further try of that run, as `boatyard up` begins one after a kill. `requests` makes moments
of what changes something on Prefect's server, too.
"""

import contextlib
import functools
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import prefect.main  # what costs two seconds is paid once
import prefect.task_engine  # noqa: F401
from prefect.client.base import PrefectHttpxAsyncClient, PrefectHttpxSyncClient
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow
from prefect.states import AwaitingRetry, Pending

import flows.apply
import flows.cleanup_idle
import flows.ephemeral
import flows.lifecycle
import flows.maintenance  # noqa: F401
from boatyard.cli.prefect_server import client, private
from boatyard.drivers import execute
from boatyard.drivers.kwok.control_plane import ControlPlane
from boatyard.drivers.operation import Operation
from boatyard.errors import BoatyardError
from boatyard.sandbox.rehearsal.rehearse import Rehearsal
from boatyard.sandbox.rehearsal.twin import Twin
from boatyard.spec.models import App, Cluster
from boatyard.store.activity import ActivityLog
from boatyard.store.claims import Claims
from boatyard.store.clusters import Clusters
from boatyard.store.conditions import Conditions
from boatyard.store.leases import Leases
from boatyard.store.rehearsals import Rehearsals
from boatyard.store.rollout import Rollout
from tasks import logs, steps


class Moments:
    """Counts moments across threads, and dies at one of them."""

    def __init__(self, file: Path, kill_at: int | None, stop_at: str | None) -> None:
        self._folder = file.parent
        os.mkfifo(self._folder / "go")
        self._out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._kill_at, self._stop_at = kill_at, stop_at
        self._count = 0
        self._lock = threading.Lock()

    def come(self, label: str) -> None:
        with self._lock:
            self._count += 1
            os.write(self._out, f"{label}\n".encode())
            if self._count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            stops = label == self._stop_at
            if stops:
                self._stop_at = None
        if stops:
            self._wait_to_go_on()

    def _wait_to_go_on(self) -> None:
        """Only this thread stands still: one stopped by a signal might hold the database's lock in another."""
        (self._folder / "stopped").touch()
        with (self._folder / "go").open() as sign:
            sign.read()

    def wrap(
        self, owner: type, name: str, label: Callable[..., str], *, before: bool = False, after: bool = False
    ) -> None:
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def outer(*arguments: Any, **named: Any) -> Any:
            what = label(*arguments)
            if before:
                self.come(f"before {what}")
            result = inner(*arguments, **named)
            if after:
                self.come(f"after {what}")
            return result

        setattr(owner, name, outer)

    def rehearsals(self) -> None:
        """Around every part of a rehearsal, and before every change on its twin."""
        for part in ("read", "build", "fill", "step", "settle"):
            self.wrap(Rehearsal, part, lambda *_, part=part: f"rehearsal's {part}", before=True, after=True)
        self.wrap(Twin, "remove", lambda *_: "removing the twin", before=True, after=True)
        self.wrap(Rehearsals, "add", lambda *_: "keeping the report", before=True, after=True)
        inner = Twin.__init__

        def begin(twin: Twin, yard: Any, cluster: str, report: Any, fence: Callable[[], None]) -> None:
            def counted() -> None:
                self.come("before change on the twin")
                fence()

            inner(twin, yard, cluster, report, counted)

        Twin.__init__ = begin  # type: ignore[method-assign]

    def requests(self) -> None:
        """Before every request that changes something on Prefect's server, but for the lines of the log."""
        for kind in (PrefectHttpxAsyncClient, PrefectHttpxSyncClient):
            inner = kind.send

            def send(own: Any, request: Any, *rest: Any, _inner: Any = inner, **named: Any) -> Any:
                if request.method != "GET" and not request.url.path.endswith("/logs/"):
                    self.come(f"before {request.method} {request.url.path.rpartition('/api')[2]}")
                return _inner(own, request, *rest, **named)

            kind.send = send  # type: ignore[assignment]

    def everywhere(self) -> None:
        """Around every step, before every change in the world, and after what a flow writes down between steps."""
        self.wrap(
            Operation, "carry_out", lambda _, step, *rest: f"step {step.verb} {step.target}", before=True, after=True
        )
        self.wrap(Operation, "fence", lambda op: f"change in {op.name}", before=True)
        self.wrap(ControlPlane, "stop", lambda *_: "stopping the control plane", before=True, after=True)
        self.wrap(Operation, "change_desired", lambda *_: "what is wanted is written", after=True)
        self.wrap(Operation, "observe", lambda *_: "looking", after=True)
        self.wrap(Clusters, "forget", lambda *_: "forgetting", before=True, after=True)
        self.wrap(Claims, "open", lambda *_: "hearing of an opening", after=True)
        self.wrap(Claims, "close", lambda *_: "hearing of a closing", after=True)
        self.wrap(Claims, "settle", lambda *_: "settling the claim", before=True, after=True)
        self.wrap(ActivityLog, "hibernated", lambda *_: "noting that it fell idle", before=True, after=True)
        self.wrap(Conditions, "set", lambda *_: "writing down a condition", before=True, after=True)
        self.wrap(Rollout, "answer", lambda *_: "writing an answer down", before=True, after=True)
        self.wrap(Leases, "acquire", lambda *_: "taking the lease", after=True)
        self.wrap(Leases, "release", lambda *_: "giving the lease back", before=True, after=True)
        self.rehearsals()


def convert(arguments: dict[str, Any]) -> dict[str, Any]:
    made = dict(arguments)
    for name, make in (
        ("cluster", Cluster.model_validate),
        ("source", Path),
        ("to_file", Path),
        ("occurred", datetime.fromisoformat),
    ):
        if name in made:
            made["to" if name == "to_file" else name] = make(made.pop(name))
    if "apps" in made:
        made["apps"] = [App.model_validate(app) for app in made["apps"]]
    return made


def families(error: BaseException) -> list[str]:
    return [each.__name__ for each in type(error).__mro__]


def hurry(limit: float) -> None:
    execute.LEAST, execute.SLACK = timedelta(seconds=limit), 1
    steps.carry_out.retry_delay_seconds = [0.2] * 4


def live(order: dict[str, Any], out: Path) -> None:
    """The forked process's whole life."""
    log = os.open(out / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ["BOATYARD_HOME"] = order["home"]
    moments = Moments(out / "moments", order.get("kill_at"), order.get("stop_at"))
    moments.everywhere()
    if order.get("requests"):
        moments.requests()
    if limit := order.get("limit"):
        hurry(limit)
    module, _, name = order["flow"].partition(":")
    outcome: dict[str, Any] = {"error": "", "kinds": [], "trace": ""}
    try:
        flow, arguments = getattr(importlib.import_module(module), name), convert(order["arguments"])
        if order.get("run") is None:
            flow(**arguments)
        else:
            as_deployed(flow, arguments, order["run"], out)
    except BoatyardError as error:
        outcome |= {"error": str(error), "kinds": families(error)}
    except BaseException as error:  # noqa: BLE001 - told to the test
        outcome |= {"error": str(error), "kinds": families(error), "trace": traceback.format_exc()}
    with contextlib.suppress(Exception):
        private.drain()
    (out / "outcome").write_text(json.dumps(outcome))


def as_deployed(flow: Any, arguments: dict[str, Any], run: str, out: Path) -> None:
    """A run that the server knows before its process begins, and that keeps its id when it is tried again."""
    with get_client(sync_client=True) as client:
        if run:
            client.set_flow_run_state(UUID(run), AwaitingRetry(), force=True)
            kept = client.read_flow_run(UUID(run))
        else:
            kept = client.create_flow_run(flow, parameters=flow.serialize_parameters(arguments), state=Pending())
    (out / "run").write_text(str(kept.id))
    run_flow(flow, flow_run=kept, parameters=arguments)


def start(order: dict[str, Any]) -> int:
    out = Path(order["out"])
    out.mkdir(parents=True, exist_ok=True)
    alone = threading.active_count() == 1
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        if alone:
            live(order, out)
            code = 0
        else:
            raise AssertionError("forked with threads running")
    finally:
        os._exit(code)


def main() -> None:
    logs.plain_errors()
    with client.connected(private.NO_HEARTBEAT):
        serve()


def serve() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "start":
            answer = {"pid": start(order)}
        else:
            _, status = os.waitpid(order["pid"], 0)
            answer = {"status": os.waitstatus_to_exitcode(status)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


main()
