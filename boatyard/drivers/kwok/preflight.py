"""What would stop a kwok cluster from being made or changed."""

import shutil
import sys

from boatyard.drivers.base import Env, Finding
from boatyard.drivers.kwok import config, sizes
from boatyard.drivers.kwok.state import Layout
from boatyard.errors import BoatyardError, InvalidSpec
from boatyard.spec.models import Cluster

_DISK = 1 << 30  # bytes: etcd's first files take 125 MB, and its history grows
_MEMORY = 1 << 30  # bytes: a cluster takes about 400 MB, and needs more while it starts


def preflight(cluster: Cluster, env: Env, layout: Layout) -> list[Finding]:
    """Everything at once; [] when all is well."""
    found: list[Finding] = []
    if sys.platform != "linux":
        found.append(Finding("system", f"the kwok driver needs Linux, this is {sys.platform}", "use a Linux machine"))
    for tool in config.TOOLS:
        try:
            env.tool(tool)
        except BoatyardError as error:
            found.append(Finding(tool, error.message, error.hint or "boatyard doctor --fix"))
    return found + _version(cluster) + _control_plane(cluster) + _sizes(cluster) + _room(layout)


def _version(cluster: Cluster) -> list[Finding]:
    known = type(cluster.provider).minors
    asked = cluster.kubernetes.version
    version = ".".join(asked.split(".")[:2])
    if version in known and asked != version:
        return [Finding("kubernetes.version", f"{asked}: kwok clusters have no patch levels", f"choose {version}")]
    if version in known:
        return []
    return [Finding("kubernetes.version", f"{version} is not one of {', '.join(known)}", f"choose {known[-1]}")]


def _control_plane(cluster: Cluster) -> list[Finding]:
    """It is one set of processes, whatever the spec wants: said, so that nobody counts on more."""
    asked = {"size": cluster.control_plane.size, "count": cluster.control_plane.count}
    asked = {name: value for name, value in asked.items() if value not in (None, 1)}
    return [
        Finding(
            f"control_plane.{name}",
            f"{value} has no effect: a kwok cluster has one control plane, of this machine's processes",
            "leave it out",
            blocks=False,
        )
        for name, value in asked.items()
    ]


def _sizes(cluster: Cluster) -> list[Finding]:
    found = []
    for pool in cluster.pools:
        try:
            sizes.capacity(pool.size)
        except InvalidSpec as error:
            found.append(Finding(f"pools.{pool.name}.size", error.message, f"choose {sizes.DEFAULT}"))
    return found


def _room(layout: Layout) -> list[Finding]:
    found = []
    folder = next(path for path in (layout.workdir, *layout.workdir.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if free < _DISK:
        found.append(
            Finding("disk", f"{folder} has {free >> 20} MB left, a cluster needs {_DISK >> 20}", "free some space")
        )
    memory = _available_memory()
    if memory is not None and memory < _MEMORY and not layout.folder.exists():
        found.append(
            Finding(
                "memory",
                f"{memory >> 20} MB are available, a cluster needs {_MEMORY >> 20}",
                "hibernate another one",
                blocks=False,
            )
        )
    return found


def _available_memory() -> int | None:
    try:
        with open("/proc/meminfo") as file:  # noqa: PTH123 - one line of a kernel file
            return next((int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable:")), None)
    except OSError:
        return None
