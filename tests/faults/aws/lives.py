"""A life of a kOps cluster on the emulated account, deed after deed, each of them with faults of its own.

A seed says which cluster, which deeds, which faults, and where the process is killed. Each deed is a run: first with
its faults; unless that ended well, again without (old answers may go on). Then the world has to be as the deed wants
it. Every life ends with a deletion, after which the account holds exactly what it held before: that is looked at by
boto3 alone.
"""

import json
import os
import random
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from boatyard.clock import Deadline, SystemClock
from boatyard.drivers.base import Env
from boatyard.drivers.kops.driver import Driver
from boatyard.plan.model import Observed, Phase
from boatyard.sandbox.aws import Faults, Sandbox
from boatyard.sandbox.aws.faults import KINDS, STALE
from boatyard.settings import Settings
from boatyard.spec.models import Cluster
from boatyard.tools.toolbox import Toolbox
from tests.faults.aws import raw

ROOT = Path(__file__).parents[3]
CHANNEL = ROOT / "tests/cases/kops/channel/stable.yaml"
KILLED = -signal.SIGKILL
CLOCK = SystemClock()
ZONE = "aws.example.com"
BUCKETS = "s3://boatyard-faults-"
LENGTH = 5
"""Deeds of a life."""

Spec = dict[str, Any]


class Worker:
    """The program that forks a process for each deed; see worker.py."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("worker.py")],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **order: Any) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(json.loads(self._process.stdout.readline())["status"])

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(30) == 0


@dataclass(frozen=True)
class Ended:
    """How a deed ended. `calls`: moments counted, two a request. `met`: faults by kind."""

    status: int
    outcome: Mapping[str, Any]
    log: str
    calls: int
    met: Mapping[str, int] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        return self.status == 0 and not self.outcome["kinds"]

    def is_clear(self) -> None:
        """Killed, done, or one sentence of the family."""
        if self.status == KILLED or self.well:
            return
        assert self.status == 0, f"status {self.status}\n{self.log[-2000:]}"
        error, kinds = self.outcome["error"], self.outcome["kinds"]
        assert "BoatyardError" in kinds, f"{kinds[0]}: {error}\n{self.outcome['trace']}"
        assert error.strip()
        assert "\n" not in error, error
        assert "Traceback" not in error + self.log, f"{error}\n{self.log[-4000:]}"


@dataclass
class Life:
    """One cluster from nothing to nothing. number: its seed."""

    number: int
    sandbox: Sandbox
    worker: Worker
    folder: Path
    alone: bool
    stale: bool = False
    """Half of the runs meet nothing but old answers, and many of them, which a SIGKILL does not end: the second run
    still hears of what was before the first."""
    told: list[str] = field(default_factory=list)
    """One line a run."""
    _runs: int = 0
    _limit: float = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(f"life {self.number}")
        self._limit = 120 if self.alone else 300
        self.spec = self._spec()

    @property
    def name(self) -> str:
        return f"l{self.number:02}.{ZONE}"

    @property
    def store(self) -> str:
        return f"{BUCKETS}{self.number}"

    def _spec(self) -> Spec:
        dns = self.chance.choice(["none", "none", "private"]) if self.alone else "none"
        private = self.alone and self.chance.random() < 0.3
        zones = ["us-east-1a", "us-east-1b", "us-east-1c"][: 3 if private else 1]
        provider = {
            "kind": "kops",
            "state_store": self.store,
            "zones": zones,
            "dns": dns,
            "channel": CHANNEL.as_uri(),
            "api_server": "https://127.0.0.1:1" if self.alone else self.sandbox.api_server,
        }
        if private:
            provider |= {"topology": "private"}
        if dns == "private":
            provider |= {"dns_zone": ZONE}
        return {
            "name": self.name,
            "provider": provider,
            "kubernetes": {"version": "1.34"},
            "control_plane": {"size": "t3.medium", "count": len(zones)},
            "pools": [{"name": "web", "size": "t3.medium", "min": 1, "max": 4}],
        }

    # runs

    def run(self, deed: str, arrived: Callable[[], None], *, again: bool = True, **arguments: Any) -> None:
        """The deed with faults, and, unless that ended well, without, or among the old answers that go on; `arrived`
        looks at what it came to."""
        kill_at = int(10 ** self.chance.uniform(0.5, 3.2)) if self.chance.random() < 0.5 else None
        faults = self._faults()
        where = f"life {self.number}, run {self._runs}: {deed}, kill at {kill_at}, {faults}"
        lasts = self.stale and faults.kinds == (STALE,)
        first = self.attempt(deed, faults, kill_at, lasts=lasts, **arguments)
        how = "killed" if first.status == KILLED else "well" if first.well else first.outcome["kinds"][0]
        self.told.append(
            f"{where}\n    {how} after {first.calls} moments, met {first.met}: {first.outcome.get('error', '')}"
        )
        try:
            first.is_clear()
            if not first.well and again:
                second = self._do(deed, arguments, None)
                self.sandbox.disturb(None)
                said = f"{second.outcome.get('error')}\n{second.outcome.get('trace')}\n{second.log[-3000:]}"
                assert second.well, said
            if first.well or again:
                arrived()
        except BaseException as error:
            error.add_note(f"{self.told[-1]}\nIt said: {first.log[-3000:]}")
            raise

    def attempt(
        self, deed: str, faults: Faults, kill_at: int | None = None, *, lasts: bool = False, **arguments: Any
    ) -> Ended:
        """Once, with faults that are over when it is; or, where they last and it was killed, go on until `disturb`."""
        self.sandbox.disturb(faults)
        ended = self._do(deed, arguments, kill_at)
        met = self.sandbox.injected()
        if not (lasts and ended.status == KILLED):
            self.sandbox.disturb(None)
        return replace(ended, met=met)

    def quietly(self, deed: str) -> None:
        """Without faults."""
        ended = self._do(deed, {}, None)
        assert ended.well, f"{ended.outcome}\n{ended.log[-3000:]}"

    def _faults(self) -> Faults:
        if self.stale and self.chance.random() < 0.5:
            return Faults(self.chance.randrange(10**6), self.chance.uniform(0.2, 0.8), (STALE,), burst=3)
        kinds = tuple(self.chance.sample(KINDS, self.chance.randint(1, len(KINDS))))
        rate = 10 ** self.chance.uniform(-3, -1)
        return Faults(self.chance.randrange(10**6), rate, kinds, burst=self.chance.randint(1, 6))

    def _do(self, deed: str, arguments: Mapping[str, Any], kill_at: int | None) -> Ended:
        out = self.folder / f"{self._runs}-{deed}"
        self._runs += 1
        out.mkdir(parents=True)
        if kill_at is not None:
            (out / "kill-at").write_text(str(kill_at))
        program(self.folder.parent / "bin", out)
        status = self.worker.ask(
            home=str(self.folder / "home"),
            out=str(out),
            cluster=self.spec,
            deed=deed,
            arguments=dict(arguments),
            limit=self._limit,
            alone=self.alone,
        )
        outcome = json.loads((out / "outcome").read_text()) if (out / "outcome").exists() else {}
        calls = (out / "calls").stat().st_size if (out / "calls").exists() else 0
        return Ended(status, outcome, (out / "log").read_text(), calls)

    # looks

    @property
    def cluster(self) -> Cluster:
        return Cluster.model_validate(self.spec)

    @property
    def driver(self) -> Driver:
        env = Env(
            self.folder / "home", CLOCK, Deadline.after(120, "looking", CLOCK), Toolbox(Settings.load().cache).path
        )
        return Driver(self.cluster, env)

    def seen(self) -> Observed:
        return self.driver.observe()

    def prepared(self) -> None:
        assert [each for each in self.driver.preflight() if each.blocks] == []

    def made(self) -> None:
        """Each thing once."""
        from boatyard.drivers.kops import guard

        preview = self.driver._reach.kops.preview()
        assert not guard.effect(preview), preview
        found = raw.everything(self.sandbox)
        doubled = raw.doubled(found, self.name)
        assert not doubled, doubled
        if not self.alone:
            seen = self.seen()
            assert seen.phase is Phase.RUNNING, seen

    def sleeps(self) -> None:
        seen = self.seen()
        assert seen.phase is Phase.HIBERNATED, seen

    def awake(self) -> None:
        fleet = self.driver._reach.fleet.read()
        assert all(group.remembered is None for group in fleet.values()), fleet
        assert all(group.desired >= 1 and len(group.members) == group.desired for group in fleet.values()), fleet
        if not self.alone:
            self.pool_is("web")

    def pool_is(
        self, name: str, count: int | None = None, version: str | None = None, *, renewed: bool = False
    ) -> None:
        """renewed: no machine is left from before."""
        seen = self.seen()
        assert seen.phase is Phase.RUNNING, seen
        pool = seen.pools[name]
        assert pool.ready == pool.count, seen
        assert count is None or pool.count == count, seen
        assert not renewed or not (pool.outdated or seen.outdated), seen
        if version is not None:
            assert (seen.version or "").startswith(version), seen
            assert all(each.startswith(version) for each in pool.versions.values()), seen

    def gone(self, before: Mapping[str, str]) -> None:
        left = self.driver.residue()
        assert left == [], left
        found = raw.everything(self.sandbox).items()
        left = {identity: what for identity, what in found if identity not in before and not self._of_another(identity)}
        assert not left, left

    def _of_another(self, identity: str) -> bool:
        """In the bucket of another life: one that failed lives on, and its etcd is backed up every 15 minutes."""
        return identity.startswith(BUCKETS) and not identity.startswith(f"{self.store}/")


def program(folder: Path, out: Path) -> None:
    """`kops` on PATH: the stand-in, counted in `out`."""
    folder.mkdir(exist_ok=True)
    command = shlex.join([sys.executable, str(Path(__file__).with_name("kops.py")), str(out)])
    part = folder / "kops.part"
    part.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    part.chmod(0o755)
    part.replace(folder / "kops")
