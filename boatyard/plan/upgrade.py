"""The steps of an upgrade: hooks before, control plane minor by minor, a canary, pools, hooks after.

Each change of the cluster comes after a validation, and the last is followed by one. So an upgrade that stopped is gone
on with only once the cluster is well, wherever it stopped, and nothing has to be remembered for that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from boatyard.plan.draft import Draft
from boatyard.plan.model import Observed, ObservedPool, Verb, nodes
from boatyard.plan.surge import at_most
from boatyard.spec.models import Pool
from boatyard.spec.upgrade import Hook
from boatyard.versions import Version, kubelet_problem, path

LOOK = timedelta(seconds=2)
"""A validation's usual time; rounds follow each other closely while all is well."""
ERRAND = timedelta(minutes=1)
"""A hook's."""

_CANARY = "+canary"
"""In ids: no pool's name has a `+`."""

Reason = Callable[[Pool, ObservedPool, str], str]
"""Why a pool's nodes must be new ones to be as the spec says at a version; empty when they need not."""

Ids = tuple[str, ...]


@dataclass(frozen=True)
class Replacement:
    """A pool whose nodes are to be new ones. after: steps of the pool's own that come before."""

    pool: Pool
    seen: ObservedPool
    reason: str
    after: Ids


@dataclass
class Upgrade:
    """One upgrade in the making; its steps go into `draft`. to: the version that is wanted."""

    draft: Draft
    observed: Observed
    to: str
    reason: Reason
    _begun: bool = False
    _reached: str | None = None
    """The control plane's version at this point of the plan, once a step has brought it or nothing is left to bring."""

    def control_plane(self, after: Ids) -> Ids:
        """One step a minor. Kubelets may be three minors behind: pools follow once, unless they would fall too far."""
        if self.observed.version is None:
            return after
        current = self.observed.version
        kubelets = [version for pool in self.observed.pools.values() for version in pool.versions.values()]
        for version in versions_between(current, self.to):
            if any(kubelet_problem(version, kubelet) for kubelet in kubelets):
                self._reached = self._reached or current
                after = self.pools(self._behind(current), current, after, suffix=current)
                kubelets = [current]
            after = self._next(after, Verb.UPGRADE_CONTROL_PLANE, version)
            step = self.draft.add(
                Verb.UPGRADE_CONTROL_PLANE,
                self.draft.cluster.name,
                f"it runs {self.observed.version}, {self.to} is wanted",
                after=after,
                disrupts="the API server restarts; running pods go on",
                no_way_back=f"the control plane, and what it stores in etcd, cannot return to {current}",
                suffix=version,
                version=version,
            )
            after, current, self._reached = (step,), version, version
        return after

    def pools(self, replaced: Sequence[Replacement], to: str, after: Ids, suffix: str = "") -> Ids:
        """`parallel_pools` at a time, in the spec's order, the canary before all others; what has to be waited for."""
        self._reached = self._reached or self.observed.version
        policy = self.draft.cluster.policy.upgrade
        rest = list(replaced)
        if rest and policy.canary == "node" and _untouched(rest[0], to):
            after = self._next(after, Verb.UPGRADE_POOL, f"{rest[0].pool.name}{_dashed(suffix)}{_CANARY}")
            after = (self._replace(rest[0], to, after, suffix, canary=True),)
            following = self._validation(after, f"before-upgrade-pool-{rest[0].pool.name}{_dashed(suffix)}")
        else:
            following = ()
        groups = [[rest.pop(0)]] if rest and policy.canary == "pool" else []
        groups += [rest[at : at + policy.parallel_pools] for at in range(0, len(rest), policy.parallel_pools)]
        for group in groups:
            name = "+".join(each.pool.name for each in group)
            after = following or self._next(after, Verb.UPGRADE_POOL, f"{name}{_dashed(suffix)}")
            following = ()
            after = tuple(self._pool(each, to, after, suffix) for each in group)
        return after

    def close(self, after: Ids) -> Ids:
        """What follows the last change, also where a plan before this one has made it."""
        if not self._begun and not self.observed.upgrading:
            return after
        policy = self.draft.cluster.policy.upgrade
        hooks = list(policy.after)
        after = self._validation(after, "end", why="the upgrade ends with it", ends=not hooks)
        for at, hook in enumerate(hooks, 1):
            after = self._hook(hook, "it belongs after every upgrade", after, ends=at == len(hooks))
        return after

    def _behind(self, to: str) -> list[Replacement]:
        found = []
        for pool in self.draft.cluster.pools:
            seen = self.observed.pools.get(pool.name)
            if seen is not None and (reason := self.reason(pool, seen, to)):
                found.append(Replacement(pool, seen, reason, ()))
        return found

    def _next(self, after: Ids, verb: Verb, what: str) -> Ids:
        """What comes before each change: the hooks before the first, a rest before the others, and a validation."""
        policy = self.draft.cluster.policy.upgrade
        if not self._begun:
            self._begun = True
            for hook in policy.before:
                after = self._hook(hook, "it belongs before every upgrade", after)
        elif policy.pause:
            after = (self._rest(after, policy.pause, f"before-{verb.replace(' ', '-')}-{what}"),)
        return self._validation(after, f"before-{verb.replace(' ', '-')}-{what}")

    def _rest(self, after: Ids, pause: timedelta, suffix: str) -> str:
        reason = "policy.upgrade.pause asks for a rest between two steps"
        seconds = pause.total_seconds()
        name = self.draft.cluster.name
        return self.draft.add(Verb.PAUSE, name, reason, after=after, expected=pause, suffix=suffix, seconds=seconds)

    def _validation(
        self,
        after: Ids,
        suffix: str,
        *,
        why: str = "the next step waits for it",
        ends: bool = False,
        roll_back: Replacement | None = None,
    ) -> Ids:
        """Of what is there at this point: pools that are yet to come, or to shrink, are not asked about.

        roll_back: whose new nodes go when it fails; such a validation is never left out.
        """
        rounds = self.draft.cluster.policy.upgrade.rounds or (1 if roll_back is not None else 0)
        if not rounds:
            return after
        there = {pool.name: self.observed.pools.get(pool.name) for pool in self.draft.cluster.pools}
        params: dict[str, Any] = {
            "rounds": rounds,
            "version": self._reached,
            "pools": {name: min(self._pool_min(name), seen.count) for name, seen in there.items() if seen is not None},
        }
        if roll_back is not None:
            params |= {"roll_back": roll_back.pool.name, "nodes": roll_back.seen.count}
        name = self.draft.cluster.name
        step = self.draft.add(
            Verb.VALIDATE, name, why, after=after, expected=LOOK, suffix=suffix, ends_upgrade=ends, **params
        )
        return (step,)

    def _pool_min(self, name: str) -> int:
        pool = self.draft.cluster.pool(name)
        return pool.min if pool is not None else 0

    def _pool(self, one: Replacement, to: str, after: Ids, suffix: str) -> str:
        after = tuple(dict.fromkeys((*after, *one.after)))
        if self.draft.cluster.policy.upgrade.strategy == "blue_green":
            after = self._prepared(one, to, after, suffix)
        return self._replace(one, to, after, suffix)

    def _prepared(self, one: Replacement, to: str, after: Ids, suffix: str) -> Ids:
        name = one.pool.name
        reason = f"{one.reason}; new nodes come up beside the old ones"
        expected = self.draft.expected.get(Verb.CREATE_POOL)
        params: dict[str, Any] = {"nodes": one.seen.count, "version": to}
        step = self.draft.add(Verb.PREPARE_POOL, name, reason, after=after, expected=expected, suffix=suffix, **params)
        why = f"the old nodes of pool {name} stay until it passes; if it fails, the new ones go"
        return self._validation((step,), f"prepared-{name}{_dashed(suffix)}", why=why, roll_back=one)

    def _replace(self, one: Replacement, to: str, after: Ids, suffix: str, *, canary: bool = False) -> str:
        count = 1 if canary else one.seen.count
        params: dict[str, Any] = {"canary": True} if canary else {}
        most = at_most(self.draft.cluster.policy.upgrade.surge, one.seen.count)
        return self.draft.add(
            Verb.UPGRADE_POOL,
            one.pool.name,
            "a node of it goes first, as a canary" if canary else one.reason,
            after=after,
            disrupts=self.draft.moved(f"pods of {nodes(count)} move, within their PodDisruptionBudgets"),
            no_way_back="nodes that were replaced are gone, and kubelets do not go down" if _rises(one, to) else None,
            times=-(-count // most),
            suffix=f"{suffix}{_CANARY if canary else ''}",
            nodes=count,
            version=to,
            **params,
        )

    def _hook(self, hook: Hook, reason: str, after: Ids, *, ends: bool = False) -> Ids:
        words = {"cluster": self.draft.cluster.name, "from": self.observed.version or self.to, "to": self.to}
        deed: dict[str, Any] = {"command": list(hook.command)} if hook.command else {"deployment": hook.deployment}
        if hook.deployment:
            deed["parameters"] = _filled(hook.parameters, words)
        step = self.draft.add(
            Verb.RUN_HOOK,
            hook.name,
            reason,
            after=after,
            expected=min(hook.timeout, ERRAND),
            ends_upgrade=ends,
            timeout=hook.timeout.total_seconds(),
            retries=hook.retries,
            on_failure=hook.on_failure,
            environment=words,
            **deed,
        )
        return (step,)


def _dashed(suffix: str) -> str:
    return f"-{suffix}" if suffix else ""


def _rises(one: Replacement, to: str) -> bool:
    return any(below(version, to) for version in one.seen.versions.values())


def _untouched(one: Replacement, to: str) -> bool:
    """Has no node of the pool gone first yet? A pool of one node has none that could."""
    behind = sum(below(version, to) for version in one.seen.versions.values())
    if behind:
        new = len(one.seen.versions) - behind
    else:
        new = one.seen.count - len(one.seen.outdated) if one.seen.outdated else 0
    return one.seen.count > 1 and new <= one.seen.standing_in


def _filled(value: Any, words: dict[str, str]) -> Any:
    """`{cluster}`, `{from}` and `{to}` in every text of a value; nothing else in braces is touched."""
    if isinstance(value, dict):
        return {key: _filled(inner, words) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled(inner, words) for inner in value]
    if isinstance(value, str):
        for name, text in words.items():
            value = value.replace(f"{{{name}}}", text)
    return value


def below(one: str, other: str) -> bool:
    """Whether `one` is an older version; without a patch, any patch of its minor will do."""
    a, b = Version.parse(one), Version.parse(other)
    if a.of != b.of or a.patch is None or b.patch is None:
        return a.of < b.of
    return a.patch < b.patch


def versions_between(observed: str, to: str) -> list[str]:
    """What the control plane goes through: each minor in turn, the last as it was asked for; a patch in one go."""
    minors = path(observed, to)
    if minors:
        return [*minors[:-1], to]
    return [to] if below(observed, to) else []
