"""Preflight of an upgrade as a whole: the cluster's objects, what its provider says, its backups, its waivers."""

from datetime import datetime
from typing import Any, cast

from boatyard.drivers.backup import backup_condition
from boatyard.drivers.base import BackedUp, Driver, Finding
from boatyard.drivers.operation import Yard
from boatyard.errors import BoatyardError, Permanent, Temporary, Unsafe
from boatyard.kube.apps import Sources
from boatyard.kube.client import Client
from boatyard.kube.objects import Ref
from boatyard.kube.preflight.culprit import Culprit, in_order
from boatyard.kube.preflight.look import Beside, look
from boatyard.kube.preflight.waivers import apply_waivers
from boatyard.spec.models import Cluster
from boatyard.versions import Minor
from boatyard.versions.minor import down_problem


def find_culprits(driver: Driver, cluster: Cluster, to: str, *, yard: Yard) -> tuple[Culprit, ...]:
    """Everything that would break or block the upgrade to `to`, what stops it first. Reads only.

    Raises what is `Temporary`, for the caller to try again, and what `driver.kubeconfig` raises: a cluster that is
    asleep or absent is no culprit.
    """
    kubeconfig = cast(dict[str, Any], driver.kubeconfig())
    findings = driver.preflight()
    beside = Beside(
        kubeconfig=kubeconfig,
        apps=cluster.apps,
        sources=Sources(yard.settings.home, yard.toolbox.path, yard.settings.home / "charts"),
        surge=not any(each.blocks for each in findings),
    )
    with Client(kubeconfig) as client:
        found = look(client, to, yard.machine.now(), beside)
    found += [_provider(driver, each) for each in findings] + backups(driver, yard.machine.now())
    return in_order(apply_waivers(found, cluster.policy.upgrade.waivers, yard.clock.now().date()))


def target_of(driver: Driver, to: str | None) -> str:
    """`to`, or the minor after the one that runs. `Unsafe` for a way down, `Permanent` where nothing can be seen."""
    observed = driver.observe()
    if observed.version is None:
        if to is not None:
            return to
        raise Permanent(
            f"which Kubernetes runs cannot be seen: {observed.detail or f'the cluster is {observed.phase}'}."
        )
    if to is None:
        return str(Minor.parse(observed.version).plus(1))
    if problem := down_problem(observed.version, to):
        raise Unsafe(problem)
    return to


def _provider(driver: Driver, finding: Finding) -> Culprit:
    """A finding of the driver's own preflight: quota, addresses, tools."""
    ref = Ref("", driver.kind, "", finding.subject)
    return Culprit("provider", ref, "", _sentence(finding.problem), _sentence(finding.fix), finding.blocks)


def backups(driver: object, now: datetime) -> list[Culprit]:
    """etcd's backups, where the distribution makes some. Raises what is `Temporary`."""
    if not isinstance(driver, BackedUp):
        return []
    ref = Ref("", "Backup", "", "etcd")
    try:
        condition = backup_condition(driver.backups(), now)
    except Temporary:
        raise
    except BoatyardError as error:
        fix = "Mend the access to where the backups are."
        return [Culprit("not-looked-at", ref, "", f"The backups could not be read: {error}", fix)]
    if condition.status == "True":
        return []
    fix = "See why etcd-manager makes none; without a backup there is no way back."
    return [Culprit("backup-old", ref, "", _sentence(condition.message), fix)]


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
