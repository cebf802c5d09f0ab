"""Carries out one step of a plan by the one method of the contract that belongs to its verb."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from boatyard.drivers import upgrading
from boatyard.drivers.base import BlueGreen, Configurable, Driver, Env, Hibernatable, Rotatable, Scalable, Upgradable
from boatyard.errors import NotFound, Unsupported
from boatyard.plan.model import Plan, Step, Verb
from boatyard.spec.models import App, Cluster, Pool

if TYPE_CHECKING:
    from boatyard.kube import apps

LEAST = timedelta(minutes=10)
SLACK = 6
"""A step may take this many times its expected duration before it is called stuck."""
REPLACED = timedelta(minutes=10)
"""A machine may take this long to be ordered, to boot and to join, beside the drain of the one before it."""


def time_limit(step: Step, cluster: Cluster) -> timedelta:
    """How long the step may take: generous, but never without end."""
    match step.verb:
        case Verb.DEPLOY_APP:
            return _app(cluster, step.target).timeout + timedelta(minutes=1)
        case Verb.UPGRADE_POOL | Verb.ROLL_BACK_POOL | Verb.SCALE_POOL | Verb.DELETE_POOL:
            drains = max(1, int(step.params.get("nodes", 1)))
            return LEAST + SLACK * step.expected + cluster.policy.upgrade.drain_timeout * drains
        case Verb.CONFIGURE | Verb.ROTATE:  # each node may be replaced, one after another
            each = cluster.policy.upgrade.drain_timeout + REPLACED
            return LEAST + SLACK * step.expected + each * _most_nodes(cluster)
        case Verb.PREPARE_POOL:
            return LEAST + SLACK * step.expected + REPLACED
        case Verb.RUN_HOOK:
            return timedelta(minutes=1, seconds=step.params["timeout"]) * (1 + int(step.params["retries"]))
        case Verb.PAUSE:
            return step.expected + LEAST
        case _:
            return max(LEAST, SLACK * step.expected)


def _most_nodes(cluster: Cluster) -> int:
    """As many as the cluster may have: an autoscaler may have started them all."""
    return cluster.control_plane.count + sum(pool.upper for pool in cluster.pools)


def carry_out(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    """Do what the step says and nothing else; returns once its effect is there."""
    _METHODS[step.verb](step, driver, cluster, env)


def supported(plan: Plan, driver: Driver) -> None:
    """Raise `Unsupported` for the first step that the driver has no method for, before anything is done."""
    for step in plan.steps:
        capability = _CAPABILITY.get(step.verb)
        if capability is not None and not isinstance(driver, capability):
            raise _refuse(driver, f"{step.verb} ({step.target})", _HINTS.get(step.verb, _COMPARE))


_COMPARE = "`boatyard compare` shows what each driver can do."
_HINTS = {Verb.PREPARE_POOL: "Set policy.upgrade.strategy to rolling."}


def _refuse(driver: Driver, step: str, hint: str = _COMPARE) -> Unsupported:
    return Unsupported(f"the {driver.kind} driver cannot {step}.", hint=hint)


def _scalable(driver: Driver) -> Scalable:
    if not isinstance(driver, Scalable):
        raise _refuse(driver, "change node pools")
    return driver


def _upgradable(driver: Driver) -> Upgradable:
    if not isinstance(driver, Upgradable):
        raise _refuse(driver, "upgrade")
    return driver


def _blue_green(driver: Driver) -> BlueGreen:
    if not isinstance(driver, BlueGreen):
        raise _refuse(driver, "bring up a pool's new nodes beside its old ones", _HINTS[Verb.PREPARE_POOL])
    return driver


def _hibernatable(driver: Driver) -> Hibernatable:
    if not isinstance(driver, Hibernatable):
        raise _refuse(driver, "hibernate")
    return driver


def _pool(cluster: Cluster, name: str) -> Pool:
    pool = cluster.pool(name)
    if pool is None:
        raise NotFound(f"cluster {cluster.name} has no pool named {name}.")
    return pool


def _app(cluster: Cluster, name: str) -> App:
    app = next((app for app in cluster.apps if app.name == name), None)
    if app is None:
        raise NotFound(f"cluster {cluster.name} has no app named {name}.")
    return app


def _create(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    driver.create()


def _delete(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    driver.delete()


def _hibernate(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    _hibernatable(driver).hibernate()


def _wake(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    _hibernatable(driver).wake()


def _upgrade_control_plane(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    _upgradable(driver).upgrade_control_plane(step.params["version"])


def _configure(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    if not isinstance(driver, Configurable):
        raise _refuse(driver, "change settings of a running cluster")
    driver.configure(tuple(step.params["changes"]))


def _rotate(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    if not isinstance(driver, Rotatable):
        raise _refuse(driver, "rotate keys")
    driver.rotate(step.params["phase"])


def _create_pool(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    _scalable(driver).create_pool(_pool(cluster, step.target), step.params["version"])


def _scale_pool(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    _scalable(driver).scale_pool(step.target, int(step.params["count"]))


def _configure_pool(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    _scalable(driver).configure_pool(_pool(cluster, step.target))


def _upgrade_pool(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    policy = cluster.policy.upgrade
    _upgradable(driver).upgrade_pool(
        _pool(cluster, step.target),
        step.params["version"],
        surge=policy.surge,
        drain_timeout=policy.drain_timeout.total_seconds(),
        canary=bool(step.params.get("canary")),
    )


def _prepare_pool(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    _blue_green(driver).prepare_pool(_pool(cluster, step.target), step.params["version"])


def _roll_back_pool(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    _blue_green(driver).roll_back_pool(step.target)


def _delete_pool(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    _scalable(driver).delete_pool(step.target)


def _deploy_app(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    from boatyard.drivers.talking import client_of
    from boatyard.kube import apps

    with client_of(driver) as client:
        apps.deploy(
            client,
            _app(cluster, step.target),
            app_sources(env),
            deadline=env.deadline,
            report=env.report,
            fence=env.fence,
        )


def app_sources(env: Env) -> "apps.Sources":
    """Where apps come from: their paths were made absolute when the spec was loaded; those of a form start at home."""
    from boatyard.kube.apps import Sources

    return Sources(base=env.home, tool=env.tool, cache=env.home / "charts", stopped=env.stopped)


def _remove_app(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    from boatyard.drivers.talking import client_of
    from boatyard.kube import apps

    with client_of(driver) as client:
        apps.remove(client, step.target, deadline=env.deadline, report=env.report, fence=env.fence)


_METHODS: dict[Verb, Callable[[Step, Driver, Cluster, Env], None]] = {
    Verb.CREATE: _create,
    Verb.REPAIR: _create,
    Verb.DELETE: _delete,
    Verb.HIBERNATE: _hibernate,
    Verb.WAKE: _wake,
    Verb.UPGRADE_CONTROL_PLANE: _upgrade_control_plane,
    Verb.CREATE_POOL: _create_pool,
    Verb.SCALE_POOL: _scale_pool,
    Verb.CONFIGURE_POOL: _configure_pool,
    Verb.UPGRADE_POOL: _upgrade_pool,
    Verb.PREPARE_POOL: _prepare_pool,
    Verb.ROLL_BACK_POOL: _roll_back_pool,
    Verb.VALIDATE: upgrading.validate,
    Verb.RUN_HOOK: upgrading.run_hook,
    Verb.PAUSE: upgrading.pause,
    Verb.DELETE_POOL: _delete_pool,
    Verb.CONFIGURE: _configure,
    Verb.ROTATE: _rotate,
    Verb.DEPLOY_APP: _deploy_app,
    Verb.REMOVE_APP: _remove_app,
}

_CAPABILITY: dict[Verb, type] = {
    Verb.HIBERNATE: Hibernatable,
    Verb.WAKE: Hibernatable,
    Verb.UPGRADE_CONTROL_PLANE: Upgradable,
    Verb.UPGRADE_POOL: Upgradable,
    Verb.PREPARE_POOL: BlueGreen,
    Verb.CREATE_POOL: Scalable,
    Verb.SCALE_POOL: Scalable,
    Verb.CONFIGURE_POOL: Scalable,
    Verb.DELETE_POOL: Scalable,
    Verb.CONFIGURE: Configurable,
    Verb.ROTATE: Rotatable,
}
