"""What is there now, in one look: files, processes, then a few requests side by side."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from boatyard.drivers.base import Env
from boatyard.drivers.kwok import access, config, nodes, processes, state
from boatyard.drivers.kwok.nodes import NODES, Json
from boatyard.drivers.kwok.state import Layout, PoolRecord, Record
from boatyard.errors import BoatyardError
from boatyard.plan.model import Observed, ObservedPool, Phase
from boatyard.spec.models import Cluster

_TIMEOUT = 5.0  # seconds for the API server's answer before the cluster counts as broken


def observe(cluster: Cluster, env: Env, layout: Layout) -> Observed:
    """The cluster as it is. Never raises for one that is absent, asleep or broken."""
    try:
        record = state.load(layout)
    except BoatyardError as error:
        return Observed(phase=Phase.BROKEN, detail=str(error))
    live = processes.components(layout)
    if record is None:
        if not layout.folder.exists() and not live:
            return Observed(phase=Phase.ABSENT)
        return Observed(
            phase=Phase.PARTIAL, detail="files or processes are left of a cluster that Boatyard has no record of"
        )
    version = config.emulated_version(layout)
    if record.intent == "deleting":
        return Observed(phase=Phase.PARTIAL, detail="its deletion was cut off")
    if record.intent == "creating":
        return Observed(phase=Phase.PARTIAL, version=version, detail="its creation was cut off")
    known = Observed(
        phase=Phase.BROKEN, version=version, endpoint=f"https://127.0.0.1:{record.ports['kubeApiserverPort']}"
    )
    missing = [component for component in processes.COMPONENTS if component not in live]
    if record.intent == "hibernated" and not live:
        return known.model_copy(update={"phase": Phase.HIBERNATED})
    if record.intent == "hibernated":  # also while all of it runs still: nobody gets in any more, as if it were asleep
        gone = f": not running: {', '.join(missing)}" if missing else ""
        return known.model_copy(update={"detail": f"its hibernation was cut off{gone}"})
    if missing:
        return known.model_copy(update={"detail": f"not running: {', '.join(missing)}"})
    return _ask(cluster, layout, record, known)


def _ask(cluster: Cluster, layout: Layout, record: Record, known: Observed) -> Observed:
    from boatyard.drivers.kwok.control_plane import served_minor  # a third of a plan's start, needed only here
    from boatyard.kube.client import Client
    from boatyard.kube.inventory import observed_apps

    try:
        kubeconfig = access.admin(layout, record.ports["kubeApiserverPort"])
        with Client(kubeconfig, timeout=_TIMEOUT, retries=0) as client, ThreadPoolExecutor(4) as threads:
            health = threads.submit(client.raw, "GET", "/readyz", check=False)
            version = threads.submit(client.version)
            found = threads.submit(client.list, NODES)
            apps = threads.submit(observed_apps, client)
            if (answer := health.result()).status != 200:
                return known.model_copy(
                    update={"detail": f"/readyz answers {answer.status}: {_failing(answer.text())}"}
                )
            return known.model_copy(
                update={
                    "phase": Phase.RUNNING,
                    "version": served_minor(version.result()),
                    "pools": pools(cluster, record.pools, found.result()),
                    "apps": apps.result(),
                }
            )
    except BoatyardError as error:
        return known.model_copy(update={"detail": str(error)})


def pools(cluster: Cluster, records: Mapping[str, PoolRecord], found: Iterable[Json]) -> dict[str, ObservedPool]:
    """Nodes by pool. A pool that was ordered and has no nodes is there, too, and empty."""
    members: dict[str, list[Json]] = {name: [] for name in records}
    for node in found:
        if name := nodes.pool_of(node):
            members.setdefault(name, []).append(node)
    return {name: _pool(cluster, name, records.get(name), group) for name, group in sorted(members.items())}


def _pool(cluster: Cluster, name: str, record: PoolRecord | None, members: list[Json]) -> ObservedPool:
    spec = cluster.pool(name)
    # One node that differs from the spec is enough to say that the pool does: show that one.
    shown = sorted(members, key=lambda node: spec is None or _as_specified(node, dict(spec.labels), spec.taints))
    if shown:
        labels, taints, size = nodes.our_labels(shown[0]), nodes.our_taints(shown[0]), _size(members, record)
    elif record is not None:
        labels, taints, size = dict(record.labels), record.taints, record.size
    return ObservedPool(
        name=name,
        size=size,
        labels=labels,
        taints=taints,
        versions={nodes.name_of(node): nodes.version_of(node) for node in sorted(members, key=nodes.name_of)},
        ready=sum(nodes.ready(node) for node in members),
        standing_in=len(nodes.standing_in(members)),
    )


def _as_specified(node: Json, labels: Mapping[str, str], taints: Iterable[str]) -> bool:
    return nodes.our_labels(node) == labels and set(nodes.our_taints(node)) == set(taints)


def _size(members: list[Json], record: PoolRecord | None) -> str:
    """The size that differs from the order, if one does: it is the one to be replaced."""
    sizes = sorted(
        {nodes.size_of(node) for node in members}, key=lambda size: record is not None and size == record.size
    )
    return sizes[0]


def _failing(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("[-]")]
    return "; ".join(line[3:] for line in lines) or text.strip()[:200]
