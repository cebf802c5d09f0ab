"""A question about a ring in the UI, as a worker runs it: suspended, and run again from its top once it is answered."""

import itertools
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.states import Cancelling, Crashed

from boatyard.cli.prefect_server.reconcile import reconcile
from boatyard.errors import Permanent
from flows.approve_upgrade import approve_upgrade
from tasks.approval import answer_approval
from tests.faults.harness import Flow, House, until
from tests.faults.sweeping import SAMPLE, chosen

pytestmark = pytest.mark.server


ASK, UPGRADE = "flows.approve_upgrade:approve_upgrade", "flows.upgrade:upgrade_cluster"


def deployed(ring: str, version: str) -> UUID:
    """A run of the deployment that has not begun."""
    with get_client(sync_client=True) as client:
        flow = client.create_flow(approve_upgrade)
        deployment = client.create_deployment(flow, "approve-upgrade", entrypoint="flows.approve_upgrade")
        run = client.create_flow_run_from_deployment(deployment, parameters={"ring": ring, "version": version})
    return run.id


def asked(ring: str, version: str) -> UUID:
    """A run of the deployment that has asked, and whose process has ended."""
    run_id = deployed(ring, version)
    assert goes_on(run_id).state_type is StateType.PAUSED
    return run_id


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
    assert goes_on(deployed("staging", "1.36")).state_type is StateType.COMPLETED


class Question:
    """A run about a ring of its own, in processes that can be killed."""

    numbers = itertools.count(1)

    def __init__(self, house: House) -> None:
        self._house, self.ring = house, f"ring-{next(self.numbers)}"
        self.run_id = deployed(self.ring, "1.36")

    def process(self, kill_at: int | None = None) -> Flow:
        given = {"ring": self.ring, "version": "1.36"}
        return self._house.begin(ASK, kill_at=kill_at, run=str(self.run_id), requests=True, **given).wait()

    def was_lost(self) -> bool:
        """After a kill of its process, found by the worker; whether it is not waiting for an answer."""
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(self.run_id, Crashed())
        return True

    def went_down(self) -> bool:
        """After a kill of all there is, found by the next `boatyard up`; whether it is not waiting for an answer."""
        reconcile()
        return self.state is not StateType.PAUSED

    @property
    def state(self) -> StateType | None:
        with get_client(sync_client=True) as client:
            return client.read_flow_run(self.run_id).state_type

    def is_asked(self) -> "Question":
        """Whatever happened before, there is a form to be filled in now."""
        assert self.state is StateType.PAUSED
        answer_approval(self.run_id, approve=True, note="go")
        return self

    def is_answered_once(self) -> None:
        assert self.state is StateType.COMPLETED
        told = [each for each in self._house.yard.store.rollout.answers() if each.ring == self.ring]
        assert [(each.granted, each.note) for each in told] == [(True, "go")]


@pytest.mark.parametrize("lost", [Question.was_lost, Question.went_down])
def test_a_question_that_is_killed_at_any_moment_is_asked_and_answered_once(
    house: House, lost: Callable[[Question], bool]
) -> None:
    whole = Question(house)
    asking = whole.process().moments
    answering = whole.is_asked().process().moments
    whole.is_answered_once()
    for at in chosen(asking, SAMPLE, False, 7):
        question = Question(house)
        assert question.process(kill_at=at).killed
        if lost(question):
            question.process()
        question.is_asked().process()
        question.is_answered_once()
    for at in chosen(answering, SAMPLE, False, 7):
        question = Question(house)
        question.process()
        assert question.is_asked().process(kill_at=at).killed
        assert lost(question)
        question.process()
        question.is_answered_once()


def test_a_run_that_was_killed_while_it_waited_in_place_asks_again(house: House) -> None:
    policy = {"upgrade": {"approve": True, "rounds": 0}}
    cluster = house.spec("careful", apps=False, nodes=1, policy=policy)
    house.set_up(cluster)
    given = {"name": cluster.name, "to": "1.35"}
    first = house.begin(UPGRADE, run="", **given)
    until(lambda: is_waiting(first), "the question", 120)
    first.kill()
    again = house.begin(UPGRADE, run=first.id, **given)
    until(lambda: is_waiting(again), "the question, once more", 120)
    until(lambda: is_taken(first.id), "the form")
    again.well()
    house.is_whole(cluster, version="1.35")


def test_a_run_that_is_cancelled_while_it_waits_in_place_ends_and_was_refused(house: House) -> None:
    policy = {"upgrade": {"approve": True, "rounds": 0}}
    cluster = house.spec("undecided", apps=False, nodes=0, policy=policy)
    house.set_up(cluster)
    asking = house.begin(UPGRADE, run="", name=cluster.name, to="1.35")
    until(lambda: is_waiting(asking), "the question", 120)
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(asking.id), Cancelling(), force=True)
    assert "was cancelled by a person in Prefect" in asking.failed("Permanent")
    store = house.yard.store
    assert store.leases.current(cluster.name) is None
    assert [each.outcome for each in store.rollout.upgrades(cluster.name)] == ["blocked"]
    assert house.yard.registered(cluster.name).kubernetes.version == "1.34"
    house.is_whole(cluster, version="1.34")


def is_waiting(flow: Flow) -> bool:
    """Its process says so: the server's word may be that of an earlier one."""
    return flow.status is None and (flow.out / "log").exists() and "This plan waits for approval" in flow.log


def is_taken(run_id: str) -> bool:
    """An answer is; the form comes a moment after the state."""
    try:
        answer_approval(run_id, approve=True)
    except Permanent:
        return False
    return True
