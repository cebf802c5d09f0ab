"""Where a kwok cluster lives on disk, and Boatyard's own record of it.

    HOME/kwok/                  KWOK_WORKDIR
      lock                      held while ports are chosen
      records/NAME.json         what we intend, its ports, its pools; there before and after the cluster itself
      config/NAME.yaml          the KwokctlConfiguration it is created from
      config/NAME.audit.yaml    which requests are logged, where any are
      clusters/NAME/            kwokctl's: kwok.yaml, pki, etcd's data, logs, pids

The record plays the part of the provider's account: it says what was ordered, so that what is found can be judged.
"""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from boatyard.errors import Permanent

Intent = Literal["creating", "running", "hibernated", "deleting"]


@dataclass(frozen=True)
class PoolRecord:
    """How the next node of a pool is to be made. `version`: kubelet minor (`1.35`)."""

    size: str
    version: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    spot: bool = False


@dataclass(frozen=True)
class Record:
    """What we intend with one cluster. `version`: the minor it was ordered in; what it runs stands in kwok.yaml."""

    intent: Intent
    version: str
    ports: Mapping[str, int] = field(default_factory=dict)
    pools: Mapping[str, PoolRecord] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """Paths of one cluster."""

    workdir: Path
    name: str

    @property
    def folder(self) -> Path:
        return self.workdir / "clusters" / self.name

    @property
    def config(self) -> Path:
        return self.workdir / "config" / f"{self.name}.yaml"

    @property
    def audit_policy(self) -> Path:
        return self.workdir / "config" / f"{self.name}.audit.yaml"

    @property
    def record(self) -> Path:
        return self.workdir / "records" / f"{self.name}.json"

    @property
    def kwok_yaml(self) -> Path:
        return self.folder / "kwok.yaml"

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    def binary(self, component: str) -> Path:
        return self.folder / "bin" / component

    def pid_file(self, component: str) -> Path:
        return self.folder / "pids" / f"{component}.pid"

    def log(self, component: str) -> Path:
        return self.folder / "logs" / f"{component}.log"


def write_atomically(path: Path, data: bytes | str) -> None:
    """Replace `path` in one step, mode 0600, its folders 0700. `Permanent` when the disk refuses."""
    raw = data.encode() if isinstance(data, str) else data
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:60]}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Permanent(
            f"cannot write {path}: {error.strerror or error}.", hint="Free space or mend permissions, then run again."
        ) from None


def load(layout: Layout) -> Record | None:
    """The cluster's record; None when there is none. `Permanent` when the file is damaged."""
    try:
        return _parse(json.loads(layout.record.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Permanent(
            f"{layout.record} is damaged ({error}).", hint="Delete the cluster, or mend the file by hand."
        ) from None


def load_or_none(layout: Layout) -> Record | None:
    """Like `load`, but a damaged record is none: for those who clear away or only look."""
    try:
        return load(layout)
    except Permanent:
        return None


def save(layout: Layout, record: Record) -> None:
    write_atomically(layout.record, json.dumps(asdict(record), indent=1))


def put_pool(layout: Layout, name: str, pool: PoolRecord | None) -> None:
    """Remember how a pool's nodes are made; None forgets the pool. A no-op without a record of the cluster."""
    with locked(layout.workdir):  # pools are worked on side by side, and are kept in one file
        if (record := load(layout)) is None:
            return
        pools = {key: value for key, value in record.pools.items() if key != name}
        if pool is not None:
            pools[name] = pool
        if pools != dict(record.pools):
            save(layout, replace(record, pools=pools))


def records(workdir: Path) -> dict[str, Record]:
    """Every readable record, by cluster name."""
    found = {}
    for path in sorted((workdir / "records").glob("*.json")):
        if path.name.startswith("."):
            continue
        try:
            if record := load(Layout(workdir, path.name.removesuffix(".json"))):
                found[path.name.removesuffix(".json")] = record
        except Permanent:
            continue
    return found


@contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Held by one process at a time, and freed by the kernel when it dies."""
    try:
        workdir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (workdir / "lock").open("w")
    except OSError as error:
        raise Permanent(
            f"cannot write in {workdir}: {error.strerror or error}.", hint="Free space or mend permissions."
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _parse(document: Any) -> Record:
    if not isinstance(document, dict):
        raise TypeError("not an object")
    pools = {
        name: PoolRecord(
            size=pool["size"],
            version=pool["version"],
            labels=dict(pool.get("labels") or {}),
            taints=tuple(pool.get("taints") or ()),
            spot=bool(pool.get("spot")),
        )
        for name, pool in (document.get("pools") or {}).items()
    }
    ports = {key: int(port) for key, port in (document.get("ports") or {}).items()}
    return Record(intent=document["intent"], version=document["version"], ports=ports, pools=pools)
