"""Each kOps cluster of the account gets a worker, which makes the live cluster what the account says."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from boatyard.clock import Clock, SystemClock
from boatyard.errors import BoatyardError, Permanent
from boatyard.sandbox.aws.backups import EVERY, Backups
from boatyard.sandbox.aws.boots import Boots
from boatyard.sandbox.aws.cloud import Cloud
from boatyard.sandbox.aws.model import Wanted
from boatyard.sandbox.aws.observe import Observer
from boatyard.sandbox.aws.plane import ControlPlane, Settings
from boatyard.sandbox.aws.register import Register
from boatyard.sandbox.aws.router import Router

_AGAIN = 1.0  # seconds after which what failed is tried again
_OLDEST = 3  # minors below its own that kube-apiserver emulates

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Means:
    """What a worker works with. newest: the minor that the programs are of, such as 36. endpoint: the account's own.
    boot: seconds from a machine's launch until it joins."""

    folder: Path
    programs: Mapping[str, str]
    router: Router
    newest: int
    endpoint: str
    boot: float = 0.0


class Controller:
    """Hears of every change of the account, and hands each cluster's part of it to the cluster's worker."""

    def __init__(self, means: Means) -> None:
        self._means, self._observer = means, Observer()
        self._workers: dict[str, Worker] = {}
        self._stopped = False

    def changed(self) -> None:
        """Look at the account again. Called under the gate's lock, so it starts work and waits for none."""
        if self._stopped:
            return
        wanted = self._observer.look()
        for name, cluster in wanted.items():
            worker = self._workers.get(name)
            if worker is None or not worker.want(cluster):
                self._workers[name] = worker = Worker(cluster, self._means)
                worker.start()
        for name in self._workers.keys() - wanted.keys():
            self._workers.pop(name).end()

    def stop(self) -> None:
        """End every control plane; returns when no process is left."""
        self._stopped = True
        workers = list(self._workers.values())
        for worker in workers:
            worker.end()
        for worker in workers:
            worker.join()


class Worker(threading.Thread):
    """One cluster: converges whenever the account changed, a process died, or the last attempt failed."""

    def __init__(self, wanted: Wanted, means: Means) -> None:
        super().__init__(name=f"cluster {wanted.name}", daemon=True)
        self._wanted, self._means = wanted, means
        self._changed = threading.Condition()
        self._due, self._ended = True, False
        self._register = Register()
        self._plane = ControlPlane(
            wanted.name, means.folder / "clusters" / wanted.name, means.programs, died=self._poke
        )
        self._backups = Backups(wanted.region, means.endpoint)
        self._clock: Clock = SystemClock()
        self._boots = Boots(means.boot, self._clock)
        self._managers: dict[str, int] = {}  # machine → when its etcd-manager started, nanoseconds since 1970
        self._fresh = False
        self._backed_up: datetime | None = None
        self._cloud = Cloud(wanted.name, wanted.region, means.endpoint, self._plane.client)

    def want(self, wanted: Wanted) -> bool:
        """What the account says now; False when this worker has ended and another must do it."""
        with self._changed:
            if self._ended:
                return False
            if wanted != self._wanted:
                self._wanted, self._due = wanted, True
                self._changed.notify()
            return True

    def end(self) -> None:
        """No such cluster any more."""
        with self._changed:
            self._ended = True
            self._plane.halt()
            self._changed.notify()

    def run(self) -> None:
        try:
            while (wanted := self._next()) is not None:
                try:
                    self._converge(self._boots.up(wanted))
                except BoatyardError as error:
                    _log.warning("%s: %s", wanted.name, error)
                    self._later()
        finally:
            with self._changed:
                self._ended = True
            self._means.router.forget(self._plane.port)
            self._cloud.stop()
            self._plane.remove()

    def _next(self) -> Wanted | None:
        with self._changed:
            self._changed.wait_for(lambda: self._due or self._ended, self._rest_until())
            self._due = False
            return None if self._ended else self._wanted

    def _rest_until(self) -> float | None:
        """Seconds until something is due by itself; None: nothing is."""
        return min((left for left in (self._until_backup(), self._boots.left) if left is not None), default=None)

    def _poke(self) -> None:
        with self._changed:
            self._due = True
            self._changed.notify()

    def _later(self) -> None:
        with self._changed:
            if not self._due and not self._ended:
                self._changed.wait(_AGAIN)
            self._due = True

    def _converge(self, wanted: Wanted) -> None:
        if not wanted.control_plane or wanted.keys is None:
            self._rest(wanted)
            return
        settings = Settings(
            version=self._version(wanted),
            keys=wanted.keys,
            names=(f"api.internal.{wanted.name}", f"api.{wanted.name}", "127.0.0.1", *wanted.balancers),
            services=wanted.services,
            pods=wanted.pods,
        )
        self._start_managers(wanted)
        if not self._plane.running or settings != self._plane.settings:
            _log.warning("%s: Kubernetes %s", wanted.name, settings.version)
            self._cloud.stop()
            self._plane.ensure(settings)
        if self._fresh:
            self._restore(wanted, settings)
        self._means.router.route(settings.names, self._plane.port)
        with self._plane.client() as client:
            self._register.sync(client, wanted.machines)
        if not self._cloud.running:
            self._cloud.start()
        if self._fresh or self._until_backup() == 0:
            self._back_up(wanted)
        self._fresh = False

    def _start_managers(self, wanted: Wanted) -> None:
        """An etcd-manager starts on each machine that is new."""
        now, known = time.time_ns(), self._managers
        self._managers = {machine.identity: known.get(machine.identity, now) for machine in wanted.control_plane}
        self._fresh = self._fresh or bool(self._managers.keys() - known.keys())

    def _until_backup(self) -> float | None:
        """Seconds; None while no control plane runs, or none was ever made."""
        if self._backed_up is None or not self._plane.running:
            return None
        return max(0.0, (self._backed_up + EVERY - self._clock.now()).total_seconds())

    def _back_up(self, wanted: Wanted) -> None:
        """What keeps it from being made is no reason for the cluster to stand still."""
        self._backed_up = self._clock.now()
        if not wanted.place:
            return
        try:
            self._backups.make(wanted.place, self._plane.etcd, len(wanted.control_plane), self._backed_up)
        except (BoatyardError, ClientError, BotoCoreError) as error:
            _log.warning("%s: no backup: %s", wanted.name, error)

    def _restore(self, wanted: Wanted, settings: Settings) -> None:
        """A backup that was asked for, once every etcd-manager was started after that. The newest wish counts; one for
        a backup that is not there is passed over."""
        try:
            wishes = self._backups.ordered(wanted.place) if wanted.place else []
            due = [each for each in wishes if each.given < min(self._managers.values())]
            wish = next((each for each in reversed(due) if each.etcd == "main"), None)
            keys = self._backups.content(wanted.place, wish) if wish else {}
        except (Permanent, ClientError, BotoCoreError) as error:
            _log.warning("%s: nothing is restored: %s", wanted.name, error)
            return
        if keys:
            _log.warning("%s: going back to a backup of %d keys", wanted.name, len(keys))
            self._cloud.stop()
            self._plane.restore(settings, keys)
            self._register.forget()
        self._backups.done(wanted.place, due)

    def _rest(self, wanted: Wanted) -> None:
        """Nobody runs the control plane; its data lives as long as its volumes do."""
        self._means.router.forget(self._plane.port)
        self._cloud.stop()
        self._plane.stop()
        if not wanted.kept:
            self._plane.remove()
            self._register.forget()

    def _version(self, wanted: Wanted) -> str:
        """The minor of the newest control-plane machine, never below what runs, within what can be emulated."""
        minors = [_minor(machine.version) for machine in wanted.control_plane[-1:]]
        minors.append(_minor(self._plane.emulated))
        newest = self._means.newest
        return f"1.{min(newest, max(newest - _OLDEST, *minors))}"


def _minor(version: str) -> int:
    return int(version.split(".")[1]) if version else 0
