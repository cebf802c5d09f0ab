"""A cluster's health: validated on demand, watched by schedule."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from boatyard.drivers.backup import backup_condition
from boatyard.drivers.base import BackedUp, Driver, Upgradable
from boatyard.drivers.fleet_state import let_go_on
from boatyard.drivers.last_upgrade import COUNTS, cancelled, upgrade_condition
from boatyard.drivers.operation import plan_for
from boatyard.drivers.support import support_condition
from boatyard.drivers.talking import client_of
from boatyard.drivers.upgrading import cordoned_nodes
from boatyard.drivers.wellbeing import healthy_condition
from boatyard.errors import BoatyardError, NotFound, Temporary
from boatyard.kube.checks import Check, ValidationResult
from boatyard.kube.checks import validate as check
from boatyard.kube.client import Client
from boatyard.kube.conditions import Condition, observe_health
from boatyard.kube.health import pool_by
from boatyard.plan.compute import target_version
from boatyard.plan.model import Observed, Phase, Plan
from boatyard.spec.models import Cluster
from boatyard.versions.catalogue import catalogue
from tasks.events import tell
from tasks.options import DELAYS, RETRIED
from tasks.steps import artifact_key
from tasks.yard import operation, yard

LIMIT = timedelta(minutes=10)
"""How long nodes may take to join and checks to settle before a validation is given up."""


@task(task_run_name="validate", **RETRIED)
def validate(rounds: int) -> None:
    """Every check well, `rounds` times in a row; the results go into a table, failures into one error."""
    op = operation()
    env = op.env(LIMIT, f"validating {op.cluster.name}")
    driver = op.driver()
    with client_of(driver) as client:
        result = check(
            client,
            op.cluster,
            deadline=env.deadline,
            clock=env.clock,
            expected_version=target_version(op.cluster, op.observe()),
            rounds=rounds,
            report=get_run_logger().info,
            fence=op.fence,
            pool_of=pool_by(driver.pool_label),
        )
    _show(result)
    result.require()
    get_run_logger().info("%s is well: %d checks in %.1f s", op.cluster.name, len(result.checks), result.seconds)


def _show(result: ValidationResult) -> None:
    def row(one: Check) -> dict[str, str]:
        return {"check": one.name, "status": one.status.value, "what was seen": one.message}

    create_table_artifact(
        [row(one) for one in result.summary],
        key=f"validation-{artifact_key(result.cluster)}",
        description=f"Validation of {result.cluster}",
    )


@dataclass(frozen=True)
class Look:
    """What one look at one cluster brought: its conditions, and which of them are news."""

    cluster: str
    conditions: tuple[Condition, ...] = ()
    changed: tuple[Condition, ...] = ()


def watch_all(names: Sequence[str]) -> tuple[list[Look], list[Exception]]:
    """Look at all these clusters at the same time: what that brought, and what went wrong.

    Threads, no tasks: with a task for each cluster and minute, Prefect's database grows by 20 kB for each.
    """
    over = threading.Event()
    with ThreadPoolExecutor(max(1, len(names)), "look") as pool:
        futures = [pool.submit(copy_context().run, _watch_over, name, over) for name in names]
        try:
            found = [future.result() for future in futures]
        finally:
            over.set()
    errors = [each for each in found if isinstance(each, Exception)]
    return [each for each in found if isinstance(each, Look)], errors


def _watch_over(name: str, over: threading.Event) -> Look | Exception:
    """One look, tried again while that can help. over: ends the wait for the next try."""
    for delay in (*DELAYS, None):
        try:
            return watch_over(name)
        except Temporary as error:
            if delay is None or yard().machine.wait(over, delay):
                return error
            get_run_logger().warning("%s is looked at again in %g s: %s", name, delay, error)
        except Exception as error:  # noqa: BLE001 - raised when all were looked at
            return error
    raise AssertionError("the last try returns")


def watch_over(name: str) -> Look:
    """Read the cluster, write its conditions down. What is wrong with the cluster is a condition, never an error."""
    here = yard()
    try:
        cluster = here.registered(name)
    except NotFound:
        return Look(name)
    driver = here.reader(cluster)
    observed = here.look(driver, name)
    now = here.clock.now()
    found = _conditions(driver, cluster, observed, now)
    try:
        here.store.clusters.set_observed(name, observed.model_dump(mode="json"), fence=None)
        changed = [
            each
            for each in found
            if here.store.conditions.set(name, each.type, each.status, each.reason, each.message, now=now)
        ]
        changed += _overall(name, now)
    except NotFound:
        return Look(name)  # deleted while we looked
    return Look(name, tuple(found), tuple(changed))


def _overall(name: str, now: datetime) -> tuple[Condition, ...]:
    """Write `Healthy` down, where there is something to say; what changed of it."""
    store = yard().store
    word = healthy_condition(store.conditions.list(name), now)
    if word is None or not store.conditions.set(name, word.type, word.status, word.reason, word.message, now=now):
        return ()
    return (word,)


def _conditions(driver: Driver, cluster: Cluster, observed: Observed, now: datetime) -> list[Condition]:
    plan = _plan(driver, cluster, observed)
    more = (
        _support(driver, observed, now)
        + _backups(driver, observed, now)
        + _last_upgrade(driver, cluster, observed, now)
    )
    try:
        kubeconfig = driver.kubeconfig()
        with Client(kubeconfig) as client:
            pool_of = pool_by(driver.pool_label)
            seen = observe_health(client, cluster, observed, now, plan=plan, kubeconfig=kubeconfig, pool_of=pool_of)
            return seen + more
    except BoatyardError:
        return observe_health(None, cluster, observed, now, plan=plan) + more


def _support(driver: Driver, observed: Observed, now: datetime) -> list[Condition]:
    """The condition of its version's support, for what can be upgraded at all."""
    if not isinstance(driver, Upgradable) or observed.version is None or observed.phase is Phase.ABSENT:
        return []
    table = catalogue(yard().settings.home).of(driver.kind)
    try:
        offers = driver.offers()
    except BoatyardError as error:
        get_run_logger().info("what %s offers is not known now: %s", driver.kind, error)
        offers = ()
    return [support_condition(observed.version, offers, table, now.date())]


def _last_upgrade(driver: Driver, cluster: Cluster, observed: Observed, now: datetime) -> list[Condition]:
    """The condition of its last upgrade, for what can be upgraded at all."""
    if not isinstance(driver, Upgradable) or observed.version is None or observed.phase is Phase.ABSENT:
        return []
    kept = yard().store.rollout.upgrades(cluster.name, since=now - COUNTS)
    if cancelled(kept) is None:
        return [upgrade_condition(kept, observed.version, now)]
    ring, lifted = let_go_on(yard(), cluster)
    left: list[str] = []
    with suppress(BoatyardError):  # one that does not answer says so in other conditions
        left = cordoned_nodes(driver)
    return [upgrade_condition(kept, observed.version, now, ring=ring, lifted=lifted, cordoned=left)]


def _backups(driver: Driver, observed: Observed, now: datetime) -> list[Condition]:
    """The condition of etcd's backups, where the distribution makes some."""
    if not isinstance(driver, BackedUp) or observed.phase is Phase.ABSENT:
        return []
    try:
        return [backup_condition(driver.backups(), now, running=observed.phase is Phase.RUNNING)]
    except BoatyardError as error:
        return [Condition("BackupRecent", "Unknown", "NotRead", str(error))]


def _plan(driver: Driver, cluster: Cluster, observed: Observed) -> Plan | None:
    """What it would take to be in sync; None where that cannot be told (an app's source is gone, a pin is below)."""
    try:
        return plan_for(driver, cluster, observed, yard().settings.home)
    except BoatyardError as error:
        get_run_logger().info("%s cannot be compared with its spec: %s", cluster.name, error)
        return None


def report_changes(looks: list[Look]) -> None:
    """What changed since the last look: into the log, as events, and the whole fleet as a table."""
    logger = get_run_logger()
    changes = [(look.cluster, each) for look in looks for each in look.changed]
    for name, each in changes:
        say = logger.warning if each.status == "False" else logger.info
        say("%s: %s is %s (%s): %s", name, each.type, each.status, each.reason, each.message)
        payload = {"type": each.type, "reason": each.reason, "message": each.message}
        tell(name, f"condition.{each.status.lower()}", payload)
    if not changes:
        return
    rows = [
        {"cluster": look.cluster, "condition": c.type, "status": c.status, "message": c.message}
        for look in looks
        for c in look.conditions
        if c.status != "True"
    ]
    create_table_artifact(
        rows or [{"cluster": "all", "condition": "well"}], key="fleet-health", description="Fleet health"
    )
