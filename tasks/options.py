"""How our tasks are run, said once: only temporary errors are retried, nothing is cached or persisted."""

from collections.abc import Sequence
from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture, wait
from prefect.logging import get_run_logger
from prefect.tasks import Task

from boatyard.drivers.stopping import signalled, stop_all
from boatyard.errors import BoatyardError, Permanent, Temporary


def only_temporary(task: "Task[..., object]", run: TaskRun, state: State[object]) -> bool:
    """Prefect's retry condition: nothing is tried again but what another try can mend. Asked where a try is left."""
    if not isinstance(state.data, Temporary):
        return False
    delay = DELAYS[min(run.run_count, len(DELAYS)) - 1]
    get_run_logger().warning("%s: %s Trying again in %g s.", run.name, state.data, delay)
    return True


DELAYS = (2.0, 5.0, 15.0, 30.0)
"""Seconds before each further try of what failed for a while."""

RETRIED: dict[str, Any] = {
    "retries": len(DELAYS),
    "retry_delay_seconds": list(DELAYS),
    "retry_condition_fn": only_temporary,
    "cache_policy": NO_CACHE,
    "persist_result": False,
}
"""Every step observes before it acts, so that trying again is safe; deadlines end what never gets better."""

ONCE: dict[str, Any] = RETRIED | {"retries": 0}
"""For tasks made of flows, whose own steps are retried already."""


def raise_all(futures: "Sequence[PrefectFuture[Any]]") -> None:
    """Wait for all, then raise one error that names every failure: one cluster's trouble must not hide another's.

    A signal meanwhile reaches this thread alone: it is passed on to the operations of the others.
    """
    try:
        wait(list(futures))
    except BaseException as error:
        if why := signalled(error):
            stop_all(why)
        raise
    failures: list[BaseException] = []
    for future in futures:
        if future.state.is_failed() or future.state.is_crashed():
            error = future.state.result(raise_on_failure=False)
            failures.append(error if isinstance(error, BaseException) else Permanent(future.state.message or "failed"))
    raise_failures(failures)


def raise_failures(failures: Sequence[BaseException]) -> None:
    """Raise one error that names all of them; none, where there are none."""
    if not failures:
        return
    if len(failures) == 1 or not all(isinstance(error, BoatyardError) for error in failures):
        raise failures[0]
    family = Temporary if all(isinstance(error, Temporary) for error in failures) else Permanent
    raise family(f"{len(failures)} failed: " + " ".join(f"[{at}] {error}" for at, error in enumerate(failures, 1)))
