"""The AWS twin as its user sees it: started, asked for its environment, stopped."""

import fcntl
import http.client
import json
import os
import select
import sys
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from boatyard.errors import DeadlineExceeded, Held, MissingTool, Permanent
from boatyard.run import Process, minimal_env, start
from boatyard.sandbox.aws import seed
from boatyard.sandbox.aws.faults import Faults
from boatyard.sandbox.aws.gate import ASSETS, FAULTS
from boatyard.tools.catalogue import KOPS
from boatyard.tools.toolbox import Toolbox

REGION = "us-east-1"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
_GRACE = 20.0  # seconds the child may take to end its control planes before it is killed
_KEY, _SECRET = "AKIASANDBOX000000000", "sandbox"


@dataclass(frozen=True)
class Orders:
    """What the child is told: a folder of its own, where to report readiness, programs by name (none: no control
    planes), what is to go wrong, and the seconds from a machine's launch until it joins its cluster."""

    folder: str
    ready: str
    programs: dict[str, str]
    faults: dict[str, Any] | None = None
    boot: float = 0.0


class Sandbox:
    """A running AWS twin. A context manager; everything it started ends with it, and with this process."""

    def __init__(self, process: Process, folder: Path, endpoint: str, api_server: str, lock: int) -> None:
        self._process, self._lock = process, lock
        self.folder, self.endpoint, self.api_server = folder, endpoint, api_server

    @classmethod
    def start(
        cls,
        folder: Path,
        tools: Toolbox | None = None,
        *,
        timeout: float = 60,
        faults: Faults | None = None,
        boot: float = 0.0,
    ) -> "Sandbox":
        """Start one and wait until it answers.

        folder: made when missing; state and logs are kept there, and one sandbox at a time has it. tools: where the
        control plane's programs are; None gives an account without control planes. timeout: seconds until
        `DeadlineExceeded`. faults: what is to go wrong from the first request on. boot: seconds from a
        machine's launch until it joins its cluster, as it takes to boot; a control plane forms after that.
        `MissingTool` when moto or a program is not installed, `Held` when another sandbox has the folder, `Permanent`
        when the child ends at once.
        """
        if find_spec("moto") is None or find_spec("flask") is None:
            raise MissingTool("The sandbox needs moto, which is not installed.", hint="Install boatyard[sandbox].")
        folder = folder.absolute()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        programs = {name: str(tools.path(name)) for name in PROGRAMS} if tools is not None else {}
        disturbed = asdict(faults) if faults is not None else None
        lock = _lock(folder)
        try:
            process, told = _start(
                folder, Orders(str(folder), str(folder / "ready"), programs, disturbed, boot), timeout
            )
        except BaseException:
            os.close(lock)
            raise
        return cls(process, folder, told["endpoint"], told["api_server"], lock)

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to use this account instead of any other: endpoints, credentials that mean nothing,
        and no file of the user's own."""
        near = ",".join(filter(None, (os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), "127.0.0.1,localhost")))
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(self.folder / "no-aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "no-aws-credentials"),
            "S3_ENDPOINT": self.endpoint,
            "S3_ACCESS_KEY_ID": _KEY,
            "S3_SECRET_ACCESS_KEY": _SECRET,
            "S3_REGION": REGION,
            "KOPS_BASE_URL": f"{self.endpoint}{ASSETS}{KOPS}",  # kOps takes the last part for its own version
            "NO_PROXY": near,
            "no_proxy": near,
        }

    @property
    def pid(self) -> int:
        """The child's process number."""
        return self._process.pid

    @property
    def channel(self) -> str:
        """`file://…` of a kOps channel with what the sandbox can run."""
        return seed.write_channel(self.folder / "channel.yaml")

    def disturb(self, faults: Faults | None) -> None:
        """From now on this goes wrong, counted from the beginning; None: nothing."""
        self._ask("PUT", json.dumps(asdict(faults) if faults is not None else None))

    def injected(self) -> dict[str, int]:
        """Kind of fault → how many of it there were since `disturb`, or since the start."""
        found: dict[str, int] = self._ask("GET")
        return found

    def _ask(self, method: str, body: str | None = None) -> Any:
        connection = http.client.HTTPConnection(self.endpoint.removeprefix("http://"), timeout=30)
        try:
            connection.request(method, FAULTS, body)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    @property
    def running(self) -> bool:
        """Does the child still run?"""
        return self._process.poll() is None

    def wait(self, timeout: float) -> int | None:
        """Wait up to `timeout` seconds for the child's end; its exit code, or None while it runs."""
        return self._process.wait(timeout)

    def stop(self) -> None:
        """End every process. May be called twice."""
        self._process.stop(_GRACE)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _lock(folder: Path) -> int:
    """The folder is ours until the descriptor is closed, or this process ends."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise Held(f"Another sandbox uses {folder}.", hint="Use it, or stop it first.") from None
    return lock


def _start(folder: Path, given: Orders, timeout: float) -> tuple[Process, dict[str, str]]:
    """The child, and what it told once it answered, through a named pipe."""
    ready, orders = Path(given.ready), folder / "orders.json"
    ready.unlink(missing_ok=True)
    os.mkfifo(ready, 0o600)
    orders.write_text(json.dumps(asdict(given)))
    reader = os.open(ready, os.O_RDONLY | os.O_NONBLOCK)
    try:
        process = start(
            [sys.executable, "-m", "boatyard.sandbox.aws.server", orders],
            log=folder / "server.log",
            env=_child_environment(folder),
        )
        return process, _await(process, reader, timeout)
    finally:
        os.close(reader)
        ready.unlink(missing_ok=True)


def _child_environment(folder: Path) -> dict[str, str]:
    return minimal_env(
        MOTO_AMIS_PATH=str(seed.write(folder / "images.json")),
        MOTO_IAM_LOAD_MANAGED_POLICIES="true",
        AWS_ACCESS_KEY_ID=_KEY,
        AWS_SECRET_ACCESS_KEY=_SECRET,
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=str(folder / "no-aws-config"),
        AWS_SHARED_CREDENTIALS_FILE=str(folder / "no-aws-credentials"),
        NO_PROXY="127.0.0.1,localhost",
        no_proxy="127.0.0.1,localhost",
    )


def _await(process: Process, reader: int, timeout: float) -> dict[str, str]:
    """The child's one line, once it answers. A child that ends, or says nothing in time, is cleared away."""
    end = time.monotonic() + timeout
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    exit_ = os.pidfd_open(process.pid)
    poll.register(exit_, select.POLLIN)
    said = b""
    try:
        while not said.endswith(b"\n"):
            ready = dict(poll.poll(max(0.0, end - time.monotonic()) * 1000))
            if not ready:
                process.kill()
                raise DeadlineExceeded(f"The sandbox did not answer in {timeout:g} s; see {process.log}.")
            if reader in ready and (chunk := os.read(reader, 65536)):
                said += chunk
            elif exit_ in ready:
                code = process.kill()
                raise Permanent(f"The sandbox ended right after its start with exit code {code}; see {process.log}.")
    finally:
        os.close(exit_)
    told: dict[str, str] = json.loads(said)
    return told
