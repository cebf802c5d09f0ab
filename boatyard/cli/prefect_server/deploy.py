"""Bring a server to what prefect.yaml and the automations say. Idempotent; what they no longer name is removed."""

import asyncio
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from boatyard.cli.prefect_server.catalogue import (
    Automation,
    Deployment,
    automations_folder,
    project_file,
    read_automations,
    read_deployments,
)
from boatyard.cli.prefect_server.form import description, form_schema
from boatyard.cli.prefect_server.place import BY_HAND, BY_SCHEDULE, POOL
from boatyard.errors import Permanent

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.flows import Flow

_OURS = "boatyard"  # tag of every deployment made here


@dataclass(frozen=True)
class Prepared:
    """Everything that is to be applied; made while the server still starts, for importing the flows takes seconds."""

    bodies: tuple[tuple[str, dict[str, Any]], ...]
    automations: tuple[Automation, ...]


def prepare(
    deployments: Sequence[Deployment] | None = None, automations: Sequence[Automation] | None = None
) -> Prepared:
    """Read prefect.yaml and the automations (or take those given) and import every flow for its parameters' schema.

    Raises `InvalidSpec` for a wrong file, `Permanent` for a flow that cannot be loaded.
    """
    wanted = read_deployments(project_file()) if deployments is None else deployments
    reactions = read_automations(automations_folder()) if automations is None else automations
    return Prepared(tuple(_body(one) for one in wanted), tuple(reactions))


def deploy(prepared: Prepared, *, limit: int | None = None) -> dict[str, UUID]:
    """Make work pool, deployments and automations in the server of the current settings; ids by deployment name.

    limit: the most flow runs side by side; those of deployments with a schedule have a queue of their own without one.
    A scheduled run that was due and never started is dropped, so that an outage is not caught up minute by minute; a
    deployment tagged `catch-up` then gets one run at once. So no worker may run yet: it would take them first.
    """
    return asyncio.run(_deploy(prepared, limit))


async def _deploy(prepared: Prepared, limit: int | None) -> dict[str, UUID]:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        await _work_pool(client, limit)
        flows = {flow: await client.create_flow_from_name(flow) for flow in {flow for flow, _ in prepared.bodies}}
        missed = await _drop_missed(client)
        ids = {
            body["name"]: await client.create_deployment(flow_id=flows[flow], **body) for flow, body in prepared.bodies
        }
        for _, body in prepared.bodies:
            if "catch-up" in body["tags"] and ids[body["name"]] in missed:
                await client.create_flow_run_from_deployment(ids[body["name"]], tags=["catch-up"])
        await _remove_others(client, set(ids.values()))
        await _automate(client, prepared.automations, ids)
    return ids


async def _drop_missed(client: "PrefectClient") -> set[UUID | None]:
    """Delete scheduled runs whose time has passed, which Prefect itself keeps; ids of the deployments that had some."""
    from prefect.client.schemas import filters
    from prefect.types._datetime import now

    late = filters.FlowRunFilter(
        state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=["SCHEDULED"])),
        next_scheduled_start_time=filters.FlowRunFilterNextScheduledStartTime(before_=now("UTC")),
        tags=filters.FlowRunFilterTags(all_=["auto-scheduled"]),
    )
    missed: set[UUID | None] = set()
    while runs := [run for run in await client.read_flow_runs(flow_run_filter=late, limit=200) if run.run_count == 0]:
        for run in runs:
            await client.delete_flow_run(run.id)
            missed.add(run.deployment_id)
    return missed


def _body(one: Deployment) -> tuple[str, dict[str, Any]]:
    """The flow's name, and what the API is told of the deployment."""
    from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
    from prefect.flows import load_flow_from_entrypoint

    try:
        flow: Flow[Any, Any] = load_flow_from_entrypoint(one.entrypoint)
    except (ImportError, AttributeError, ValueError) as error:
        raise Permanent(f"The flow {one.entrypoint} of deployment {one.name!r} cannot be loaded: {error}.") from error
    body: dict[str, Any] = {
        "name": one.name,
        "entrypoint": one.entrypoint,
        "work_pool_name": POOL,
        "work_queue_name": BY_SCHEDULE if one.schedules else BY_HAND,
        "description": one.description or description(flow),
        "tags": [_OURS, *one.tags],
        "parameters": one.parameters,
        "schedules": [_schedule(schedule) for schedule in one.schedules],
        "parameter_openapi_schema": form_schema(flow),
        "enforce_parameter_schema": True,
        "pull_steps": [],
        "paused": False,
        "concurrency_limit": one.concurrency_limit,
    }
    if one.collision_strategy:
        strategy = ConcurrencyLimitStrategy(one.collision_strategy)
        body["concurrency_options"] = ConcurrencyOptions(collision_strategy=strategy)
    return flow.name, body


def _schedule(entry: dict[str, Any]) -> Any:
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import construct_schedule

    rest = dict(entry)
    extra = {key: rest.pop(key) for key in ("active", "parameters", "slug", "max_scheduled_runs") if key in rest}
    return DeploymentScheduleCreate(schedule=construct_schedule(**rest), **extra)


async def _work_pool(client: "PrefectClient", limit: int | None) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectNotFound
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    # Named, so that the worker starts the flow at once; left to itself it first runs a process that looks for sources.
    template["variables"]["properties"]["command"]["default"] = shlex.join(
        [sys.executable, "-m", "boatyard.cli.prefect_server.flow_process"]
    )
    try:
        pool = await client.read_work_pool(POOL)
    except ObjectNotFound:
        pool = await client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
    else:
        await client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=template, concurrency_limit=None))
    await client.update_work_queue(pool.default_queue_id, concurrency_limit=limit)


async def _remove_others(client: "PrefectClient", keep: set[UUID]) -> None:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    ours = DeploymentFilter(tags=DeploymentFilterTags(all_=[_OURS]))
    for old in await client.read_deployments(deployment_filter=ours, limit=200):
        if old.id not in keep:
            await client.delete_deployment(old.id)


async def _automate(client: "PrefectClient", reactions: Sequence[Automation], ids: dict[str, UUID]) -> None:
    from prefect.events.schemas.automations import AutomationCore

    for reaction in reactions:
        wanted = AutomationCore.model_validate(_resolved(reaction.document, ids) | {"tags": [_OURS]})
        known = await client.read_automations_by_name(reaction.name)
        for double in known[1:]:
            await client.delete_automation(double.id)
        if not known:
            await client.create_automation(wanted)
        elif _differs(known[0], wanted):
            await client.update_automation(known[0].id, wanted)
    names = {reaction.name for reaction in reactions}
    for automation in await client.read_automations():
        if _OURS in automation.tags and automation.name not in names:
            await client.delete_automation(automation.id)


def _differs(known: Any, wanted: Any) -> bool:
    """An update resets what the trigger has seen, so it is spared when nothing changed."""
    drop = {"id", "created", "updated", "owner_resource"}
    before = known.model_dump(mode="json", exclude=drop)
    after = wanted.model_dump(mode="json", exclude=drop)
    return bool(_without_ids(before) != _without_ids(after))


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_ids(part) for key, part in value.items() if key != "id"}
    return [_without_ids(part) for part in value] if isinstance(value, list) else value


def _resolved(document: dict[str, Any], ids: dict[str, UUID]) -> dict[str, Any]:
    """The automation with every `deployment: NAME` of its actions as the id that Prefect wants."""
    actions = []
    for action in document.get("actions") or ():
        action = dict(action)
        if (name := action.pop("deployment", None)) is not None:
            if name not in ids:
                raise Permanent(
                    f"The automation {document['name']!r} runs the deployment {name!r}, which is not there."
                )
            action |= {"deployment_id": str(ids[name]), "source": "selected"}
        actions.append(action)
    return {**document, "actions": actions}
