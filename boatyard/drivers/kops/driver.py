"""The kOps driver: production clusters on AWS, by the real `kops`, and by AWS' own interface where kOps has none."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from boatyard.drivers.base import Backup, Env, Facts, Finding, Residue
from boatyard.plan.compute import compute
from boatyard.plan.model import Observed, Plan, Verb
from boatyard.spec.models import Cluster, Pool
from boatyard.versions.offer import Offer
from boatyard.versions.skew import Tool

if TYPE_CHECKING:
    from boatyard.drivers.kops.reach import Reach  # boto3: half a second that looking at facts and plans does without


class Driver:
    """One kOps cluster. See `boatyard.drivers.base` for what each method promises."""

    kind: ClassVar[str] = "kops"
    adopts: ClassVar[tuple[str, ...]] = ("s3://",)
    facts: ClassVar[Facts] = Facts(
        title="kOps (AWS)",
        production_use="yes",
        managed_by_provider="no",
        easy_upgrades="with care",
        enterprise_support="no",
        customizable="high",
        evidence="the real kOps 1.36.2 through a cluster's whole life on an emulated AWS account (moto) with real"
        " control planes, and in CI a strict stand-in held to 48 recorded runs; not yet a real AWS account",
    )
    pool_label: ClassVar[str] = "kops.k8s.io/instancegroup"  # kOps' own: clusters that were adopted have it, too
    # What kOps' users see on small instances: machines boot in about two minutes, a control plane forms in five more.
    expected: ClassVar[Mapping[Verb, timedelta]] = {
        Verb.CREATE: timedelta(minutes=8),
        Verb.REPAIR: timedelta(minutes=8),
        Verb.WAKE: timedelta(minutes=7),
        Verb.HIBERNATE: timedelta(minutes=4),
        Verb.UPGRADE_CONTROL_PLANE: timedelta(minutes=18),  # three nodes, one after another
        Verb.CREATE_POOL: timedelta(minutes=4),
        Verb.SCALE_POOL: timedelta(minutes=4),
        Verb.CONFIGURE_POOL: timedelta(minutes=1),
        Verb.UPGRADE_POOL: timedelta(minutes=4),
        Verb.DELETE_POOL: timedelta(minutes=4),
        Verb.CONFIGURE: timedelta(minutes=30),
        Verb.ROTATE: timedelta(minutes=45),
        Verb.DELETE: timedelta(minutes=6),
    }

    def __init__(self, cluster: Cluster, env: Env) -> None:
        self._cluster, self._env = cluster, env
        self._known: Reach | None = None

    @property
    def _reach(self) -> "Reach":
        if self._known is None:
            from boatyard.drivers.kops.reach import Reach

            self._known = Reach(self._cluster, self._env)
        return self._known

    def tools(self) -> tuple[str, ...]:
        return ("kops",)

    def preflight(self) -> list[Finding]:
        from boatyard.drivers.kops.preflight import preflight

        return preflight(self._reach)

    def observe(self) -> Observed:
        from boatyard.drivers.kops.observe import observe

        return observe(self._reach)

    def plan(self, observed: Observed, apps: Mapping[str, str]) -> Plan:
        from boatyard.drivers.kops import dead, members

        members.refuse(self._cluster, observed)
        dead.refuse(self._cluster, observed)
        return compute(self._cluster, observed, apps, self.expected, in_place=False)

    def create(self) -> None:
        from boatyard.drivers.kops.create import create

        create(self._reach)

    def kubeconfig(self) -> Mapping[str, object]:
        from boatyard.drivers.kops.access import kubeconfig

        return kubeconfig(self._reach)

    def delete(self) -> None:
        from boatyard.drivers.kops.deletion import delete

        delete(self._reach)

    def residue(self) -> list[Residue]:
        from boatyard.drivers.kops.deletion import residue

        return residue(self._reach)

    # Scalable

    def create_pool(self, pool: Pool, version: str) -> None:
        from boatyard.drivers.kops.groups import Groups

        with Groups(self._reach) as groups:
            groups.create(pool, version)

    def scale_pool(self, name: str, count: int) -> None:
        from boatyard.drivers.kops.groups import Groups

        with Groups(self._reach) as groups:
            groups.scale(name, count)

    def configure_pool(self, pool: Pool) -> None:
        from boatyard.drivers.kops.groups import Groups

        with Groups(self._reach) as groups:
            groups.configure(pool)

    def delete_pool(self, name: str) -> None:
        from boatyard.drivers.kops.groups import Groups

        with Groups(self._reach) as groups:
            groups.delete(name)

    # Upgradable

    def offers(self) -> Sequence[Offer]:
        from boatyard.drivers.kops.versioning import offers

        return offers(self._reach)

    def program(self) -> Tool:
        from boatyard.drivers.kops.versioning import program

        return program(self._reach)

    def upgrade_control_plane(self, to: str) -> None:
        from boatyard.drivers.kops.upgrade import upgrade_control_plane

        upgrade_control_plane(self._reach, to)

    def upgrade_pool(
        self, pool: Pool, to: str, *, surge: int | None, drain_timeout: float, canary: bool = False
    ) -> None:
        from boatyard.drivers.kops.upgrade import upgrade_pool

        upgrade_pool(self._reach, pool, to, surge=surge, drain_timeout=drain_timeout, canary=canary)

    # Hibernatable

    def hibernate(self) -> None:
        from boatyard.drivers.kops.hibernation import hibernate

        hibernate(self._reach)

    def wake(self) -> None:
        from boatyard.drivers.kops.hibernation import wake

        wake(self._reach)

    # Configurable

    def configure(self, changes: Sequence[str]) -> None:
        from boatyard.drivers.kops.configuration import configure

        configure(self._reach, changes)

    # Foresighted

    def foresee(self, plan: Plan) -> Plan:
        from boatyard.drivers.kops.foresight import foresee

        return foresee(self._reach, plan)

    # Rotatable

    def rotation(self) -> Sequence[str]:
        from boatyard.drivers.kops.rotation import remaining

        return remaining(self._reach)

    def rotate(self, phase: str) -> None:
        from boatyard.drivers.kops.rotation import rotate

        rotate(self._reach, phase)

    # Adoptable

    @classmethod
    def found(cls, source: str, env: Env) -> Sequence[Cluster]:
        from boatyard.drivers.kops.adoption import found

        return found(source, env)

    # BackedUp

    def backups(self) -> Sequence[Backup]:
        from boatyard.drivers.kops.backups import backups

        return backups(self._reach)
