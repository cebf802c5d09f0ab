"""One real control plane for all tests of this folder: etcd, API server, controllers, scheduler, and KWOK for nodes."""

import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from boatyard.clock import Deadline, SystemClock
from boatyard.drivers.kwok.ports import NAMES as PORTS
from boatyard.errors import Temporary
from boatyard.kube.client import Client
from boatyard.run import minimal_env, run
from boatyard.settings import Settings
from tests.unit.kube.certificates import make_authority

_PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
    "kwokctl",
    "kubectl",
    "helm",
)


def program(name: str) -> Path:
    """The newest built program of that name in the tool cache; skips the test when there is none."""
    found = sorted((Settings.load().cache / "tools" / name).glob(f"*/{name}"))
    if not found:
        pytest.skip(f"{name} is not in the tool cache; run `make tools`")
    return found[-1]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _configuration(programs: dict[str, Path]) -> dict[str, object]:
    options: dict[str, object] = {"runtime": "binary", "bindAddress": "127.0.0.1", "kubeVersion": "v1.36.3"}
    options |= dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
    options |= {
        "etcdBinary": str(programs["etcd"]),
        "kubeApiserverBinary": str(programs["kube-apiserver"]),
        "kubeControllerManagerBinary": str(programs["kube-controller-manager"]),
        "kubeSchedulerBinary": str(programs["kube-scheduler"]),
        "kwokControllerBinary": str(programs["kwok"]),
        "kubectlBinary": str(programs["kubectl"]),
    }
    return {"apiVersion": "config.kwok.x-k8s.io/v1alpha1", "kind": "KwokctlConfiguration", "options": options}


@pytest.fixture(scope="session")
def kubeconfig() -> Iterator[dict[str, object]]:
    """Kubeconfig of a control plane without nodes, gone when the session ends."""
    programs = {name: program(name) for name in _PROGRAMS}
    folder = Path(tempfile.mkdtemp(prefix="boatyard-kube-"))
    env = minimal_env(KWOK_WORKDIR=str(folder / "work"), HOME=str(folder))
    config = folder / "kwokctl.yaml"
    config.write_text(yaml.safe_dump(_configuration(programs)))
    kubeconfig = folder / "kubeconfig"
    kwokctl = [programs["kwokctl"], "--name=kube-tests", f"--config={config}"]
    try:
        run([*kwokctl, "create", "cluster", f"--kubeconfig={kubeconfig}", "--wait=60s"], timeout=120, env=env)
        document = yaml.safe_load(kubeconfig.read_text())
        _wait_ready(document)
        yield document
    finally:
        run([*kwokctl, "delete", "cluster", f"--kubeconfig={kubeconfig}"], timeout=60, env=env, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_ready(document: dict[str, object]) -> None:
    """Until the API server is ready and the controllers have made the default service account."""
    clock, never = SystemClock(), threading.Event()
    deadline = Deadline.after(90, "starting the control plane", clock)
    with Client(document, retries=0) as client:
        while True:
            deadline.check()
            with contextlib.suppress(Temporary):
                if client.raw("GET", "/readyz", check=False).status == 200:
                    break
            clock.wait(never, 0.2)
        for event in client.watch("/api/v1/namespaces/default/serviceaccounts", timeout=deadline.left):
            if event.type != "SYNCED" and event.object["metadata"]["name"] == "default":
                return
    pytest.fail("the control plane did not come up")


@pytest.fixture(scope="session")
def client(kubeconfig: dict[str, object]) -> Iterator[Client]:
    with Client(kubeconfig) as client:
        yield client


def make_node(client: Client, name: str, *, cpu: str = "32", labels: dict[str, str] | None = None) -> None:
    """A node that KWOK keeps alive."""
    client.create(
        "/api/v1/nodes",
        {
            "metadata": {
                "name": name,
                "annotations": {"kwok.x-k8s.io/node": "fake"},
                "labels": {"type": "kwok", **(labels or {})},
            },
            "status": {"allocatable": {"cpu": cpu, "memory": "256Gi", "pods": "250"}},
        },
    )


@pytest.fixture(scope="session")
def node(client: Client) -> str:
    """One Ready node for pods of the tests."""
    make_node(client, "node-0")
    for event in client.watch("/api/v1/nodes", timeout=30, fieldSelector="metadata.name=node-0"):
        conditions = (event.object.get("status") or {}).get("conditions") or []
        if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
            return "node-0"
    pytest.fail("the node did not become Ready")


@pytest.fixture
def namespace(client: Client, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    name = client.create("/api/v1/namespaces", {"metadata": {"generateName": "test-"}})["metadata"]["name"]
    yield name
    client.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `make_authority`."""
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """Name → program, as drivers get it."""
    return program
