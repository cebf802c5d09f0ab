"""Operations that a signal ends: Ctrl-C, SIGTERM, a closed terminal. It comes to one thread; they may be in others."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from boatyard.errors import BoatyardError

if TYPE_CHECKING:
    from boatyard.drivers.operation import Operation

STOP = "stop"
"""The journal's word for an operation that a signal ended."""

_guard = threading.Lock()
_held: "list[Operation]" = []


def signalled(error: BaseException) -> str:
    """Which signal this is, as one clause; "" for what is none, such as a flow that is suspended.

    Ours and Prefect's exceptions for signals have the number as their `signal`.
    """
    if isinstance(error, KeyboardInterrupt):
        return "Ctrl-C"
    number = getattr(error, "signal", None)
    if isinstance(error, Exception) or number is None:
        return ""
    name = signal.Signals(number).name
    return f"its terminal was closed ({name})" if number == signal.SIGHUP else name


@contextmanager
def to_its_end(held: "Operation") -> Iterator[None]:
    """The operation ends with the block; a signal that ends it gets a line in the journal, whatever ran just then."""
    with _guard:
        _held.append(held)
    try:
        yield
    except BaseException as error:
        if why := signalled(error):
            held.end(why)
            with suppress(BoatyardError):  # the lease may be lost, or the store away
                held.note(STOP, held.cluster.name, why)
        raise
    finally:
        held.end()
        with _guard:
            _held[:] = [each for each in _held if each is not held]


def stop_all(why: str) -> None:
    """Stop every operation of this process; each ends in its own thread."""
    with _guard:
        those = list(_held)
    for each in those:
        each.stopped.set(why)
