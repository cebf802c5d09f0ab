"""What read-only verbs look with: the quick store, drivers without a lease, clusters by file, folder or name."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from boatyard.cli.failure import shown
from boatyard.clock import SystemClock
from boatyard.errors import InvalidSpec, NotFound
from boatyard.settings import Settings
from boatyard.store import Reader, reader
from boatyard.words import some

if TYPE_CHECKING:
    from boatyard.drivers.operation import Yard
    from boatyard.spec.fleet import Fleet
    from boatyard.spec.models import Cluster
    from boatyard.store import Store

SUFFIXES = (".yaml", ".yml")


@contextmanager
def looking() -> "Iterator[Yard]":
    """A yard that only reads: its store answers what a `Store` would, but takes nothing in."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # else it looks through every installed package
    from boatyard.drivers.operation import Yard
    from boatyard.tools import Toolbox

    settings = Settings.load()
    with reader(settings.store_url) as store:
        yield Yard(settings, cast("Store", store), Toolbox(settings.cache), SystemClock())


@contextmanager
def keeping() -> "Iterator[Yard]":
    """A yard with the whole store, for verbs that write to it or ask what the quick one does not know."""
    from boatyard.drivers.operation import Yard
    from boatyard.store import Store
    from boatyard.tools import Toolbox

    settings = Settings.load()
    with Store.open(settings.store_url) as store:
        yield Yard(settings, store, Toolbox(settings.cache), SystemClock())


def is_path(target: str) -> bool:
    """Whether a target is meant as a path: by its look alone, so that no file changes what a name means."""
    return "/" in target or target in (".", "..") or target.endswith(SUFFIXES)


def clusters(target: str, store: Reader) -> "list[Cluster]":
    """The clusters of a spec's file, of a fleet's folder, or the one of that name."""
    return chosen(target, store)[0]


def chosen(target: str, store: Reader) -> "tuple[list[Cluster], Fleet | None]":
    """The clusters that a target means, and the fleet where it is a folder.

    A word that is no path is a name first, and a folder or file only when no cluster has that name.
    """
    path = Path(target).expanduser()
    if not is_path(target):
        record = _named(target, store)
        if record is not None:
            return [record], None
        if not _there(path.exists):
            raise unknown(target, store)
    if _there(path.is_dir):
        from boatyard.spec.fleet import load_fleet

        fleet = load_fleet(path)
        if not fleet.clusters:
            raise InvalidSpec([f"{path}: found no cluster, allowed files with kind: Cluster"])
        return list(fleet.clusters.values()), fleet
    from boatyard.spec.load import load_cluster

    return [load_cluster(path)], None


def _there(asked: Callable[[], bool]) -> bool:
    """What a path's question answers; no for words that cannot be a path (too long, with a zero byte)."""
    try:
        return asked()
    except (OSError, ValueError):
        return False


def cluster(target: str, store: Reader) -> "Cluster":
    """The one cluster of a file, or of that name."""
    if is_path(target) and _there(Path(target).expanduser().is_dir):
        raise NotFound(f"{shown(target)} is a folder; name one cluster or its file.")
    return clusters(target, store)[0]


def _named(name: str, store: Reader) -> "Cluster | None":
    record = store.clusters.get(name)
    if record is None or record.state == "deleted":
        return None
    from boatyard.spec.models import Cluster

    return Cluster.model_validate(record.desired)


def registered(name: str, store: Reader) -> None:
    """Raise `NotFound` unless Boatyard knows the cluster; says which it knows."""
    record = store.clusters.get(name)
    if record is None or record.state == "deleted":
        raise unknown(name, store)


def unknown(name: str, store: Reader) -> NotFound:
    """The error for a name that nobody has."""
    import difflib

    names = [each.name for each in store.clusters.list()]
    near = difflib.get_close_matches(name, names, 1)
    if near:
        return NotFound(f"no cluster named {shown(name)} is known.", hint=f"Did you mean {near[0]}?")
    if not names:
        return NotFound(
            f"no cluster named {shown(name)} is known; there are none.", hint="`boatyard apply FILE` makes one."
        )
    return NotFound(f"no cluster named {shown(name)} is known; there are: {some(names, 8)}.")
