"""`boatyard up` from outside: what it starts, what it survives, how it ends."""

import contextlib
import os
import signal
import sqlite3
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from boatyard import run
from boatyard.cli.prefect_server import client
from boatyard.cli.prefect_server.catalogue import project_file, read_deployments
from tests.server.conftest import TOY, Yard, until
from tests.terminal import Terminal

pytestmark = pytest.mark.server


def test_state_and_password_are_private_and_the_api_asks_for_it(yard: Yard):
    for path in (yard.place.state, yard.place.auth):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert client.find(_settings(yard)) == yard.running
    with pytest.raises(Exception, match="401"):
        client_without_password(yard)


def client_without_password(yard: Yard) -> None:
    from boatyard.cli.prefect_server import server

    server.ask(yard.running.api, "POST", "/flow_runs/filter", None, body={})


def _settings(yard: Yard):
    from boatyard.settings import Settings

    return Settings(yard.home, Settings.load().cache, "")


def test_password_is_in_no_process_list(yard: Yard):
    password = yard.place.auth.read_text().strip().encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert password not in path.read_bytes()
        except OSError:
            continue


def test_second_up_names_the_first(yard: Yard):
    second = run.run([sys.executable, TOY / "up_toy.py", "0"], timeout=60, env=yard.env)
    assert yard.running.url in second.stdout
    assert str(yard.running.pid) in second.stdout


def test_form_schema_comes_from_the_flow(yard: Yard):
    schema = yard.deployment("open-cluster")["parameter_openapi_schema"]
    assert schema["properties"]["number"]["type"] == "integer"
    assert schema["required"] == ["repository", "number"]


@pytest.mark.parametrize("event", ["opened", "reopened", "synchronize"])
def test_opening_events_run_the_open_flow_with_typed_parameters(yard: Yard, event: str):
    number = 100 + len(event)
    occurred = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    yard.emit(f"pull_request.{event}", number, occurred)
    expected = repr(("example/shop", number, occurred.isoformat(), "pull-request"))
    assert yard.lines(f"open-{number}") == [expected]


def test_closing_event_runs_the_close_flow(yard: Yard):
    occurred = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
    yard.emit("pull_request.closed", 200, occurred)
    assert yard.lines("close-200") == [repr(("example/shop", 200, occurred.isoformat()))]


def test_killed_flow_goes_on(yard: Yard):
    run_id = yard.begin("gate", name="flow")
    os.kill(int(yard.lines("gate-flow")[0]), signal.SIGKILL)
    yard.lines("gate-flow", 2)
    yard.let_go("flow")
    done = yard.in_state(run_id, "COMPLETED", "FAILED")
    assert (done["state_type"], done["run_count"]) == ("COMPLETED", 2)


def test_killed_worker_and_its_flow_come_back(yard: Yard):
    run_id = yard.begin("gate", name="worker")
    flow_process = int(yard.lines("gate-worker")[0])
    worker = _parent(flow_process)
    os.kill(worker, signal.SIGKILL)
    os.kill(flow_process, signal.SIGKILL)
    yard.lines("gate-worker", 2)
    yard.let_go("worker")
    assert yard.in_state(run_id, "COMPLETED", "FAILED")["state_type"] == "COMPLETED"
    assert "The worker is back." in yard.said


def test_flow_outlives_its_killed_worker(yard: Yard):
    run_id = yard.begin("gate", name="orphan")
    flow_process = int(yard.lines("gate-orphan")[0])
    backs = yard.said.count("The worker is back.")
    os.kill(_parent(flow_process), signal.SIGKILL)
    until(lambda: yard.said.count("The worker is back.") > backs, "a new worker")
    yard.let_go("orphan")
    assert yard.lines("gate-orphan", 2) == [str(flow_process), "done"]
    ended = yard.in_state(run_id, "COMPLETED", "CRASHED", "FAILED")
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]


def test_flow_survives_a_killed_server(yard: Yard):
    run_id = yard.begin("gate", name="server")
    yard.lines("gate-server")
    url = yard.running.url
    os.kill(_server_of(yard), signal.SIGKILL)
    yard.let_go("server")
    until(lambda: "The Prefect server is back." in yard.said, "the server")
    assert yard.running.url == url
    assert yard.in_state(run_id, "COMPLETED", "CRASHED", "FAILED")["state_type"] == "COMPLETED"


def test_approval_by_api_ends_and_resumes_the_process(yard: Yard):
    run_id = yard.begin("approve", name="deployed")
    waiting = yard.in_state(run_id, "PAUSED")
    assert waiting["state"]["state_details"]["pause_reschedule"] is True
    path, answer = f"/flow_runs/{run_id}/resume", {"run_input": {"approve": True, "note": "fine"}}
    until(lambda: yard.ask("POST", path, answer)["status"] == "ACCEPT", "the form, which comes after the state")
    assert yard.lines("approve-deployed", 3)[2] == "yes: fine"
    assert yard.in_state(run_id, "COMPLETED", "FAILED")["state_type"] == "COMPLETED"


def test_the_real_schedules_ask_for_what_is_tried_here():
    real = {one.name: one for one in read_deployments(project_file())}
    assert [name for name, one in real.items() if "catch-up" in one.tags] == ["cleanup-idle", "forecast-fleet"]
    limited = {name: (one.concurrency_limit, one.collision_strategy) for name, one in real.items()}
    assert limited.pop("monitor-fleet") == (1, "CANCEL_NEW")
    assert set(limited.values()) == {(None, None)}  # Prefect kills a long run whose slot it fails to renew


def test_a_run_that_would_overlap_the_last_one_is_dropped(yard: Yard):
    first = yard.begin("sweep", name="first")
    yard.lines("gate-first")
    second = yard.begin("sweep", name="second")
    dropped = yard.in_state(second, "CANCELLED", "COMPLETED", "FAILED", "RUNNING")
    assert dropped["state_type"] == "CANCELLED", dropped["state"]
    yard.let_go("first")
    assert yard.in_state(first, "COMPLETED", "FAILED", "CRASHED")["state_type"] == "COMPLETED"
    yard.let_go("third")
    third = yard.begin("sweep", name="third")
    assert yard.in_state(third, "COMPLETED", "FAILED", "CANCELLED")["state_type"] == "COMPLETED"
    assert not (yard.out / "gate-second").exists()


def test_after_an_outage_a_missed_clean_up_runs_once_and_a_missed_watch_never(yard: Yard):
    """The outage: `up` is away, and the next three nights pass."""
    ids = {name: yard.deployment(name)["id"] for name in ("clean", "watch")}
    planned = {"flow_runs": {"deployment_id": {"any_": list(ids.values())}, "state": {"type": {"any_": ["SCHEDULED"]}}}}
    until(lambda: len(yard.ask("POST", "/flow_runs/filter", planned)) >= 6, "the schedules' runs")
    assert yard.stop() == 0
    assert _nights_pass(yard, ids["clean"], 3) == _nights_pass(yard, ids["watch"], 3) == 3
    yard.start()
    yard.lines("scheduled-clean")
    runs = yard.ask("POST", "/flow_runs/filter", {"flow_runs": {"deployment_id": {"any_": list(ids.values())}}})
    late = [run for run in runs if datetime.fromisoformat(run["expected_start_time"]) <= datetime.now(UTC)]
    assert [(run["deployment_id"], "catch-up" in run["tags"]) for run in late] == [(ids["clean"], True)]
    assert yard.in_state(late[0]["id"], "COMPLETED", "FAILED")["state_type"] == "COMPLETED"
    assert yard.lines("scheduled-clean") == ["ran"]
    assert not (yard.out / "scheduled-watch").exists()


def _nights_pass(yard: Yard, deployment: str, nights: int) -> int:
    """The next runs of a schedule, moved so that they were due one to `nights` days ago; how many there were."""
    with contextlib.closing(sqlite3.connect(yard.place.database)) as database, database:
        where = "deployment_id = ? AND auto_scheduled AND state_type = 'SCHEDULED'"
        query = f"SELECT id FROM flow_run WHERE {where} ORDER BY expected_start_time LIMIT ?"  # noqa: S608
        found = [row[0] for row in database.execute(query, (deployment, nights))]
        for back, run_id in enumerate(found, 1):
            due = (datetime.now(UTC) - timedelta(days=back)).strftime("%Y-%m-%d %H:%M:%S.%f")
            change = "UPDATE flow_run SET expected_start_time = ?, next_scheduled_start_time = ? WHERE id = ?"
            database.execute(change, (due, due, run_id))
        return len(found)


def test_runs_that_fill_the_limit_hold_back_others_by_hand_and_no_schedule(yard: Yard):
    assert yard.stop() == 0
    yard.start(0, "--one-at-a-time")
    first = yard.begin("gate", name="long")
    yard.lines("gate-long")
    second = yard.begin("gate", name="queued")
    yard.let_go("swept")
    swept = yard.begin("sweep", name="swept")
    assert yard.in_state(swept, "COMPLETED", "FAILED", "CANCELLED")["state_type"] == "COMPLETED"
    assert not (yard.out / "gate-queued").exists()
    yard.let_go("long")
    yard.let_go("queued")
    for each in (first, second):
        assert yard.in_state(each, "COMPLETED", "FAILED", "CRASHED")["state_type"] == "COMPLETED"


def test_stop_drains_running_flows_and_the_next_up_is_clean(yard: Yard):
    run_id = yard.begin("gate", name="drain")
    flow_process = int(yard.lines("gate-drain")[0])
    assert yard.process is not None
    os.kill(yard.process.pid, signal.SIGTERM)
    until(lambda: "Stopping" in yard.said, "the drain")
    yard.let_go("drain")
    assert yard.process.wait(120) == 0
    yard.process.kill()
    assert yard.lines("gate-drain", 2) == [str(flow_process), "done"]
    assert not yard.place.state.exists()
    yard.start()
    assert yard.flow_run(run_id)["state_type"] == "COMPLETED"


def test_a_closed_terminal_drains_as_well_and_leaves_nothing(yard: Yard):
    """Its output cannot be written any more by then, and the hang-up comes twice."""
    yard.stop()
    with Terminal([sys.executable, TOY / "up_toy.py", "0"], env=yard.env, cwd=yard.home) as terminal:
        until(lambda: "is up" in terminal.said or terminal.process.poll() is not None, "boatyard up")
        assert terminal.process.poll() is None, terminal.said
        yard.begin("gate", name="closed")
        flow_process = int(yard.lines("gate-closed")[0])
        worker, own_server = _parent(flow_process), _server_of(yard)
        terminal.close()
        until(lambda: not yard.taking_runs, "the drain")
        assert terminal.process.poll() is None
        yard.let_go("closed")
        assert terminal.process.wait(120) == 0
    assert yard.lines("gate-closed", 2) == [str(flow_process), "done"]
    for number in (flow_process, worker, own_server):
        until(lambda: client.started_at(number) in (None, "") or _zombie(number), "the end of all")  # noqa: B023
    assert not yard.place.state.exists()
    yard.start()


def test_killed_supervisor_leaves_nothing_and_the_next_up_takes_over(yard: Yard):
    run_id = yard.begin("gate", name="supervisor")
    flow_process = int(yard.lines("gate-supervisor")[0])
    worker, own_server = _parent(flow_process), _server_of(yard)
    assert yard.process is not None
    os.kill(yard.process.pid, signal.SIGKILL)
    os.kill(flow_process, signal.SIGKILL)
    until(lambda: client.started_at(own_server) in (None, "") or _zombie(own_server), "the server's end")
    until(lambda: client.started_at(worker) in (None, "") or _zombie(worker), "the worker's end")
    yard.process.kill()
    assert client.read(yard.place) is None
    yard.start()
    yard.let_go("supervisor")
    assert yard.in_state(run_id, "COMPLETED", "FAILED")["state_type"] == "COMPLETED"


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _server_of(yard: Yard) -> int:
    supervisor = yard.running.pid
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            mine = b"prefect_server.child" in path.read_bytes() and _parent(int(path.parent.name)) == supervisor
        except OSError:
            continue
        if mine:
            return int(path.parent.name)
    raise AssertionError("no server child")
