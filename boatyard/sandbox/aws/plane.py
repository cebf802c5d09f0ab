"""One cluster's control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler and KWOK as processes."""

import base64
import ipaddress
import json
import os
import select
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boatyard.clock import Clock, Deadline, SystemClock
from boatyard.drivers.kwok import ports
from boatyard.errors import BoatyardError, Permanent, Temporary
from boatyard.kube.client import Client
from boatyard.run import Process, start
from boatyard.sandbox.aws import flags
from boatyard.sandbox.aws.etcd import Etcd
from boatyard.sandbox.aws.keysets import issue
from boatyard.sandbox.aws.model import Keys

_PAUSE = 0.05  # seconds between two looks at a server that does not answer yet: there is nothing to watch before that
_PATIENCE = 180.0  # seconds a control plane may take to answer on a busy machine
_STARTS = 3  # a port may be taken by somebody else between its choice and its use
_BEHIND = ("kube-controller-manager", "kube-scheduler")  # they give up when the API server is slow: started after it

_choosing = threading.Lock()
_chosen: dict[str, tuple[int, ...]] = {}


@dataclass(frozen=True)
class Settings:
    """What a control plane runs with. version: the minor it emulates. names: server names in its certificate."""

    version: str
    keys: Keys = field(repr=False)
    names: tuple[str, ...]
    services: str
    pods: str


class ControlPlane:
    """Started, changed and stopped from one thread. `died` is called, in another, when a process ends by itself."""

    def __init__(self, name: str, folder: Path, programs: Mapping[str, str], died: Callable[[], None]) -> None:
        self.name, self.folder, self._programs, self._died = name, folder, programs, died
        self._clock: Clock = SystemClock()
        self._processes: dict[str, Process] = {}
        self._ports: dict[str, int] = {}
        self._guard: _Guard | None = None
        self._halted = threading.Event()
        self.settings: Settings | None = None

    @property
    def port(self) -> int:
        """The API server's port on 127.0.0.1; 0 before the first start."""
        return self._ports.get("kubeApiserverPort", 0)

    @property
    def running(self) -> bool:
        """Are all processes alive?"""
        return len(self._processes) == len(flags.COMPONENTS) and all(
            process.poll() is None for process in self._processes.values()
        )

    @property
    def emulated(self) -> str:
        """The minor that runs; empty when nothing does."""
        return self.settings.version if self.settings and self._processes else ""

    def ensure(self, settings: Settings) -> None:
        """Running with these settings, and answering. Objects are kept over every change."""
        if self.running and settings == self.settings:
            return
        if self.settings is not None and self._processes:
            keep = {"etcd"} if settings.keys != self.settings.keys else {"etcd", "kwok"}
            only_names = self.running and settings == _renamed(self.settings, settings.names)
            self._end(() if only_names else self._processes.keys() - keep)
        self.settings = settings
        for attempt in range(1, _STARTS + 1):
            try:
                self._start(settings)
                return
            except Temporary:
                self._end(self._processes)
                self._ports = {}
                if attempt == _STARTS:
                    raise

    @property
    def etcd(self) -> Etcd:
        """Where the cluster's objects are kept; it answers while the control plane runs."""
        return Etcd(self._ports.get("etcdPort", 0))

    def restore(self, settings: Settings, keys: Mapping[bytes, bytes]) -> None:
        """A new etcd with nothing but these, and all else started on it. As etcd-manager does it, what was there goes.

        `Permanent` when etcd does not take them.
        """
        self._end(self._processes)
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)
        self._choose_ports()
        self._spawn(self._arguments(settings), ("etcd",))
        deadline = Deadline.after(_PATIENCE, f"etcd of {self.name}", self._clock)
        while not self._etcd_answers():
            deadline.check("etcd")
            if self._clock.wait(self._halted, _PAUSE):
                raise Permanent(f"the start of {self.name} was given up.")
        self.etcd.fill(keys)
        self.ensure(settings)

    def stop(self) -> None:
        """Every process gone, etcd's data kept."""
        self._end(self._processes)

    def halt(self) -> None:
        """From any thread: whatever is under way gives up, for good."""
        self._halted.set()

    def remove(self) -> None:
        """Every process and file gone."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        with _choosing:
            _chosen.pop(self.name, None)
        self.settings, self._ports = None, {}

    def client(self, *, timeout: float = 30, retries: int = 3) -> Client:
        """As an administrator."""
        return Client(json.loads((self.folder / "admin.json").read_text()), timeout=timeout, retries=retries)

    # parts

    def _start(self, settings: Settings) -> None:
        self._choose_ports()
        self._write(settings)
        deadline = Deadline.after(_PATIENCE, f"the control plane of {self.name}", self._clock)
        arguments = self._arguments(settings)
        self._spawn(arguments, ("etcd", "kube-apiserver"))
        self._await_api(deadline, self._answers)
        self._spawn(arguments, (*_BEHIND, "kwok"))
        self._await_api(deadline, self._has_accounts)
        if self._guard is None:
            self._guard = _Guard(self._processes.values(), self._died)

    def _arguments(self, settings: Settings) -> dict[str, list[str]]:
        return flags.arguments(self.folder, self._ports, settings.version, settings.services, settings.pods)

    def _etcd_answers(self) -> bool:
        try:
            return bool(self.etcd.version())
        except Temporary:
            return False

    def _spawn(self, arguments: Mapping[str, list[str]], names: Iterable[str]) -> None:
        for name in names:
            if (process := self._processes.get(name)) is None or process.poll() is not None:
                if process is not None:
                    process.kill()  # nothing but reaping it
                self._processes[name] = start(
                    [self._programs[name], *arguments[name]],
                    log=self.folder / "logs" / f"{name}.log",
                    env={"PATH": os.defpath, "HOME": str(self.folder), "GOGC": "100"},
                )

    def _await_api(self, deadline: Deadline, ready: Callable[[Client], str]) -> None:
        """Until it is so. `Temporary` when a process ended meanwhile."""
        with self.client(timeout=5, retries=0) as client:
            while waiting := ready(client):
                dead = [name for name, process in self._processes.items() if process.poll() is not None]
                if dead:
                    raise Temporary(f"{', '.join(dead)} of {self.name} ended; it said: {self._last_words(dead[0])}")
                deadline.check(waiting)
                if self._clock.wait(self._halted, _PAUSE):
                    raise Permanent(f"the start of {self.name} was given up.")

    def _answers(self, client: Client) -> str:
        try:
            return "" if client.raw("GET", "/readyz", check=False).status == 200 else "kube-apiserver"
        except BoatyardError:
            return "kube-apiserver"

    def _has_accounts(self, client: Client) -> str:
        try:
            for namespace in ("default", "kube-system"):
                client.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
        except BoatyardError:
            return "the default service accounts"
        return ""

    def _end(self, names: Iterable[str]) -> None:
        ending = list(names)
        if ending and self._guard is not None:
            self._guard.stop()
            self._guard = None
        for name in [name for name in (*_BEHIND, "kwok", "kube-apiserver", "etcd") if name in ending]:
            if (process := self._processes.pop(name, None)) is not None:
                process.kill()  # etcd writes ahead: a kill loses nothing that was answered

    def _choose_ports(self) -> None:
        with _choosing:
            if not self._ports:
                taken = {port for name, chosen in _chosen.items() if name != self.name for port in chosen}
                self._ports = ports.choose(taken)
                _chosen[self.name] = tuple(self._ports.values())

    def _write(self, settings: Settings) -> None:
        """Certificates, keys and kubeconfig. kube-apiserver reads a changed serving certificate by itself."""
        pki = self.folder / "pki"
        pki.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority, account, now = settings.keys.authority, settings.keys.service_account, self._clock.now()
        first = str(next(ipaddress.ip_network(settings.services).hosts()))
        inside = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
        certificate, key = issue(authority, "kubernetes-master", now, names=(*settings.names, *inside, first))
        files = {
            "server.crt": certificate + authority.certificate,
            "server.key": key,
            "ca.crt": authority.bundle,
            "ca-primary.crt": authority.certificate,
            "ca-primary.key": authority.key,
            "service-account.pub": account.public_keys,
            "service-account.key": account.key,
        }
        for name, data in files.items():
            _write(pki / name, data)
        admin = issue(authority, "sandbox", now)
        _write(self.folder / "admin.json", json.dumps(_kubeconfig(self.port, authority.bundle, *admin)).encode())

    def _last_words(self, name: str) -> str:
        try:
            lines = (self.folder / "logs" / f"{name}.log").read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return "\n".join(lines[-5:])[-1000:] or "nothing"


class _Guard:
    """Hears at once when one of the processes ends."""

    def __init__(self, processes: Iterable[Process], died: Callable[[], None]) -> None:
        self._read, self._write = os.pipe()
        handles = [os.pidfd_open(process.pid) for process in processes]
        threading.Thread(target=self._wait, args=(handles, died), name="guard", daemon=True).start()

    def stop(self) -> None:
        os.close(self._write)

    def _wait(self, handles: list[int], died: Callable[[], None]) -> None:
        poll = select.poll()
        for descriptor in (*handles, self._read):
            poll.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll()}
        for descriptor in (*handles, self._read):
            os.close(descriptor)
        if self._read not in ready:
            died()


def _renamed(settings: Settings, names: tuple[str, ...]) -> Settings:
    return Settings(settings.version, settings.keys, names, settings.services, settings.pods)


def _write(file: Path, data: bytes) -> None:
    """Atomically, readable by us alone."""
    new = file.with_name(f"{file.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(data)
    new.replace(file)


def _kubeconfig(port: int, bundle: bytes, certificate: bytes, key: bytes) -> dict[str, Any]:
    text = [base64.b64encode(data).decode() for data in (bundle, certificate, key)]
    server = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": text[0]}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "sandbox",
        "clusters": [{"name": "sandbox", "cluster": server}],
        "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": "sandbox"}}],
        "users": [{"name": "sandbox", "user": {"client-certificate-data": text[1], "client-key-data": text[2]}}],
    }
