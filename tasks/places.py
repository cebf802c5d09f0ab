"""Why no worker takes a run: what its work pool says, since the run itself only stays as it was scheduled."""

from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, WorkPool, WorkPoolStatus
from prefect.runtime import flow_run

from boatyard.errors import Permanent
from tasks.cancels import runs_around


class NoPlace(Permanent):
    """A run that is waited for can never start, since whoever waits holds the only place that its pool has."""


def kept_from_starting(client: SyncPrefectClient, run: FlowRun) -> str | None:
    """What keeps a run from its start now, in one clause; None where it has begun, or nothing is known to.

    `NoPlace` where nothing ever will let it.
    """
    if run.state is None or not run.state.is_scheduled() or run.work_pool_name is None:
        return None
    pool = client.read_work_pool(run.work_pool_name)
    if pool.is_paused:
        return f"work pool {pool.name} is paused"
    if pool.concurrency_limit is not None and (pool.active_slots or 0) >= pool.concurrency_limit:
        return _full(client, pool, pool.concurrency_limit)
    if pool.status is not None and pool.status is not WorkPoolStatus.READY:
        return f"no worker of work pool {pool.name} is up"
    return None


def _full(client: SyncPrefectClient, pool: WorkPool, places: int) -> str:
    if places > 1:
        return f"all {places} places of work pool {pool.name} are taken"
    if places == 1 and pool.name in _pools_of_this_run(client):
        raise NoPlace(
            f"work pool {pool.name} has one place, and this upgrade holds it itself.",
            hint=f"Give the pool more (prefect work-pool set-concurrency-limit {pool.name} 2, or boatyard up --limit),"
            " or the hook's deployment another pool.",
        )
    return f"the only place of work pool {pool.name} is taken" if places else f"work pool {pool.name} has no place"


def _pools_of_this_run(client: SyncPrefectClient) -> set[str | None]:
    """Of the running flow and those that it is part of: the outermost has a process, and with it a place."""
    if flow_run.id is None:
        return set()
    return {client.read_flow_run(each).work_pool_name for each in runs_around(client, UUID(flow_run.id))}
