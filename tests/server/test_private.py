"""The server for one command: in place when needed, gone afterwards, whatever happens."""

import os
import signal
import sys
from pathlib import Path

import pytest
from prefect import flow
from prefect.client.orchestration import get_client

from boatyard import run
from boatyard.cli.prefect_server import client, server
from boatyard.cli.prefect_server.place import Place
from boatyard.cli.prefect_server.private import server_for_command
from boatyard.errors import DeadlineExceeded, Permanent
from boatyard.settings import Settings
from tasks.approval import Approved, Refused, answer_approval, request_approval
from tests.server.conftest import patient, until

pytestmark = pytest.mark.server


@flow
def double(number: int) -> int:
    return 2 * number


def _left(settings: Settings) -> list[Path]:
    return list(Place.of(settings).folder.glob("private-*"))


def test_flows_run_and_nothing_is_left_even_after_an_error():
    settings = Settings.load()
    with pytest.raises(RuntimeError, match="boom"), server_for_command(settings) as own:  # noqa: PT012
        assert own.private
        assert double(21) == 42
        with get_client(sync_client=True) as api:
            runs = api.read_flow_runs()
        assert [found.state_name for found in runs] == ["Completed"]
        raise RuntimeError("boom")
    assert _left(settings) == []
    assert not server.healthy(own.api, None)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_private_server_ends_with_a_killed_command(tmp_path: Path, number: signal.Signals):
    script = tmp_path / "command.py"
    script.write_text(
        "import pathlib, signal\n"
        "from boatyard.cli.prefect_server.private import server_for_command\n"
        "with server_for_command() as own:\n"
        f"    pathlib.Path({str(tmp_path / 'api')!r}).write_text(own.api)\n"
        "    signal.pause()\n"
    )
    root = str(Path(__file__).parents[2])
    command = run.start([sys.executable, script], log=tmp_path / "log", env={**os.environ, "PYTHONPATH": root})
    try:
        said = tmp_path / "api"
        api = until(lambda: said.exists() and said.read_text(), "the private server")
        assert server.healthy(api, None)
        os.kill(command.pid, number)
        until(lambda: not server.healthy(api, None, timeout=5), "the server's end")
        until(lambda: _left(Settings.load()) == [], "an empty folder")
    finally:
        command.kill()


def test_a_running_server_is_used(prefect_server: server.Server):
    settings = Settings.load()
    place = Place.of(settings).make()
    client.write(place, prefect_server.url, auth=False)
    with server_for_command(settings) as found:
        assert (found.url, found.private) == (prefect_server.url, False)
        assert double(1) == 2


@pytest.mark.parametrize(
    "text", ["", "{", '{"pid": 1}', '{"pid": 4194303, "started": "1", "url": "http://x", "auth": false}']
)
def test_stale_or_broken_state_file_is_removed(text: str):
    place = Place.of(Settings.load()).make()
    place.state.write_text(text)
    assert client.find() is None
    assert not place.state.exists()


def test_state_of_another_process_with_our_number_is_stale():
    place = Place.of(Settings.load()).make()
    mine = client.write(place, "http://127.0.0.1:1", auth=False)
    assert client.read(place) == mine
    place.state.write_text(place.state.read_text().replace(mine.started, "1"))
    assert client.read(place) is None


def test_taken_port_is_named(prefect_server: server.Server, tmp_path: Path):
    from boatyard.cli.prefect_server.place import server_env

    place = Place(tmp_path).make()
    env = server_env(place, database="sqlite+aiosqlite://", port=prefect_server.port, auth=None, storage=tmp_path)
    with pytest.raises(Permanent, match=f"cannot listen on 127.0.0.1:{prefect_server.port}: Address already in use."):
        server.begin(env, place.log("server")).wait()


@pytest.mark.parametrize(("approve", "expected"), [(True, Approved("go")), (False, Refused("go"))])
def test_approval_in_a_command_waits_and_takes_the_answer(
    prefect_server: server.Server, approve: bool, expected: object
):
    import threading

    ids: list[str] = []

    @flow
    def asks() -> object:
        from prefect.runtime import flow_run

        ids.append(flow_run.id)
        return request_approval("# Plan", key="one", timeout=60)

    def answer() -> None:
        waiting = {"flow_runs": {"id": {"any_": ids}, "state": {"type": {"any_": ["PAUSED"]}}}}
        ask = lambda: ids and patient(prefect_server.api, "POST", "/flow_runs/filter", None, waiting)  # noqa: E731
        until(ask, "the question")
        body = {"run_input": {"approve": approve, "note": "go"}}
        path = f"/flow_runs/{ids[0]}/resume"
        until(lambda: patient(prefect_server.api, "POST", path, None, body)["status"] == "ACCEPT", "the answer")

    helper = threading.Thread(target=answer)
    helper.start()
    try:
        assert asks() == expected
    finally:
        helper.join()


def test_approval_that_nobody_gives_ends_in_time(prefect_server: server.Server):
    @flow
    def asks() -> object:
        return request_approval("# Plan", key="one", timeout=2)

    with pytest.raises(DeadlineExceeded, match="Nobody approved"):
        asks()


def test_answer_to_a_run_that_does_not_ask_is_refused(prefect_server: server.Server):
    state = double(3, return_state=True)
    with pytest.raises(Permanent, match="takes no answer"):
        answer_approval(state.state_details.flow_run_id, approve=True)
