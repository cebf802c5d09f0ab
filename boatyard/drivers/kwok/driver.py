"""The kwok driver: a real control plane on this machine through kwokctl, nodes and pods played by KWOK."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from boatyard.drivers.base import Env, Facts, Finding, Residue
from boatyard.drivers.kwok import config, state
from boatyard.drivers.kwok.spec import Provider
from boatyard.drivers.kwok.state import Layout
from boatyard.errors import NotFound, Temporary
from boatyard.plan.compute import compute
from boatyard.plan.model import Observed, Plan, Verb
from boatyard.spec.models import Cluster, Pool
from boatyard.versions.offer import Offer

if TYPE_CHECKING:
    from boatyard.drivers.kwok.control_plane import ControlPlane
    from boatyard.drivers.kwok.pools import Pools
    from boatyard.kube.client import Client


class Driver:
    """One kwok cluster. See `boatyard.drivers.base` for what each method promises."""

    kind: ClassVar[str] = "kwok"
    facts: ClassVar[Facts] = Facts(
        title="KWOK (this machine)",
        production_use="no",
        managed_by_provider="no",
        easy_upgrades="yes",
        enterprise_support="no",
        customizable="high",
        evidence="the real thing: every test runs kwokctl 0.8.0 with etcd 3.6 and the Kubernetes 1.36 control plane",
    )
    pool_label: ClassVar[str] = "boatyard.dev/pool"
    expected: ClassVar[Mapping[Verb, timedelta]] = {
        Verb.CREATE: timedelta(seconds=8),
        Verb.REPAIR: timedelta(seconds=6),
        Verb.WAKE: timedelta(seconds=6),
        Verb.HIBERNATE: timedelta(seconds=1),
        Verb.UPGRADE_CONTROL_PLANE: timedelta(seconds=6),
        Verb.CREATE_POOL: timedelta(seconds=1),
        Verb.SCALE_POOL: timedelta(seconds=2),
        Verb.CONFIGURE_POOL: timedelta(seconds=1),
        Verb.UPGRADE_POOL: timedelta(seconds=2),
        Verb.DELETE_POOL: timedelta(seconds=2),
        Verb.DELETE: timedelta(seconds=2),
    }

    def __init__(self, cluster: Cluster, env: Env) -> None:
        self._cluster, self._env = cluster, env
        self._layout = Layout(env.home / "kwok", cluster.name)

    def tools(self) -> tuple[str, ...]:
        return config.TOOLS

    def preflight(self) -> list[Finding]:
        from boatyard.drivers.kwok.preflight import preflight

        return preflight(self._cluster, self._env, self._layout)

    def observe(self) -> Observed:
        from boatyard.drivers.kwok.observe import observe

        return observe(self._cluster, self._env, self._layout)

    def plan(self, observed: Observed, apps: Mapping[str, str]) -> Plan:
        return compute(self._cluster, observed, apps, self.expected)

    def create(self) -> None:
        self._control_plane().create()

    def kubeconfig(self) -> Mapping[str, object]:
        from boatyard.drivers.kwok import access

        record = state.load(self._layout)
        if record is None or not config.installed(self._layout):
            raise NotFound(f"there is no cluster {self._cluster.name}.")
        if record.intent == "hibernated":
            raise self._asleep()
        return access.short_lived(self._layout, record.ports["kubeApiserverPort"], self._env.clock.now())

    def delete(self) -> None:
        self._control_plane().delete()

    def residue(self) -> list[Residue]:
        from boatyard.drivers.kwok.residue import residue

        return residue(self._layout)

    # Scalable

    def create_pool(self, pool: Pool, version: str) -> None:
        with self._pools() as pools:
            pools.create(pool, version)

    def scale_pool(self, name: str, count: int) -> None:
        with self._pools() as pools:
            pools.scale(name, count)

    def configure_pool(self, pool: Pool) -> None:
        with self._pools() as pools:
            pools.configure(pool)

    def delete_pool(self, name: str) -> None:
        if state.load(self._layout) is None:
            return
        with self._pools() as pools:
            pools.delete(name)

    # Upgradable

    def offers(self) -> Sequence[Offer]:
        from boatyard.tools.catalogue import KUBERNETES
        from boatyard.versions.catalogue import catalogue

        source, today = f"the binaries of Kubernetes {KUBERNETES} on this machine", self._env.clock.now().date()
        newest = Provider.minors[-1]
        found = (Offer(minor, default=minor == newest, source=source, as_of=today) for minor in Provider.minors)
        return catalogue(self._env.home).upstream.dated(found)

    def upgrade_control_plane(self, to: str) -> None:
        from boatyard.drivers.kwok.control_plane import minor

        self._control_plane().upgrade(minor(to))

    def upgrade_pool(
        self, pool: Pool, to: str, *, surge: int | None, drain_timeout: float, canary: bool = False
    ) -> None:
        from boatyard.drivers.kwok.rolling import Rolling

        with self._pools() as pools:
            Rolling(pools, pool, to, surge=surge, patience=drain_timeout).run(canary=canary)

    # BlueGreen

    def prepare_pool(self, pool: Pool, to: str) -> None:
        from boatyard.drivers.kwok.rolling import Rolling

        with self._pools() as pools:
            Rolling(pools, pool, to).prepare()

    def roll_back_pool(self, name: str) -> None:
        from boatyard.drivers.kwok.rolling import roll_back

        with self._pools() as pools:
            roll_back(pools, name, self._cluster.policy.upgrade.drain_timeout.total_seconds())

    # Hibernatable

    def hibernate(self) -> None:
        self._control_plane().hibernate()

    def wake(self) -> None:
        self._control_plane().wake()

    # Snapshotable

    def snapshot(self, to: Path) -> None:
        from boatyard.drivers.kwok.snapshot import take

        with self._client() as client:
            take(client, to, cluster=self._cluster.name, env=self._env)

    def restore(self, source: Path) -> None:
        from boatyard.drivers.kwok.restore import restore

        with self._client() as client:
            restore(client, source, env=self._env)

    # parts

    def _control_plane(self) -> "ControlPlane":
        from boatyard.drivers.kwok.control_plane import ControlPlane

        return ControlPlane(self._cluster, self._env, self._layout)

    def _client(self) -> "Client":
        """`NotFound` when the cluster is absent, `Temporary` when it sleeps."""
        record = state.load(self._layout)
        if record is not None and record.intent == "hibernated":
            raise self._asleep()
        return self._control_plane().client()

    def _asleep(self) -> Temporary:
        name = self._cluster.name
        return Temporary(f"cluster {name} is hibernated.", delay=30, hint=f"Wake it first: boatyard wake {name}")

    @contextmanager
    def _pools(self) -> "Iterator[Pools]":
        from boatyard.drivers.kwok.pools import Pools

        with self._client() as client:
            yield Pools(self._cluster, self._env, self._layout, client)
