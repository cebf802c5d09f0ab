"""How our tasks are run, said once: only temporary errors are retried, nothing is cached, nothing is persisted by default."""

from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from boatyard.errors import Temporary


def only_temporary(task: "Task[..., object]", run: TaskRun, state: State[object]) -> bool:
    """Prefect's retry condition: nothing is tried again but what another try can mend."""
    return isinstance(state.data, Temporary)


RETRIED: dict[str, Any] = {
    "retries": 4,
    "retry_delay_seconds": [2, 5, 15, 30],
    "retry_condition_fn": only_temporary,
    "cache_policy": NO_CACHE,
    "persist_result": False,
}
"""Every step observes before it acts, so that trying again is safe; deadlines end what never gets better."""
