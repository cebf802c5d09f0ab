"""Is what was read of a cluster as its spec says? Pure rules; `validate` and the monitor both go by them."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from boatyard.errors import BoatyardError
from boatyard.kube.reading import Reading
from boatyard.spec.models import Cluster, Pool
from boatyard.versions import Version, kubelet_problem
from boatyard.words import some

Json = Mapping[str, Any]
PoolOf = Callable[[Json], str | None]

NODE_GRACE = timedelta(minutes=10)
"""A node that is not Ready counts as joining, not as broken, for this long after its creation."""
POD_GRACE = timedelta(minutes=5)
"""The same for system pods."""

_NAMED = 3
_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


class State(StrEnum):
    """OK and WARN let a validation pass; WAITING may come right by itself; FAIL needs somebody."""

    OK = "ok"
    WARN = "warn"
    WAITING = "waiting"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One result. `name`: subject and part, such as `readyz/etcd`, `pool/web`, `version`, `canary`."""

    name: str
    status: State
    message: str

    @property
    def passes(self) -> bool:
        return self.status in (State.OK, State.WARN)


def pool_by(label: str) -> PoolOf:
    """Pools as nodes name them by this label."""
    return lambda node: (node["metadata"].get("labels") or {}).get(label)


pool_by_label = pool_by("boatyard.dev/pool")
"""Our own."""


def judge(
    reading: Reading,
    cluster: Cluster,
    now: datetime,
    *,
    expected_version: str | None = None,
    pool_of: PoolOf = pool_by_label,
) -> list[Check]:
    """Every check on one reading.

    expected_version: `1.35` or `1.35.2`; a newer patch of it is only noted. Without it the spec's version is a floor,
    and being below it is only noted, since an upgrade may be on its way.
    """
    return [
        *_readyz(reading.readyz),
        *_nodes(reading.nodes, cluster, now, pool_of),
        _system_pods(reading.system_pods, now),
        _version(reading.version, cluster, expected_version),
        _skew(reading.version, reading.nodes),
        _dns(reading.dns),
    ]


def served_version(document: Json) -> str:
    """What the server behaves as: the emulated minor where it emulates an older one, else its own version."""
    own = str(document.get("gitVersion") or "").removeprefix("v")
    emulated = f"{document.get('emulationMajor')}.{document.get('emulationMinor')}"
    differs = document.get("emulationMinor") and not own.startswith(f"{emulated}.")
    return emulated if differs else own


def _readyz(seen: dict[str, bool] | BoatyardError) -> list[Check]:
    if isinstance(seen, BoatyardError):
        return [_unread("readyz", seen)]
    return [
        Check(f"readyz/{name}", State.OK if ok else State.FAIL, "ok" if ok else "the API server's own check fails")
        for name, ok in seen.items()
    ]


def _nodes(seen: Sequence[Json] | BoatyardError, cluster: Cluster, now: datetime, pool_of: PoolOf) -> list[Check]:
    if isinstance(seen, BoatyardError):
        return [_unread("nodes", seen)]
    members: dict[str, list[Json]] = defaultdict(list)
    strangers = []
    for node in seen:
        pool = pool_of(node)
        if pool is not None and cluster.pool(pool):
            members[pool].append(node)
        else:
            strangers.append(node)
    checks = [_pool(pool, members[pool.name], now) for pool in cluster.pools]
    return checks + _others(strangers, now)


def _pool(pool: Pool, nodes: Sequence[Json], now: datetime) -> Check:
    name = f"pool/{pool.name}"
    ready = [node for node in nodes if node_ready(node)]
    joining = [node for node in nodes if not node_ready(node) and _young(node, now, NODE_GRACE)]
    leaving = [node for node in nodes if node["metadata"].get("deletionTimestamp")]
    broken = [node for node in nodes if not node_ready(node) and node not in joining and node not in leaving]
    wanted = str(pool.min) if pool.upper == pool.min else f"{pool.min} to {pool.upper}"
    count = f"{len(ready)} nodes Ready, {wanted} wanted"
    if broken:
        return Check(name, State.FAIL, f"{count}; not Ready: {_names(broken)} ({_why_not_ready(broken[0])})")
    if len(ready) < pool.min:
        missing = pool.min - len(ready) - len(joining)
        if missing > 0:
            return Check(name, State.FAIL, f"{count}; {missing} missing")
        return Check(name, State.WAITING, f"{count}; joining: {_names(joining)}")
    if len(nodes) - len(leaving) > pool.upper:
        extra = len(nodes) - len(leaving) - pool.upper
        return Check(name, State.FAIL, f"{count}; {extra} more than the spec allows")
    return _pool_of_enough(name, count, ready, joining, leaving)


def _pool_of_enough(
    name: str, count: str, ready: Sequence[Json], joining: Sequence[Json], leaving: Sequence[Json]
) -> Check:
    cordoned = [node for node in ready if (node.get("spec") or {}).get("unschedulable")]
    pressed = [f"{node['metadata']['name']} {kind}" for node in ready for kind in _PRESSURES if _is(node, kind)]
    notes = [
        f"{label}: {_names(group)}"
        for label, group in (("being added", joining), ("being removed", leaving), ("cordoned", cordoned))
        if group
    ]
    if pressed:
        notes.append(f"under pressure: {', '.join(pressed[:_NAMED])}")
    return Check(name, State.WARN if notes else State.OK, "; ".join([count, *notes]))


def _others(nodes: Sequence[Json], now: datetime) -> list[Check]:
    """Nodes of no pool: the control plane's must be Ready, others are only named."""
    control = [node for node in nodes if _CONTROL_PLANE in (node["metadata"].get("labels") or {})]
    others = [node for node in nodes if node not in control]
    checks = []
    if control:
        bad = [node for node in control if not node_ready(node)]
        young = all(_young(node, now, NODE_GRACE) for node in bad)
        status = State.OK if not bad else State.WAITING if young else State.FAIL
        text = f"; not Ready: {_names(bad)} ({_why_not_ready(bad[0])})" if bad else ""
        checks.append(Check("nodes/control-plane", status, f"{len(control) - len(bad)} nodes Ready{text}"))
    if others:
        checks.append(Check("nodes/other", State.WARN, f"{len(others)} nodes belong to no pool: {_names(others)}"))
    return checks


def _system_pods(seen: Sequence[Json] | BoatyardError, now: datetime) -> Check:
    name = "system-pods"
    if isinstance(seen, BoatyardError):
        return _unread(name, seen)
    ended = [pod for pod in seen if _ended(pod)]
    live = [pod for pod in seen if (pod.get("status") or {}).get("phase") != "Succeeded" and not _ended(pod)]
    bad = [pod for pod in live if not _is(pod, "Ready") and not pod["metadata"].get("deletionTimestamp")]
    if not bad and ended:
        text = f"{len(live)} Ready; ended, and left to their controllers: {_names(ended)} ({_why_pod(ended[0])})"
        return Check(name, State.WARN, text)
    if not bad:
        return Check(name, State.OK, f"{len(live)} Ready" if live else "none")
    young = all(_young(pod, now, POD_GRACE) for pod in bad)
    text = f"{len(bad)} of {len(live)} not Ready: {_names(bad)} ({_why_pod(bad[0])})"
    return Check(name, State.WAITING if young else State.FAIL, text)


def _ended(pod: Json) -> bool:
    """Evicted by its kubelet, or ended with its machine: it stays for days, though another took its place long ago."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return (pod.get("status") or {}).get("phase") == "Failed" and any(owner.get("controller") for owner in owners)


def _version(seen: Json | BoatyardError, cluster: Cluster, expected: str | None) -> Check:
    if isinstance(seen, BoatyardError):
        return _unread("version", seen)
    served = served_version(seen)
    try:
        if expected is None:
            problem = version_drift(served, cluster)
            return Check("version", State.WARN if problem else State.OK, problem or served)
        have, want = Version.parse(served), Version.parse(expected)
    except ValueError as error:
        return Check("version", State.FAIL, f"cannot be compared: {error}")
    if have.of == want.of and (want.patch is None or have.patch is None or have.patch == want.patch):
        return Check("version", State.OK, served)
    if have.of == want.of and want.patch is not None and have.patch is not None and have.patch > want.patch:
        # Providers patch control planes by themselves; only an older one shows that something did not arrive.
        return Check("version", State.WARN, f"the API server is {served}, newer than the {expected} that was expected")
    return Check("version", State.FAIL, f"the API server is {served}, expected {expected}")


def version_drift(served: str, cluster: Cluster) -> str | None:
    """How the served version differs from the spec's, None when it does not. `ValueError` when it cannot be read.

    The spec's version is a floor: being ahead of it is what maintenance is for, unless the channel is pinned.
    """
    wanted = cluster.kubernetes.version
    have, want = Version.parse(served), Version.parse(wanted)
    older_patch = have.patch is not None and want.patch is not None and have.patch < want.patch
    if have.of < want.of or (have.of == want.of and older_patch):
        return f"it runs {served}, the spec wants {wanted}"
    if have.of != want.of and cluster.kubernetes.channel == "pinned":
        return f"it runs {served}, the spec pins {wanted}"
    return None


def _skew(version: Json | BoatyardError, nodes: Sequence[Json] | BoatyardError) -> Check:
    if isinstance(version, BoatyardError):
        return _unread("skew", version)
    if isinstance(nodes, BoatyardError):
        return _unread("skew", nodes)
    served, problems, unknown = served_version(version), [], []
    for node in nodes:
        kubelet = str(((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion") or "")
        try:
            problem = kubelet_problem(served, kubelet.removeprefix("v"))
        except ValueError:
            unknown.append(node)
            continue
        if problem:
            problems.append(f"{node['metadata']['name']}: {problem}")
    if problems:
        return Check("skew", State.FAIL, some(problems, _NAMED))
    if unknown:
        return Check("skew", State.WARN, f"no readable kubelet version on {_names(unknown)}")
    return Check("skew", State.OK, f"{len(nodes)} kubelets fit {served}")


def _dns(seen: int | BoatyardError | None) -> Check:
    if isinstance(seen, BoatyardError):
        return _unread("dns", seen)
    if seen is None:
        return Check("dns", State.OK, "none")
    if seen == 0:
        return Check("dns", State.FAIL, "Service kube-system/kube-dns has no ready endpoint")
    return Check("dns", State.OK, f"{seen} ready endpoints")


def _unread(name: str, error: BoatyardError) -> Check:
    return Check(name, State.FAIL, f"could not be read: {error}")


def node_ready(node: Json) -> bool:
    return _is(node, "Ready") and not node["metadata"].get("deletionTimestamp")


def takes_pods(node: Json) -> bool:
    """Would a pod that tolerates nothing find a place here?"""
    spec = node.get("spec") or {}
    hard = [taint for taint in spec.get("taints") or () if taint["effect"] in ("NoSchedule", "NoExecute")]
    return node_ready(node) and not spec.get("unschedulable") and not hard


def _condition(document: Json, kind: str) -> Json:
    conditions = (document.get("status") or {}).get("conditions") or ()
    return next((entry for entry in conditions if entry["type"] == kind), {})


def _is(document: Json, kind: str) -> bool:
    return bool(_condition(document, kind).get("status") == "True")


def _young(document: Json, now: datetime, grace: timedelta) -> bool:
    return now - datetime.fromisoformat(document["metadata"]["creationTimestamp"]) < grace


def _why_not_ready(node: Json) -> str:
    condition = _condition(node, "Ready")
    return str(condition.get("message") or condition.get("reason") or "its kubelet has not reported")


def _why_pod(pod: Json) -> str:
    status = pod.get("status") or {}
    for container in status.get("containerStatuses") or ():
        if waiting := (container.get("state") or {}).get("waiting"):
            return str(waiting.get("reason") or "waiting")
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return str(scheduled.get("message") or scheduled.get("reason") or "not scheduled")
    return str(status.get("reason") or status.get("phase") or "Pending")


def _names(documents: Sequence[Json]) -> str:
    return some([document["metadata"]["name"] for document in documents], _NAMED)
