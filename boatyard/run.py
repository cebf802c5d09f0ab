"""The one place that starts a program.

Every child gets a session of its own, so that its whole process group can be ended, and a parent-death signal, so that
it does not outlive a killed flow. Linux sends that signal when the *thread* that forked ends, not the process. `run`
waits in the forking thread, which is therefore alive for as long as the child; `start` forks in a thread of ours that
lives until the process ends, so it may be called from any worker thread.
"""

import contextlib
import ctypes
import os
import queue
import re
import selectors
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from boatyard import ending
from boatyard.errors import DeadlineExceeded, Fenced, MissingTool, Permanent
from boatyard.redact import Redactor

_GRACE = 2.0  # seconds between SIGTERM and SIGKILL of a group that ran out of time
_DRAIN = 0.5  # seconds to read what is left in the pipes when the child is gone but a grandchild keeps them open
_STOP = 0.5  # seconds between two looks whether the program is to be stopped
_TAIL_LINES, _TAIL_CHARS = 12, 2000
_HINT = "Run `boatyard doctor` to see what is missing."

_KEPT = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM", "NO_COLOR"}
_KEPT |= {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"}
_KEPT |= {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "LD_LIBRARY_PATH"}
_KEPT |= {"GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOROOT", "GOTOOLCHAIN"}
_KEPT_PREFIXES = ("LC_", "XDG_", "BOATYARD_", "PIP_", "UV_")


@dataclass(frozen=True)
class Result:
    """How a program ended; `code` < 0 is a signal.

    `argv` is redacted; `stdout` and `stderr` are as printed, so keep them out of logs.
    """

    argv: tuple[str, ...]
    code: int
    stdout: str = field(repr=False)
    stderr: str = field(repr=False)
    seconds: float


def minimal_env(**extra: str) -> dict[str, str]:
    """What `run` passes on by default, plus `extra`.

    Paths, locale, proxies and tool settings; no cloud credentials and no KUBECONFIG.
    """
    kept = {key: value for key, value in os.environ.items() if key in _KEPT or key.startswith(_KEPT_PREFIXES)}
    return kept | extra


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    input: str | bytes | None = None,  # noqa: A002
    check: bool = True,
    secrets: Sequence[str] = (),
    on_line: Callable[[str], None] | None = None,
    stopped: threading.Event | None = None,
) -> Result:
    """Run a program to its end and return what it printed.

    timeout: seconds for the whole run; then the group gets SIGTERM, two seconds later SIGKILL: `DeadlineExceeded`.
    env: the whole environment; None is `minimal_env()`.
    on_line: called with each redacted line of stdout and stderr as it comes.
    stopped: ends it like the time limit when set from another thread: `Fenced`.
    check: `Permanent`, with the last lines it printed, when the exit code is not 0.
    Raises `MissingTool` when there is no such program. Any exception, Ctrl-C too, ends the group first.
    Processes that the program left behind on a normal exit are not touched.
    """
    redactor = Redactor(secrets)
    shown = redactor.argv([str(part) for part in argv])
    data = input.encode() if isinstance(input, str) else input
    began, stopped = time.monotonic(), stopped or threading.Event()
    process = _spawn(
        argv,
        env,
        cwd,
        signal.SIGKILL,
        stdin=subprocess.DEVNULL if data is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        pump = _Pump(process, data, redactor, on_line)
        in_time = pump.until(began + timeout, stopped)
        if not in_time:
            ending.end_group(process, _GRACE)
    except BaseException:
        ending.end_group(process, 0)
        raise
    finally:
        _close_pipes(process)
    if not in_time:
        if stopped.is_set():  # not its fault, so what it said last is no reason
            raise Fenced(f"`{_command(shown)}` was stopped together with the operation that needed it.")
        said = _tail(redactor, pump.stderr or pump.stdout)
        raise DeadlineExceeded(f"`{_command(shown)}` did not end in {timeout:g} s and was stopped.{said}")
    result = Result(shown, process.wait(), pump.stdout, pump.stderr, time.monotonic() - began)
    if check and result.code != 0:
        how = f"ended with exit code {result.code}" if result.code > 0 else f"was ended by signal {-result.code}"
        raise Permanent(f"`{_command(shown)}` {how}.{_tail(redactor, result.stderr.strip() or result.stdout)}")
    return result


class Process:
    """A long-running child: a server or a worker. It is reaped by `stop` or `kill`."""

    def __init__(self, child: "subprocess.Popen[bytes]", shown: tuple[str, ...], log: Path) -> None:
        self._child, self.argv, self.log, self.pid = child, shown, log, child.pid

    def poll(self) -> int | None:
        """The exit code (negative: a signal), or None while it runs."""
        return ending.exit_code(self._child)

    def wait(self, timeout: float) -> int | None:
        """Wait up to `timeout` seconds for its end; the exit code, or None when it still runs."""
        ending.wait(self._child, time.monotonic() + timeout)
        return self.poll()

    def stop(self, grace: float) -> int:
        """Ask it to end, then make sure of it. Returns the exit code.

        SIGTERM goes to the child alone, so that it can end its own children in order; once it ended, or after `grace`
        seconds, what is left of its group gets SIGKILL.
        """
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            ending.wait(self._child, time.monotonic() + grace)
        return self.kill()

    def kill(self) -> int:
        """SIGKILL to its whole group, then reap it. Returns the exit code; may be called again."""
        return ending.end_group(self._child, 0)


def start(
    argv: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    die_with_parent: bool = True,
) -> Process:
    """Start a program that runs on. Its output goes, as printed, to the end of `log` (mode 0600); stdin is empty.

    die_with_parent: it gets SIGTERM when this process ends in whatever way, kill -9 included.
    env: the whole environment; None is `minimal_env()`. May be called from any thread.
    Raises `MissingTool` when there is no such program.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as out:
        signal_ = signal.SIGTERM if die_with_parent else None
        child = _forker.call(
            lambda: _spawn(argv, env, cwd, signal_, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        )
    return Process(child, Redactor().argv([str(part) for part in argv]), log)


class _Forker:
    """Forks in a thread that never ends, because the parent-death signal is tied to the forking thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Callable[[], None]] | None = None
        self._owner = 0

    def call(self, job: "Callable[[], subprocess.Popen[bytes]]") -> "subprocess.Popen[bytes]":
        done: queue.SimpleQueue[subprocess.Popen[bytes] | BaseException] = queue.SimpleQueue()

        def attempt() -> None:
            try:
                done.put(job())
            except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
                done.put(error)

        self._queue().put(attempt)
        answer = done.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _queue(self) -> "queue.SimpleQueue[Callable[[], None]]":
        with self._lock:
            if self._jobs is None or self._owner != os.getpid():  # threads do not survive a fork
                self._jobs, self._owner = queue.SimpleQueue(), os.getpid()
                threading.Thread(target=self._work, args=(self._jobs,), name="boatyard-forker", daemon=True).start()
            return self._jobs

    @staticmethod
    def _work(jobs: "queue.SimpleQueue[Callable[[], None]]") -> None:
        while True:
            jobs.get()()


_forker = _Forker()
# PyDLL keeps the GIL during the call, and everything is looked up here: between fork and exec nothing may be imported,
# locked or waited for.
_prctl = ctypes.PyDLL(None).prctl if sys.platform == "linux" else None


def _death_signal(number: int) -> Callable[[], None] | None:
    prctl, parent, getppid, exit_ = _prctl, os.getpid(), os.getppid, os._exit
    if prctl is None:
        return None

    def before_exec() -> None:
        prctl(1, number, 0, 0, 0)  # PR_SET_PDEATHSIG
        if getppid() != parent:  # the parent ended before the call
            exit_(127)

    return before_exec


def _spawn(
    argv: Sequence[str | Path],
    env: Mapping[str, str] | None,
    cwd: Path | None,
    death: signal.Signals | None,
    **streams: object,
) -> "subprocess.Popen[bytes]":
    if not argv:
        raise ValueError("run() needs a program")
    program = str(argv[0])
    if cwd is not None and not cwd.is_dir():
        raise Permanent(f"`{program}` cannot be started in {cwd}: there is no such folder.")
    try:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            [str(part) for part in argv],
            env=minimal_env() if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
            preexec_fn=_death_signal(death) if death else None,
            bufsize=0,
            **streams,
        )
    except FileNotFoundError:
        raise MissingTool(f"The program `{program}` is not installed.", hint=_HINT) from None
    except OSError as error:
        raise MissingTool(f"The program `{program}` cannot be started: {error.strerror}.", hint=_HINT) from None


class _Pump:
    """Moves input and output of a child until it ends, in the calling thread."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        data: bytes | None,
        redactor: Redactor,
        on_line: Callable[[str], None] | None,
    ) -> None:
        self._process, self._redactor, self._on_line = process, redactor, on_line
        self._unsent = memoryview(data or b"")
        self._output: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self._reported = {"stdout": 0, "stderr": 0}

    @property
    def stdout(self) -> str:
        return self._output["stdout"].decode(errors="replace")

    @property
    def stderr(self) -> str:
        return self._output["stderr"].decode(errors="replace")

    def until(self, end: float, stopped: threading.Event) -> bool:
        """False when `end` (monotonic seconds), or `stopped`, came first."""
        with selectors.DefaultSelector() as selector, ending.exit_fd(self._process) as exit_fd:
            for name in self._output:
                selector.register(_pipe(self._process, name), selectors.EVENT_READ, name)
            if (stdin := self._process.stdin) is not None:
                os.set_blocking(stdin.fileno(), False)
                selector.register(stdin, selectors.EVENT_WRITE, "stdin")
            if exit_fd is not None:
                selector.register(exit_fd, selectors.EVENT_READ, "exit")
            gone = False
            while not (gone and not self._open(selector)):
                if (left := end - time.monotonic()) <= 0 or stopped.is_set():
                    if not gone:
                        return False
                    break
                for key, _ in selector.select(min(left, _STOP if exit_fd is not None else 0.05)):
                    if key.data != "exit":
                        self._serve(selector, key.data)
                if not gone and ending.exit_code(self._process) is not None:
                    gone, end = True, min(end, time.monotonic() + _DRAIN)
                    if exit_fd is not None:
                        selector.unregister(exit_fd)
            self._report(last=True)
            return True

    @staticmethod
    def _open(selector: selectors.BaseSelector) -> bool:
        return any(key.data in ("stdout", "stderr") for key in selector.get_map().values())

    def _serve(self, selector: selectors.BaseSelector, name: str) -> None:
        pipe = _pipe(self._process, name)
        if name == "stdin":
            try:
                self._unsent = self._unsent[os.write(pipe, self._unsent[:65536]) :]
            except BrokenPipeError:  # the program does not want the rest
                self._unsent = memoryview(b"")
            if not self._unsent:
                selector.unregister(pipe)
                self._process.stdin.close()  # type: ignore[union-attr]
        elif chunk := os.read(pipe, 65536):
            self._output[name] += chunk
            self._report()
        else:
            selector.unregister(pipe)

    def _report(self, *, last: bool = False) -> None:
        if self._on_line is None:
            return
        for name, output in self._output.items():
            stop = len(output) if last else max(output.rfind(b"\n"), output.rfind(b"\r")) + 1
            begin, self._reported[name] = self._reported[name], max(stop, self._reported[name])
            for line in re.split(r"\r\n|\n|\r", output[begin:stop].decode(errors="replace")):
                if line.strip() and (clean := self._redactor.line(line)) is not None:
                    self._on_line(clean)


def _pipe(process: "subprocess.Popen[bytes]", name: str) -> int:
    return int(getattr(process, name).fileno())


def _close_pipes(process: "subprocess.Popen[bytes]") -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _command(shown: Sequence[str]) -> str:
    text = shlex.join([Path(shown[0]).name, *shown[1:]])
    return text if len(text) <= 200 else text[:197] + "…"


def _tail(redactor: Redactor, output: str) -> str:
    text = redactor.text(output[-50_000:].strip())
    last = "\n".join(text.splitlines()[-_TAIL_LINES:])[-_TAIL_CHARS:]
    return f" It said: {last}" if last else ""
