"""`boatyard demo`: one cluster through its whole life, in a home of its own, with nothing left behind."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boatyard.cli.me import who
from boatyard.cli.output import Cell, Out
from boatyard.cli.progress import Step
from boatyard.errors import BoatyardError, Permanent

if TYPE_CHECKING:
    from boatyard.drivers.base import Residue
    from boatyard.drivers.operation import Yard
    from boatyard.spec.models import Cluster

CLEANING = timedelta(minutes=5)
POOL = "web"


@dataclass(frozen=True)
class Life:
    """What the demo of one kind of cluster goes through. spec: below the folder `deployments`. rotate: keys, too."""

    spec: str
    last: str
    sizes: tuple[int, ...]
    rotate: bool = False


LIVES = {
    "kwok": Life("fleets/demo/demo.yaml", last="1.36", sizes=(10, 5)),
    "kops": Life("fleets/demo-kops/demo.yaml", last="1.36", sizes=(4, 2), rotate=True),
}


def run(out: Out, kind: str, file: Path | None, *, keep: bool) -> int:
    """The whole life; 0 when every stage ended well and, unless kept, nothing is left."""
    from boatyard.spec.load import load_cluster

    life = LIVES[kind]
    cluster = load_cluster(file or _own(life))
    with _home(kind) as home, _place(out, kind, home, cluster) as placed:
        return _live(out, life, placed, home, keep=keep)


@contextmanager
def _place(out: Out, kind: str, home: Path, cluster: "Cluster") -> "Iterator[Cluster]":
    """Where the cluster lives: on this machine, or on an emulated account that lasts as long as the demo."""
    if kind == "kwok":
        yield cluster
        return
    from boatyard.sandbox.aws.sandbox import PROGRAMS, Sandbox
    from boatyard.settings import Settings
    from boatyard.tools import Toolbox

    toolbox = Toolbox(Settings.load().cache, out.say)
    toolbox.ensure((*PROGRAMS, kind))
    out.say("Starting an emulated AWS account with real control planes.")
    with Sandbox.start(home / "sandbox", toolbox) as sandbox, environment(sandbox.environment):
        settings = {"api_server": sandbox.api_server, "channel": sandbox.channel}
        yield cluster.model_copy(update={"provider": cluster.provider.model_copy(update=settings)})


def _live(out: Out, life: Life, cluster: "Cluster", home: Path, *, keep: bool) -> int:
    from boatyard.cli.flowrun import flows

    if _clean(cluster):
        out.say(f"Cleared away what an earlier demo left of {cluster.name}.")
    stages: list[Step] = []
    error: BoatyardError | None = None
    try:
        with flows(out, stages=True) as session:
            try:
                session.call("lifecycle", "lifecycle", cluster.name, _given(life, cluster, keep))
            except BoatyardError as failed:
                error = failed
            finally:
                stages = session.progress.stages
    finally:
        left = [] if keep and error is None else _clear(cluster)
    return _close(out, cluster, home, stages, error, left, keep=keep)


def _own(life: Life) -> Path:
    import deployments

    return Path(deployments.__file__ or "").parent / life.spec


def _given(life: Life, cluster: "Cluster", keep: bool) -> dict[str, Any]:
    from boatyard.versions import path

    pool = cluster.pool(POOL)
    return {
        "cluster": cluster,
        "upgrades": path(cluster.kubernetes.version, life.last),
        "scale": [{POOL: size} for size in life.sizes if pool is not None and pool.min <= size <= pool.upper],
        "rotate": life.rotate,
        "delete": not keep,
    }


@contextmanager
def _home(kind: str) -> Iterator[Path]:
    """A home of the demo's own, so that it may be run again and again and meets no other cluster."""
    from boatyard.settings import Settings

    home = Settings.load().home / ("demo" if kind == "kwok" else f"demo-{kind}")
    with environment({"BOATYARD_HOME": str(home), "BOATYARD_STORE_URL": f"sqlite:///{home / 'boatyard.db'}"}):
        yield home


@contextmanager
def environment(own: Mapping[str, str]) -> Iterator[None]:
    """`own` over this process' variables, for the block."""
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def _yard() -> "Iterator[Yard]":
    from boatyard.clock import SystemClock
    from boatyard.drivers.operation import Yard
    from boatyard.settings import Settings
    from boatyard.store import Store
    from boatyard.tools import Toolbox

    settings = Settings.load()
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with Store.open(settings.store_url, SystemClock()) as store:
        yield Yard(settings, store, Toolbox(settings.cache), SystemClock())


def _clean(cluster: "Cluster") -> bool:
    """Delete and forget what is there of an earlier demo; whether there was something. `Held` when one is running."""
    from boatyard.drivers.operation import operating

    with _yard() as yard:
        if not yard.reader(cluster).residue() and yard.store.clusters.get(cluster.name) is None:
            return False
        with operating(yard, cluster, "clean up", who=who(), run_id="demo") as operation:
            operation.driver(CLEANING, f"cleaning up {cluster.name}").delete()
            yard.store.clusters.forget(cluster.name, fence=operation.lease.number)
    return True


def _clear(cluster: "Cluster") -> "list[Residue]":
    """What is left in the end, by the driver's own scan; a failed life is cleared away first."""
    with _yard() as yard:
        left = yard.reader(cluster).residue()
    if left and _clean(cluster):
        with _yard() as yard:
            return yard.reader(cluster).residue()
    return []


def _close(
    out: Out,
    cluster: "Cluster",
    home: Path,
    stages: list[Step],
    error: BoatyardError | None,
    left: "list[Residue]",
    *,
    keep: bool,
) -> int:
    """The closing table, and the exit code."""
    total = (max(s.ended or s.began for s in stages) - min(s.began for s in stages)) if stages else 0.0
    out.emit(
        {
            "cluster": cluster.name,
            "outcome": "failed" if error else "done",
            "seconds": round(total, 3),
            "stages": [{"stage": s.name, "seconds": round(s.seconds, 3), "outcome": _result(s)} for s in stages],
            "residue": [{"kind": each.kind, "identity": each.identity} for each in left],
            "kept": keep,
            "home": str(home),
        }
    )
    if not out.json:
        rows: list[tuple[Cell, ...]] = [
            (stage.name, f"{stage.seconds:7.1f}", (_result(stage), "green" if stage.well else "red"))
            for stage in stages
        ]
        out.line()
        out.table(("STAGE", "SECONDS", "RESULT"), [*rows, (("total", "bold"), f"{total:7.1f}", "")])
        out.line()
    if error is not None:
        raise error
    if left:
        raise Permanent(
            f"{len(left)} things are left of {cluster.name}: " + ", ".join(f"{r.kind} {r.identity}" for r in left) + "."
        )
    if keep:
        out.say(f"{cluster.name} runs on. `boatyard status --home {home}` shows it; the next demo clears it away.")
    elif not out.json:
        out.say("Every stage ended well, and nothing is left.")
    return 0


def _result(stage: Step) -> str:
    return "failed" if not stage.well else "done" if stage.ended else "interrupted"
