"""The process's yard (store, tools, clock), opened once, and the operation that the running flow holds."""

import functools
import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar

from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from boatyard.clock import Clock, Stop, SystemClock
from boatyard.drivers.operation import Operation, Yard, operating
from boatyard.drivers.stopping import to_its_end
from boatyard.errors import NotFound
from boatyard.settings import Settings
from boatyard.spec.models import Cluster
from boatyard.store import Store
from boatyard.tools import Toolbox
from tasks import logs
from tasks.cancels import watched

MAINTENANCE, CLEAN_UP = "maintenance", "clean-up"
SCHEDULED = frozenset({MAINTENANCE, CLEAN_UP})
"""Operations that nobody asked for: a wake by schedule is no sign that the cluster is used."""

_current: ContextVar[Operation] = ContextVar("operation")


@functools.cache
def _yard(settings: Settings, clock: Clock) -> Yard:
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Yard(settings, Store.open(settings.store_url, clock), Toolbox(settings.cache), clock)


_clock: Clock = SystemClock()


def use_clock(clock: Clock) -> None:
    """Let every flow of this process live by `clock`."""
    global _clock
    _clock = clock


def yard() -> Yard:
    """Store, tools and clock of this process."""
    logs.plain_errors()
    return _yard(Settings.load(), _clock)


def who() -> str:
    """The person or schedule behind the running flow, for the journal and for whoever meets the lease."""
    if name := os.environ.get("BOATYARD_WHO"):
        return name
    return flow_run.get_parameters().get("who") or (flow_run.name and f"flow run {flow_run.name}") or getpass.getuser()


def operation() -> Operation:
    """The operation of the flow that runs here."""
    return _current.get()


@contextmanager
def operate(cluster: Cluster | str, name: str, *, wait: float = 0.0) -> Iterator[Operation]:
    """Hold the lease of a cluster, new or known by name; flows inside a flow share the outer one's.

    wait: seconds to wait for another operation to end; 0 refuses at once, naming it.
    """
    here = yard()
    target = cluster if isinstance(cluster, str) else cluster.name
    outer = _current.get(None)
    if outer is not None and outer.cluster.name == target:
        with nullcontext() if isinstance(cluster, str) else outer.wanting(cluster):
            yield outer
        return
    first = here.registered(target) if isinstance(cluster, str) else cluster
    with _held(first, name, wait) as held:
        if isinstance(cluster, str):
            held.cluster = here.registered(target)
        with nullcontext() if isinstance(cluster, str) else held.wanting(cluster):
            yield held


@contextmanager
def reserve(cluster: Cluster, name: str, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lease of a cluster that may not be there, and change nothing yet; flows inside share the lease."""
    outer = _current.get(None)
    with nullcontext() if outer is not None and outer.cluster.name == cluster.name else _held(cluster, name, wait):
        yield


@contextmanager
def operate_if_known(cluster: str, name: str, *, wait: float = 0.0) -> Iterator[Operation | None]:
    """As `operate`, but None where nobody knows the cluster (any more); also then nobody else works on it meanwhile."""
    here, run, stopped = yard(), str(flow_run.id), Stop()
    with here.store.leases.hold(cluster, who(), name, run_id=run, wait=wait, lost=stopped.set) as lease:
        try:
            known = here.registered(cluster)
        except NotFound:
            yield None
            return
        held = Operation(here, known, name, who(), run, lease, get_run_logger().info, stopped)
        with to_its_end(held), _running(held):
            yield held


@contextmanager
def _held(cluster: Cluster, name: str, wait: float) -> Iterator[Operation]:
    """Take the lease in the name of the running flow; the operation is then that of every flow inside."""
    report = get_run_logger().info
    with (
        operating(yard(), cluster, name, who=who(), run_id=str(flow_run.id), wait=wait, report=report) as held,
        _running(held),
    ):
        yield held


@contextmanager
def _running(held: Operation) -> Iterator[Operation]:
    token = _current.set(held)
    try:
        with watched(held):
            yield held
    finally:
        _current.reset(token)
