"""The control plane's processes: made, started, stopped and removed through kwokctl, and judged by what they answer."""

import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import cast

from boatyard.drivers.base import Env
from boatyard.drivers.kwok import access, config, ports, processes, state
from boatyard.drivers.kwok.processes import COMPONENTS
from boatyard.drivers.kwok.spec import Provider
from boatyard.drivers.kwok.state import Intent, Layout, Record
from boatyard.errors import NotFound, Permanent, Temporary, Unsafe
from boatyard.kube.client import Client
from boatyard.redact import redact
from boatyard.run import run
from boatyard.spec.models import Cluster

_PAUSE = 0.05  # seconds between two looks at a server that does not answer yet: there is nothing to watch before that
_STARTS = 4  # how often a start is tried; controllers give up by themselves when the API server is slow to come
_DYING = 5.0  # seconds a killed component's sockets may outlive its name in the process table
_KWOKCTL = 120.0  # seconds one kwokctl command may take; it does not wait for the cluster


class ControlPlane:
    """One cluster's control plane. Every method looks first and does only what is missing."""

    def __init__(self, cluster: Cluster, env: Env, layout: Layout) -> None:
        self.cluster, self.env, self.layout = cluster, env, layout

    def create(self) -> None:
        """Up and answering, whatever was there: nothing, a half-made, stopped, broken or half-deleted cluster."""
        record = state.load(self.layout)
        if record is not None and record.intent == "deleting":
            self.env.report(f"{self.layout.name}: finishing its deletion first")
            self.delete()
            record = None
        if record is None:
            record = self._order()
        if not config.installed(self.layout):
            if record.intent != "creating":
                raise Permanent(
                    f"cluster {self.layout.name} is damaged: {self.layout.folder} lacks files it cannot run without.",
                    hint="Delete it and create it again.",
                )
            record = self._install(record)
        self.start()
        self._intend("running")

    def start(self) -> None:
        """Start what does not run, and wait until every component answers. `DeadlineExceeded` names who does not."""
        record = self._record()
        if record.intent == "hibernated":
            self._intend("running")
        starts = 0
        while waiting := self._unready():
            if missing := self.missing():
                starts += 1
                if starts > _STARTS:
                    raise Permanent(self._why_dead(missing))
                self._start(missing)
            self.env.deadline.check(waiting)
            self.env.clock.wait(self.env.stopped, _PAUSE)

    def wake(self) -> None:
        """Like `start`. `NotFound` when there is nothing to wake."""
        if not config.installed(self.layout):
            raise NotFound(f"there is no cluster {self.layout.name}.")
        self.start()

    def stop(self) -> None:
        """All processes gone, files kept."""
        if not (live := self._live()):
            return
        self.env.fence()
        processes.reconcile_pid_files(self.layout)
        self._kwokctl("stop", "cluster")
        processes.end(live)
        self.env.report(f"{self.layout.name}: stopped")

    def hibernate(self) -> None:
        """Stopped on purpose. The intent is written first: cut off in between, it is still known what was wanted."""
        self._intend("hibernated")
        self.stop()

    def upgrade(self, to: str) -> None:
        """One minor up: stop, change the version, start. Cut off anywhere, it is done again from there."""
        current = self.version()
        if current is None:
            raise NotFound(f"cluster {self.layout.name} has no control plane to upgrade.")
        if self._record().intent == "hibernated":
            raise Unsafe(f"cluster {self.layout.name} is hibernated.", hint="Wake it before its upgrade.")
        if to != current:
            _check_step(self.layout.name, current, to, type(self.cluster.provider).minors)
            self.stop()
            self.env.fence()
            config.set_emulated_version(self.layout, to)
            self.env.report(f"{self.layout.name}: Kubernetes {current} → {to}")
        self.start()

    def delete(self) -> None:
        """Every process, file and port. A no-op when nothing is there."""
        record = state.load_or_none(self.layout)
        if record is None and not self.layout.folder.exists() and not self._live() and not self.layout.record.exists():
            return
        self.env.fence()
        state.save(self.layout, replace(record or Record("deleting", ""), intent="deleting"))
        self.env.fence()
        live = [proc.pid for proc in processes.at_work(self.layout)]
        if self.layout.kwok_yaml.exists():
            processes.reconcile_pid_files(self.layout)
            self._kwokctl("delete", "cluster", "--kubeconfig=/dev/null", check=False)
        processes.end(live)  # a process that is about to end no longer says whose it is: wait for those seen before
        processes.end(proc.pid for proc in processes.at_work(self.layout))
        self.env.fence()
        _remove(self.layout.folder)
        self.layout.config.unlink(missing_ok=True)
        self.layout.audit_policy.unlink(missing_ok=True)
        self.env.fence()
        with state.locked(self.layout.workdir):
            self.layout.record.unlink(missing_ok=True)
        self.env.report(f"{self.layout.name}: deleted")

    def version(self) -> str | None:
        """The minor it runs, or will run once started."""
        return config.emulated_version(self.layout)

    def missing(self) -> list[str]:
        """Components without a live process."""
        live = processes.components(self.layout)
        return [component for component in COMPONENTS if component not in live]

    def client(self, *, timeout: float = 30, retries: int = 3) -> Client:
        """As the cluster's own administrator. `NotFound` when the cluster is absent."""
        return Client(
            access.admin(self.layout, self._record().ports["kubeApiserverPort"]), timeout=timeout, retries=retries
        )

    # parts

    def _order(self) -> Record:
        """Reserve ports and write down that a cluster is wanted, before anything else is there."""
        if self.layout.folder.exists():
            raise Permanent(
                f"{self.layout.folder} exists, but Boatyard has no record of a cluster {self.layout.name}.",
                hint=f"Run `boatyard delete {self.layout.name}` to clear it away.",
            )
        self.env.fence()
        return self._reserve(Record("creating", minor(self.cluster.kubernetes.version)))

    def _reserve(self, record: Record) -> Record:
        with state.locked(self.layout.workdir):
            taken = ports.reserved(self.layout.workdir, but=self.layout.name)
            ordered = replace(record, ports=ports.choose(taken))
            state.save(self.layout, ordered)
        return ordered

    def _install(self, record: Record) -> Record:
        """Let kwokctl lay out and start a new cluster. What a killed creation left was never used, so it is removed."""
        version = minor(self.cluster.kubernetes.version)
        self.env.fence()
        processes.end(proc.pid for proc in processes.at_work(self.layout))
        _remove(self.layout.folder)
        if not record.ports or not all(ports.is_free(port) for port in record.ports.values()):
            record = self._reserve(record)
        record = replace(record, version=version)
        state.save(self.layout, record)
        state.write_atomically(self.layout.config, self._configuration(version, record))
        self.env.fence()
        self.env.report(f"{self.layout.name}: creating a control plane, Kubernetes {version}")
        # Without node leases: a restarted KWOK is somebody new to them, and would leave its nodes alone for 200 s.
        flags = ("--kubeconfig=", "--runtime=binary", "--node-lease-duration-seconds=0")
        self._kwokctl("create", "cluster", *flags, config=self.layout.config)
        if not config.installed(self.layout):
            raise Temporary(f"kwokctl did not finish the layout of {self.layout.folder}.")
        return record

    def _configuration(self, version: str, record: Record) -> str:
        provider = cast(Provider, self.cluster.provider)
        policy = self.layout.audit_policy if provider.audit else None
        if policy is not None:
            state.write_atomically(policy, config.AUDIT_POLICY)
        return config.document(
            version,
            record.ports,
            self.cluster.network,
            self.env.tool,
            runtime_config=provider.runtime_config,
            audit_policy=policy,
        )

    def _start(self, missing: list[str]) -> None:
        self._check_ports(missing)
        self.env.fence()
        processes.reconcile_pid_files(self.layout)
        self.env.report(f"{self.layout.name}: starting {', '.join(missing)}")
        self._kwokctl("start", "cluster")

    def _check_ports(self, missing: list[str]) -> None:
        """A port that stays taken is somebody else's; one of a component that just died is free in a moment."""
        patience = self.env.deadline.sooner(_DYING, "waiting for ports")
        record = self._record()
        for component in missing:
            for name in ports.COMPONENT_PORTS[component]:
                port = record.ports[name]
                while not ports.is_free(port):
                    if patience.passed:
                        raise Permanent(
                            f"port {port} on 127.0.0.1, which {component} of cluster {self.layout.name} needs,"
                            " is taken by another program.",
                            hint=f"Stop that program (`ss -ltnp sport = :{port}` names it) and run again.",
                        )
                    patience.stopped.check(patience.what)
                    self.env.clock.wait(self.env.stopped, _PAUSE)

    def _unready(self) -> str:
        """What is not ready yet, for people; empty when all is."""
        if missing := self.missing():
            return ", ".join(missing)
        try:
            with self.client(timeout=5, retries=0) as client:
                answer = client.raw("GET", "/readyz", check=False)
                if answer.status != 200:
                    return f"kube-apiserver (/readyz answers {answer.status})"
                running = served_minor(client.version())
                if running != self.version():
                    return f"kube-apiserver {self.version()} (it still answers as {running})"
                client.get("/api/v1/namespaces/default/serviceaccounts/default")
        except NotFound:
            return "the default service account"
        except Temporary:
            return "kube-apiserver"
        record = self._record()
        for component in ("kube-scheduler", "kube-controller-manager", "kwok-controller"):
            if not _listens(record.ports[ports.COMPONENT_PORTS[component][0]]):
                return component
        return ""

    def _why_dead(self, missing: list[str]) -> str:
        name = missing[0]
        try:
            lines = self.layout.log(name).read_text(errors="replace").strip().splitlines()[-8:]
        except OSError:
            lines = []
        said = redact("\n".join(lines))[-1500:]
        who = f"{', '.join(missing)} of cluster {self.layout.name}"
        return f"{who} ended right after each of {_STARTS} starts; {name} said: {said or 'nothing'}"

    def _live(self) -> list[int]:
        return [proc.pid for procs in processes.components(self.layout).values() for proc in procs]

    def _record(self) -> Record:
        record = state.load(self.layout)
        if record is None:
            raise NotFound(f"there is no cluster {self.layout.name}.")
        return record

    def _intend(self, intent: Intent) -> None:
        record = self._record()
        if record.intent != intent:
            self.env.fence()
            state.save(self.layout, replace(record, intent=intent))

    def _kwokctl(self, *arguments: str, config: Path | None = None, check: bool = True) -> None:
        env = {
            "PATH": str(self.layout.workdir / "no-programs"),  # it prefers any kubectl it finds to the configured one
            "HOME": str(self.layout.workdir),  # keeps it off the user's ~/.kwok and ~/.kube
            "KWOK_WORKDIR": str(self.layout.workdir),
            "GOGC": "200",  # the components inherit it: an eighth less time for 80 MB more
        }
        command: list[str | Path] = [self.env.tool("kwokctl"), *arguments, f"--name={self.layout.name}"]
        if config is not None:
            command.append(f"--config={config}")
        limit = max(1.0, min(self.env.deadline.left, _KWOKCTL))
        run(command, timeout=limit, env=env, check=check, stopped=self.env.stopped)


def served_minor(version: dict[str, str]) -> str:
    """`/version` → the minor that is served."""
    return f"{version.get('emulationMajor') or version['major']}.{version.get('emulationMinor') or version['minor']}"


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _check_step(name: str, current: str, to: str, known: tuple[str, ...]) -> None:
    have, want = int(current.split(".")[1]), int(to.split(".")[1])
    if want < have:
        raise Unsafe(f"cluster {name} runs Kubernetes {current}; going down to {to} is not possible.")
    if want > have + 1:
        raise Unsafe(
            f"cluster {name} runs Kubernetes {current}; {to} skips a minor.", hint=f"Upgrade to 1.{have + 1} first."
        )
    if to not in known:
        raise Permanent(f"the kwok driver has no Kubernetes {to}; it has {', '.join(known)}.")


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Permanent(f"cannot remove {folder}: {error.strerror or error}.") from None
