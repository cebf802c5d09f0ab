"""boatyard.run with real programs: nothing outlives its time, its parent or its group, and no secret leaves."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from boatyard.errors import DeadlineExceeded, MissingTool, Permanent
from boatyard.redact import Redactor, redact
from boatyard.run import minimal_env, run, start

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\nZZZZ\n-----END RSA PRIVATE KEY-----"


def running(pid: int) -> bool:
    """Alive and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_gone(pid: int) -> bool:
    """Wait, at most 10 s, until a process that is not our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    import select

    try:
        return bool(select.select([descriptor], [], [], 10)[0])
    finally:
        os.close(descriptor)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_output_code_and_input_come_back() -> None:
    result = run(["sh", "-c", "cat; echo oops >&2; exit 7"], timeout=10, input="hi\n", check=False)
    assert (result.code, result.stdout, result.stderr) == (7, "hi\n", "oops\n")


def test_large_input_and_output_do_not_block_each_other() -> None:
    data = b"x" * 3_000_000
    assert len(run(["cat"], timeout=30, input=data).stdout) == len(data)


def test_a_program_that_ignores_its_input_ends_normally() -> None:
    assert run(["true"], timeout=10, input="x" * 1_000_000).code == 0


def test_lines_come_while_the_program_still_runs(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    seen: list[str] = []

    def on_line(line: str) -> None:
        seen.append(line)
        if line == "first":
            gate.write_text("go")  # the program waits for this, so the line was delivered live

    run(["sh", "-c", f"echo first; read x < {gate}; printf 'second\\rthird'"], timeout=20, on_line=on_line)
    assert seen == ["first", "second", "third"]


def test_a_failure_says_the_last_lines_without_secrets() -> None:
    script = "for i in $(seq 50); do echo line $i >&2; done; echo 'token: s3cr3tvalue, key hunter22' >&2; exit 3"
    with pytest.raises(Permanent) as caught:
        run(["sh", "-c", script, "--password", "abc123"], timeout=10, secrets=["hunter22"])
    text = str(caught.value)
    assert "exit code 3" in text
    assert "line 50" in text
    assert "line 5\n" not in text
    assert not any(secret in text for secret in ("s3cr3tvalue", "hunter22", "abc123"))


def test_a_signal_is_named() -> None:
    with pytest.raises(Permanent, match="signal 9"):
        run(["sh", "-c", "kill -9 $$"], timeout=10)


def test_a_missing_program_is_named() -> None:
    with pytest.raises(MissingTool, match="no-such-program"):
        run(["no-such-program"], timeout=1)


def test_a_missing_folder_is_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="no such folder"):
        run(["true"], timeout=1, cwd=tmp_path / "nowhere")


@pytest.mark.parametrize("stubborn", [False, True], ids=["ends on SIGTERM", "ignores SIGTERM"])
def test_time_out_ends_grandchildren_too(tmp_path: Path, stubborn: bool) -> None:
    note = tmp_path / "pid"
    trap = "trap '' TERM; " if stubborn else ""
    script = f"{trap}sleep 300 & echo $! > {note}; echo begun; wait; sleep 300"
    with pytest.raises(DeadlineExceeded, match="begun"):
        run(["sh", "-c", script], timeout=1)
    assert wait_gone(int(note.read_text()))


def test_a_program_ends_with_the_operation_that_needed_it(tmp_path: Path) -> None:
    stopped = threading.Event()
    with pytest.raises(Permanent, match=r"`sh .* was stopped together with the operation that needed it\.$"):
        run(["sh", "-c", "echo begun; sleep 600"], timeout=60, on_line=lambda line: stopped.set(), stopped=stopped)


def test_an_error_in_the_listener_ends_the_group() -> None:
    pids: list[int] = []

    def on_line(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", "echo $$; sleep 300"], timeout=60, on_line=on_line)
    assert not running(pids[0])


def test_a_daemon_left_behind_neither_blocks_nor_dies(tmp_path: Path) -> None:
    result = run(["sh", "-c", "sleep 300 & echo $!"], timeout=60)
    pid = int(result.stdout)
    assert running(pid)
    os.kill(pid, signal.SIGKILL)


def test_environment_is_minimal_and_explicit_ones_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("KUBECONFIG", "/k")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/g")
    names = {line.partition("=")[0] for line in run(["env"], timeout=10).stdout.splitlines()}
    assert "PATH" in names
    assert not names & {"AWS_SECRET_ACCESS_KEY", "KUBECONFIG", "GOOGLE_APPLICATION_CREDENTIALS"}
    assert run(["/usr/bin/env"], timeout=10, env={"ONLY": "this"}).stdout == "ONLY=this\n"
    assert minimal_env(KUBECONFIG="/mine")["KUBECONFIG"] == "/mine"


def killed_parent(body: str) -> int:
    """Start a Python that runs `body`, which prints a child's pid; kill -9 it then and return the pid."""
    parent = subprocess.Popen(python(body), stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert running(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    return pid


def test_a_run_dies_with_its_parent_even_from_a_worker_thread() -> None:
    body = """
import threading
from boatyard.run import run
work = lambda: run(["sh", "-c", "echo $$; exec sleep 300"], timeout=600, on_line=lambda l: print(l, flush=True))
thread = threading.Thread(target=work); thread.start(); thread.join()
"""
    assert wait_gone(killed_parent(body))


@pytest.mark.parametrize("bound", [True, False], ids=["die_with_parent", "outlive"])
def test_start_dies_with_its_parent_only_when_asked(tmp_path: Path, bound: bool) -> None:
    body = f"""
from pathlib import Path
from boatyard.run import start
child = start(["sleep", "300"], log=Path({str(tmp_path / "log")!r}), die_with_parent={bound})
print(child.pid, flush=True)
child.wait(300)
"""
    pid = killed_parent(body)
    if bound:
        assert wait_gone(pid)
    else:
        assert running(pid)
        os.kill(pid, signal.SIGKILL)


def test_started_from_a_thread_that_ends_it_lives_on(tmp_path: Path) -> None:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(start(["sleep", "300"], log=tmp_path / "log")))
    thread.start()
    thread.join()
    (child,) = found
    assert child.wait(0.3) is None  # type: ignore[attr-defined]
    assert child.stop(5) == -signal.SIGTERM  # type: ignore[attr-defined]


def test_stop_lets_it_end_in_order_then_ends_the_group(tmp_path: Path) -> None:
    log = tmp_path / "sub" / "log"
    script = "trap 'echo bye; exit 4' TERM; sleep 300 & echo $!; wait"
    child = start(["sh", "-c", script], log=log)
    pid = int(eventually(lambda: log.read_text().strip()))
    assert child.poll() is None
    assert child.stop(10) == 4
    assert log.read_text().endswith("bye\n")
    assert wait_gone(pid)
    assert child.stop(1) == 4
    assert log.stat().st_mode & 0o777 == 0o600


def test_stop_kills_what_does_not_listen(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = start(["sh", "-c", "trap '' TERM; echo on; while :; do sleep 1; done"], log=log)
    eventually(lambda: log.read_text())
    assert child.stop(0.2) == -signal.SIGKILL
    assert child.poll() == -signal.SIGKILL


def test_start_names_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(MissingTool, match="no-such-program"):
        start(["no-such-program"], log=tmp_path / "log")


def eventually(look: Callable[[], str]) -> str:
    event = threading.Event()
    for _ in range(500):
        if found := look():
            return found
        event.wait(0.02)
    raise AssertionError("it never came")


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (PEM, "MIIEabc"),
        ("-----BEGIN PRIVATE KEY-----\ncut off", "cut off"),
        ("Authorization: Bearer abcdef.123456", "abcdef.123456"),
        ("id AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI/K7MDENG"),
        ("    client-key-data: LS0tLS1CRUdJTg==", "LS0tLS1CRUdJTg"),
        ('{"password": "two words", "b": 1}', "two words"),
        (r'"{\"token\": \"abc def\"}"', "abc def"),
        ("password='it is secret'", "it is secret"),
        ("--token abcdef --verbose", "abcdef"),
        ("postgresql://joe:s3cret@db/x", "s3cret"),
        ("x eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJr.c2ln y", "eyJpc3MiOiJr"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize("text", ["https://host:8080/a@b", "4 tokens used", 'secret "shop" not found', "tokenizer ok"])
def test_harmless_text_stays(text: str) -> None:
    assert redact(text) == text


def test_given_secrets_go_in_every_common_form() -> None:
    out = redact("p@ss w/rd cEBzcyB3L3Jk p%40ss%20w%2Frd", secrets=["p@ss w/rd"])
    assert out == "*** *** ***"


def test_a_key_that_spans_lines_never_shows_in_live_lines() -> None:
    seen: list[str] = []
    run(["sh", "-c", f"echo before; echo '{PEM}'; echo after"], timeout=10, on_line=seen.append)
    assert seen == ["before", "***", "after"]


def test_redaction_of_long_hostile_text_ends() -> None:
    text = "password" * 50_000 + "://a:" * 50_000
    assert Redactor().text(text)
