"""What an operation holds, and for how long."""

import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
from prefect.exceptions import Pause, TerminationSignal

from boatyard.cli.failure import HUNG_UP, TERMINATED, Stopped
from boatyard.clock import SystemClock
from boatyard.drivers.base import Driver, Env
from boatyard.drivers.operation import Operation, Yard, operating
from boatyard.errors import Fenced, Permanent, Temporary
from boatyard.plan.model import Plan, Step, Verb
from boatyard.run import run
from boatyard.settings import Settings
from boatyard.spec.models import Cluster
from boatyard.store import Store
from boatyard.store.leases import Leases
from boatyard.tools import Toolbox
from tasks import options, steps
from tasks import yard as running

CLUSTER = Cluster.model_validate({"name": "dev", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.36"}})
STEP = Step(id="delete", verb=Verb.DELETE, target="dev", reason="test", expected=timedelta(seconds=1))


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    settings = Settings(tmp_path, tmp_path / "cache", f"sqlite:///{tmp_path}/store.db")
    with Store.open(settings.store_url) as store:
        store.clusters.put(CLUSTER.model_dump(mode="json"))
        yield Yard(settings, store, Toolbox(settings.cache), SystemClock())


def test_nobody_gets_the_lease_while_a_step_of_a_stopped_operation_still_runs(yard: Yard) -> None:
    """A flow that is cancelled leaves its steps to their threads, where a program of theirs may run on."""
    began, over, threads = threading.Event(), threading.Event(), []
    refused: list[Fenced] = []

    def work(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
        began.set()
        env.stopped.wait()
        assert not over.wait(0.3), "the lease was given back"
        assert yard.store.leases.current("dev") is not None
        try:
            env.fence()
        except Fenced as error:
            refused.append(error)
            raise

    def carry_out(op: Operation) -> None:
        with suppress(Fenced):
            op.carry_out(STEP, do=work)

    with suppress(KeyboardInterrupt), operating(yard, CLUSTER, "delete", who="me", run_id="1") as op:
        threads.append(threading.Thread(target=carry_out, args=(op,)))
        threads[0].start()
        began.wait()
        raise KeyboardInterrupt
    over.set()
    threads[0].join()
    assert "was stopped, so nothing more is changed: Ctrl-C" in str(refused[0])
    assert yard.store.leases.current("dev") is None
    told = [(entry.verb, entry.outcome) for entry in yard.store.journal.list("dev")]
    assert told == [("delete", "failed"), ("stop", "done")]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyboardInterrupt(), ["Ctrl-C"]),
        (Stopped(TERMINATED), ["SIGTERM"]),
        (Stopped(HUNG_UP), ["its terminal was closed (SIGHUP)"]),
        (TerminationSignal(signal.SIGTERM), ["SIGTERM"]),
        (Pause(), []),  # somebody is asked for approval
        (Permanent("the machine did not start."), []),
    ],
    ids=repr,
)
def test_the_journal_tells_of_a_signal_also_when_no_step_ran(yard: Yard, error: BaseException, told: list[str]) -> None:
    with pytest.raises(type(error)), operating(yard, CLUSTER, "delete", who="me", run_id="1"):
        raise error
    assert [entry.reason for entry in yard.store.journal.list("dev") if entry.verb == "stop"] == told
    assert yard.store.leases.current("dev") is None


def test_a_signal_reaches_operations_in_other_threads(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maintenance of a fleet works on each cluster in a thread of its own; signals come to the first one only."""
    began, refused = threading.Event(), []

    def work(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
        began.set()
        assert env.stopped.wait(60)
        env.fence()

    def thread() -> None:
        with operating(yard, CLUSTER, "maintenance", who="me", run_id="1") as op:
            try:
                op.carry_out(STEP, do=work)
            except Fenced as error:
                refused.append(str(error))

    def interrupted(futures: object) -> None:
        assert began.wait(60)
        raise KeyboardInterrupt

    monkeypatch.setattr(options, "wait", interrupted)
    other = threading.Thread(target=thread)
    other.start()
    with pytest.raises(KeyboardInterrupt):
        options.raise_all([])
    other.join(60)
    assert not other.is_alive()
    assert len(refused) == 1
    assert "nothing more is changed: Ctrl-C" in refused[0]


def test_a_program_of_a_step_ends_when_the_lease_is_lost(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine slept, and somebody else went on: both must not change the cluster at once."""
    monkeypatch.setattr(Leases, "hold", partialmethod(Leases.hold, ttl=0.3))

    def taken(line: str) -> None:
        yard.store.leases.release(op.lease)
        yard.store.leases.acquire("dev", "somebody else", "create")

    def work(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
        run(["sh", "-c", "echo changing; sleep 600"], timeout=60, on_line=taken, stopped=env.stopped)

    with suppress(Fenced), operating(yard, CLUSTER, "delete", who="me", run_id="1") as op:
        with pytest.raises(Permanent, match="was stopped together with the operation"):
            op.carry_out(STEP, do=work)
        with pytest.raises(Fenced, match="create by somebody else holds it"):
            op.fence()


def test_what_is_seen_after_a_stop_is_not_remembered(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking is cut short then, and a cluster that was not looked at would be kept as one that does not answer."""
    with operating(yard, CLUSTER, "delete", who="me", run_id="1") as op:
        op.observe()
        before = yard.store.clusters.get("dev")
        op.stopped.set("Ctrl-C")
        with pytest.raises(Fenced, match="looking at dev was broken off: Ctrl-C"):
            op.observe()
    assert yard.store.clusters.get("dev") == before


def test_a_step_that_is_stopped_is_not_tried_again(yard: Yard) -> None:
    def work(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
        env.stopped.set("Ctrl-C")
        raise Temporary("The API server does not answer.")

    with operating(yard, CLUSTER, "delete", who="me", run_id="1") as op, pytest.raises(Fenced, match="does not answer"):
        op.carry_out(STEP, do=work)


def test_who_meets_a_lost_lease_tells_the_others(yard: Yard) -> None:
    with suppress(Fenced), operating(yard, CLUSTER, "delete", who="me", run_id="1") as op:
        yard.store.leases.release(op.lease)
        yard.store.leases.acquire("dev", "somebody else", "create")
        with pytest.raises(Fenced):
            op.fence()
        assert "create by somebody else holds it" in op.stopped.why


def test_why_a_step_failed_is_told_also_when_the_store_is_away_by_then(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def work(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
        raise Permanent("the machine did not start.")

    def away(*_: Any) -> None:
        raise Temporary("The store does not answer.")

    with operating(yard, CLUSTER, "delete", who="me", run_id="1", report=said.append) as op:
        monkeypatch.setattr(yard.store.journal, "end", away)
        with pytest.raises(Permanent, match="the machine did not start"):
            op.carry_out(STEP, do=work)
    assert said == ["this could not be written into the journal: The store does not answer."]


def test_why_a_plan_failed_is_told_also_when_the_cluster_cannot_be_looked_at_by_then(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(plan: Plan) -> None:
        raise Permanent("the machine did not start.")

    def away(self: Operation) -> None:
        raise Temporary("The store does not answer.")

    monkeypatch.setattr(steps, "show_plan", lambda plan: None)
    monkeypatch.setattr(steps, "_run_steps", fails)
    monkeypatch.setattr(Operation, "observe", away)
    plan = Plan(cluster="dev", provider="kwok", steps=(STEP,))
    with (
        operating(yard, CLUSTER, "delete", who="me", run_id="1") as op,
        running._running(op),
        pytest.raises(Permanent, match="the machine did not start"),
    ):
        steps.run_plan(plan, agreed=True)
