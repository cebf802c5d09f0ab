"""Desired against observed gives the plan. Pure: the same two values always give the same steps in the same order."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from boatyard.errors import NotFound, Permanent, Temporary, Unsafe
from boatyard.plan.draft import Draft
from boatyard.plan.model import Observed, ObservedPool, Phase, Plan, Verb, nodes
from boatyard.plan.upgrade import Replacement, Upgrade, below
from boatyard.spec.models import App, Cluster, Pool
from boatyard.versions import Minor


def compute(
    cluster: Cluster,
    observed: Observed,
    apps: Mapping[str, str],
    expected: Mapping[Verb, timedelta] | None = None,
    *,
    in_place: bool = True,
) -> Plan:
    """The plan from `observed` to `cluster`.

    apps: app name → digest of its source now. expected: verb → usual time, of one node where it works so.
    in_place: labels and taints of nodes can be changed while they run; else nodes are replaced for it.
    Raises `Unsafe` when the spec pins a version below the observed one, `Permanent` when nothing could be observed.
    """
    _seen(cluster, observed)
    draft = Draft(cluster, expected or {}, in_place)
    name = cluster.name
    base: tuple[str, ...]
    match observed.phase:
        case Phase.BROKEN:
            draft.add(Verb.REPAIR, name, observed.detail or "the control plane does not answer")
            return draft.plan(incomplete=True)
        case Phase.HIBERNATED:
            draft.add(Verb.WAKE, name, "it is hibernated, and the spec wants it running")
            return draft.plan(incomplete=True)
        case Phase.ABSENT:
            create = draft.add(Verb.CREATE, name, "it does not exist", version=cluster.kubernetes.version)
            version, base = cluster.kubernetes.version, (create,)
        case Phase.PARTIAL:
            why = observed.detail or "its creation was cut off"
            create = draft.add(Verb.CREATE, name, why, version=observed.version or cluster.kubernetes.version)
            version, base = target_version(cluster, observed), (create,)
        case Phase.RUNNING:
            version, base = target_version(cluster, observed), _configure(draft, observed)
    settled = _pools(draft, observed, version, base)
    _apps(draft, observed, apps, settled)
    return draft.plan()


def _seen(cluster: Cluster, observed: Observed) -> None:
    """Every plan begins with it: nothing is planned for what could not be looked at."""
    if observed.phase is Phase.UNKNOWN:
        why = f"cluster {cluster.name} could not be looked at: {observed.detail}"
        raise Temporary(why) if observed.passing else Permanent(why)


def target_version(cluster: Cluster, observed: Observed) -> str:
    """The version to reach: the spec's, or the observed one where maintenance is already ahead of it."""
    wanted = cluster.kubernetes.version
    if observed.version is None or not below(wanted, observed.version):
        return wanted
    if cluster.kubernetes.channel == "pinned":
        raise Unsafe(
            f"cluster {cluster.name} runs Kubernetes {observed.version} and kubernetes.version pins {wanted}:"
            " a control plane cannot be downgraded.",
            hint=f"Set kubernetes.version to {observed.version}, or restore a snapshot into a new cluster.",
        )
    return observed.version


def _configure(draft: Draft, observed: Observed) -> tuple[str, ...]:
    """Settings of the cluster itself, before anything that would apply them unseen."""
    reasons = list(observed.differs)
    if observed.outdated:
        count = len(observed.outdated)
        those = "1 control-plane node was" if count == 1 else f"{count} control-plane nodes were"
        reasons.append(f"{those} launched from an older configuration")
    if not reasons:
        return ()
    disrupts = draft.moved("nodes that need the change are replaced, some at a time, within PodDisruptionBudgets")
    name = draft.cluster.name
    return (draft.add(Verb.CONFIGURE, name, "; ".join(reasons), disrupts=disrupts, changes=list(observed.differs)),)


def _replace_reason(draft: Draft, pool: Pool, seen: ObservedPool, to: str) -> str:
    """Why the pool's nodes must be new ones; empty when they need not."""
    behind = [version for version in seen.versions.values() if below(version, to)]
    if behind:
        return f"{len(behind)} of {seen.count} nodes run {min(behind, key=Minor.parse)}, {to} is wanted"
    if pool.size and seen.size and pool.size != seen.size:
        return f"its nodes are {seen.size}, {pool.size} is wanted"
    if seen.differs:
        return "; ".join(seen.differs)
    if not draft.in_place and (changed := _differences(pool, seen)):
        return changed
    if seen.outdated:
        return f"{len(seen.outdated)} of {seen.count} nodes were launched from an older configuration"
    return ""


def _pools(draft: Draft, observed: Observed, version: str, base: tuple[str, ...]) -> tuple[str, ...]:
    """The control plane's steps, then those of all pools; returns what apps have to wait for."""
    upgrade = Upgrade(draft, observed, version, lambda pool, seen, to: _replace_reason(draft, pool, seen, to))
    if observed.phase is not Phase.ABSENT:
        base = upgrade.control_plane(base)
    ends: list[str] = []
    replaced: list[Replacement] = []
    for pool in draft.cluster.pools:
        seen = observed.pools.get(pool.name)
        if seen is None:
            reason = "the pool does not exist"
            ends.append(draft.add(Verb.CREATE_POOL, pool.name, reason, after=base, version=version, count=pool.min))
            continue
        after = _adjust(draft, pool, seen, base)
        if reason := _replace_reason(draft, pool, seen, version):
            replaced.append(Replacement(pool, seen, reason, after))
        else:
            ends.extend(after)
    tail = upgrade.close(upgrade.pools(replaced, version, base))
    settled = tuple(dict.fromkeys([*ends, *(tail if tail != base else ())])) or base
    for name in sorted(set(observed.pools) - {pool.name for pool in draft.cluster.pools}):
        gone = observed.pools[name]
        disrupts = draft.moved(f"pods of {nodes(gone.count)} move to other pools") if gone.count else None
        draft.add(
            Verb.DELETE_POOL, name, "the spec no longer has it", after=settled, disrupts=disrupts, nodes=gone.count
        )
    return settled


def _adjust(draft: Draft, pool: Pool, seen: ObservedPool, after: tuple[str, ...]) -> tuple[str, ...]:
    """Labels, taints and size of one pool that exists."""
    if draft.in_place and (changed := _differences(pool, seen)):
        after = (draft.add(Verb.CONFIGURE_POOL, pool.name, changed, after=after),)
    count = min(max(seen.count, pool.min), pool.upper)
    bounds = seen.bounds or (pool.min, pool.upper)
    if count != seen.count or bounds != (pool.min, pool.upper):
        fewer = seen.count - count
        has = f"it has {seen.count} nodes"
        if count == seen.count:
            has = f"it may have {bounds[0]} to {bounds[1]} nodes"
        after = (
            draft.add(
                Verb.SCALE_POOL,
                pool.name,
                f"{has}, the spec allows {pool.min} to {pool.upper}",
                after=after,
                disrupts=draft.moved(f"pods of {nodes(fewer)} move") if fewer > 0 else None,
                count=count,
                nodes=abs(fewer),
            ),
        )
    return after


def _differences(pool: Pool, seen: ObservedPool) -> str:
    parts = []
    if dict(pool.labels) != seen.labels:
        keys = sorted(k for k in pool.labels.keys() | seen.labels.keys() if pool.labels.get(k) != seen.labels.get(k))
        parts.append(f"labels differ ({', '.join(keys)})")
    if set(pool.taints) != set(seen.taints):
        parts.append(f"taints differ ({', '.join(sorted(set(pool.taints) ^ set(seen.taints)))})")
    return " and ".join(parts)


def _apps(draft: Draft, observed: Observed, digests: Mapping[str, str], after: tuple[str, ...]) -> None:
    """Removed apps at once, changed ones once their nodes and the apps they depend on are there."""
    wanted = {app.name for app in draft.cluster.apps}
    for name in sorted(set(observed.apps) - wanted):
        draft.add(Verb.REMOVE_APP, name, "the spec no longer has it", disrupts=f"{name} stops")
    started: dict[str, str] = {}
    for app in by_dependency(draft.cluster.apps):
        if reason := _app_reason(app, observed, digests):
            waits = (*after, *(started[name] for name in app.depends_on if name in started))
            started[app.name] = draft.add(Verb.DEPLOY_APP, app.name, reason, after=waits)


def _app_reason(app: App, observed: Observed, digests: Mapping[str, str]) -> str:
    seen = observed.apps.get(app.name)
    if seen is None:
        return "it is not deployed"
    if not seen.complete:
        return "its last deployment was cut off"
    return "" if seen.digest == digests[app.name] else "its source changed"


def by_dependency(apps: tuple[App, ...]) -> list[App]:
    """Apps so that each comes after those it depends on, else in the spec's order. Cycles were refused at loading."""
    named = {app.name: app for app in apps}
    ordered: dict[str, App] = {}

    def visit(app: App) -> None:
        if app.name in ordered:
            return
        for name in app.depends_on:
            visit(named[name])
        ordered[app.name] = app

    for app in apps:
        visit(app)
    return list(ordered.values())


def hibernation(cluster: Cluster, observed: Observed, expected: Mapping[Verb, timedelta] | None = None) -> Plan:
    """One step, or none when it sleeps already."""
    _seen(cluster, observed)
    draft = Draft(cluster, expected or {})
    if observed.phase in (Phase.RUNNING, Phase.BROKEN):
        draft.add(Verb.HIBERNATE, cluster.name, "sleep was asked for", disrupts="everything on the cluster stops")
    return draft.plan()


def deletion(cluster: Cluster, observed: Observed, expected: Mapping[Verb, timedelta] | None = None) -> Plan:
    """One step, or none when nothing is there. Raises `Unsafe` for a protected cluster."""
    if cluster.policy.protect:
        raise Unsafe(
            f"cluster {cluster.name} is protected (policy.protect: true) and will not be deleted.",
            hint="Set policy.protect to false and apply that first.",
        )
    _seen(cluster, observed)
    draft = Draft(cluster, expected or {})
    if observed.phase is not Phase.ABSENT:
        draft.add(Verb.DELETE, cluster.name, "deletion was asked for", disrupts="the cluster and all on it are gone")
    return draft.plan()


def rotation(
    cluster: Cluster, observed: Observed, phases: Sequence[str], expected: Mapping[Verb, timedelta] | None = None
) -> Plan:
    """One step a phase, in their order. Raises `Unsafe` when the cluster does not run."""
    _seen(cluster, observed)
    if observed.phase is not Phase.RUNNING:
        raise Unsafe(
            f"cluster {cluster.name} is {observed.phase}; keys are rotated while it runs.", hint="Bring it up first."
        )
    draft = Draft(cluster, expected or {})
    after: tuple[str, ...] = ()
    for phase in phases:
        after = (
            draft.add(
                Verb.ROTATE,
                cluster.name,
                _ROTATION.get(phase, phase),
                after=after,
                disrupts=draft.moved("every node is replaced, within PodDisruptionBudgets"),
                suffix=phase,
                phase=phase,
            ),
        )
    return draft.plan()


DISTRUSTED = "the old keys are no longer trusted"
"""Reason of the step that a rotation ends with."""

_ROTATION = {
    "stage": "new keys are made, and trusted beside the old ones",
    "promote": "the new keys sign, the old ones are still trusted",
    "distrust": DISTRUSTED,
}


def scaling(
    cluster: Cluster, observed: Observed, counts: Mapping[str, int], expected: Mapping[Verb, timedelta] | None = None
) -> Plan:
    """Pools to exact sizes within the spec's bounds. `Unsafe` outside them; `NotFound` for a pool it has not."""
    _seen(cluster, observed)
    draft = Draft(cluster, expected or {})
    for name, count in counts.items():
        pool = cluster.pool(name)
        if pool is None:
            known = ", ".join(p.name for p in cluster.pools) or "none"
            raise NotFound(f"cluster {cluster.name} has no pool named {name}; its pools are: {known}.")
        if not pool.min <= count <= pool.upper:
            raise Unsafe(
                f"pool {name} of {cluster.name} may have {pool.min} to {pool.upper} nodes, {count} were asked for.",
                hint="Change min or max in the spec and apply it.",
            )
        have = observed.pools[name].count if name in observed.pools else 0
        if have != count:
            fewer = have - count
            draft.add(
                Verb.SCALE_POOL,
                name,
                f"it has {nodes(have)}, {count} were asked for",
                disrupts=draft.moved(f"pods of {nodes(fewer)} move") if fewer > 0 else None,
                count=count,
                nodes=abs(fewer),
            )
    return draft.plan()
