"""A question about a ring in the UI, as a worker runs it: suspended, and run again from its top once it is answered."""

from contextlib import suppress
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow

from flows.approve_upgrade import approve_upgrade
from tasks.approval import answer_approval
from tests.faults.harness import House

pytestmark = pytest.mark.server


def asked(ring: str, version: str) -> UUID:
    """A run of the deployment that has asked, and whose process has ended."""
    with get_client(sync_client=True) as client:
        flow = client.create_flow(approve_upgrade)
        deployment = client.create_deployment(flow, "approve-upgrade", entrypoint="flows.approve_upgrade")
        run = client.create_flow_run_from_deployment(deployment, parameters={"ring": ring, "version": version})
    assert goes_on(run.id).state_type is StateType.PAUSED
    return run.id


def goes_on(run_id: UUID) -> FlowRun:
    """What a worker does with it."""
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_id)
        with suppress(Pause):
            run_flow(approve_upgrade, flow_run=run, parameters=run.parameters)
        return client.read_flow_run(run_id)


def test_a_word_in_the_ui_counts_although_somebody_answered_at_the_terminal_meanwhile(house: House) -> None:
    run_id = asked("production", "1.36")
    rollout = house.yard.store.rollout
    rollout.answer("production", "1.36", granted=True, who="ann")
    answer_approval(run_id, approve=False, note="the canary leaks memory")
    assert goes_on(run_id).state_type is StateType.COMPLETED
    assert [(each.granted, each.note) for each in rollout.answers()] == [
        (True, ""),
        (False, "the canary leaks memory"),
    ]


def test_nobody_is_asked_what_was_answered_before(house: House) -> None:
    house.yard.store.rollout.answer("staging", "1.36", granted=True, who="ann")
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(client.create_flow(approve_upgrade), "approve-upgrade")
        run = client.create_flow_run_from_deployment(deployment, parameters={"ring": "staging", "version": "1.36"})
    assert goes_on(run.id).state_type is StateType.COMPLETED
