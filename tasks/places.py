"""Why no worker takes a run: what its work pool and queue say, since the run itself only stays as it was scheduled."""

from collections.abc import Callable
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas import filters
from prefect.client.schemas.objects import FlowRun, StateType, WorkPoolStatus
from prefect.runtime import flow_run

from boatyard.errors import Permanent
from tasks.cancels import runs_around

_HOLDS_A_PLACE = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


class NoPlace(Permanent):
    """A run that is waited for can never start, since whoever waits holds the only place that there is for it."""


def kept_from_starting(client: SyncPrefectClient, run: FlowRun) -> str | None:
    """What keeps a run from its start now, in one clause; None where it has begun, or nothing is known to.

    `NoPlace` where nothing ever will let it.
    """
    if run.state is None or not run.state.is_scheduled() or run.work_pool_name is None:
        return None
    pool = client.read_work_pool(run.work_pool_name)
    name = f"work pool {pool.name}"
    if pool.is_paused:
        return f"{name} is paused"
    if pool.concurrency_limit is not None and (pool.active_slots or 0) >= pool.concurrency_limit:
        more = f"prefect work-pool set-concurrency-limit {pool.name} 2"
        return _full(name, pool.concurrency_limit, more, lambda: _held_by_this_run(client, pool.name))
    if kept := _kept_in_queue(client, run):
        return kept
    if pool.status is not None and pool.status is not WorkPoolStatus.READY:
        return f"no worker of {name} is up"
    return None


def _kept_in_queue(client: SyncPrefectClient, run: FlowRun) -> str | None:
    if run.work_queue_id is None:
        return None
    queue, pool = client.read_work_queue(run.work_queue_id), run.work_pool_name
    name = f"queue {queue.name} of work pool {pool}"
    if queue.is_paused:
        return f"{name} is paused"
    places = queue.concurrency_limit
    if places is None or _taken(client, run, places) < places:
        return None
    more = f"prefect work-queue set-concurrency-limit {queue.name} 2 --pool {pool}"
    return _full(name, places, more, lambda: _held_by_this_run(client, pool, queue.name))


def _taken(client: SyncPrefectClient, run: FlowRun, most: int) -> int:
    """Places of the run's queue that are held, as far as `most`."""
    holding = filters.FlowRunFilter.model_validate({"state": {"type": {"any_": _HOLDS_A_PLACE}}})
    queue = filters.WorkQueueFilter.model_validate({"id": {"any_": [run.work_queue_id]}})
    return len(client.read_flow_runs(flow_run_filter=holding, work_queue_filter=queue, limit=most)) if most else 0


def _full(name: str, places: int, more: str, mine: Callable[[], bool]) -> str:
    """more: the command that gives it a second place. mine: whether this run holds one."""
    if places > 1:
        return f"all {places} places of {name} are taken"
    if places == 1 and mine():
        raise NoPlace(
            f"{name} has one place, and this upgrade holds it itself.",
            hint=f"Give it more ({more}, or boatyard up --limit), or the hook's deployment another pool.",
        )
    return f"the only place of {name} is taken" if places else f"{name} has no place"


def _held_by_this_run(client: SyncPrefectClient, pool: str | None, queue: str | None = None) -> bool:
    """Whether the running flow, or one that it is part of, has a place there: the outermost has a process.

    queue: None is any.
    """
    if flow_run.id is None:
        return False
    around = [client.read_flow_run(each) for each in runs_around(client, UUID(flow_run.id))]
    return any(each.work_pool_name == pool and queue in (None, each.work_queue_name) for each in around)
