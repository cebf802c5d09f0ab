"""`boatyard demo`: one cluster through its whole life, in a home of its own, with nothing left behind."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
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

UPGRADES = ("1.35", "1.36")
CLEANING = timedelta(minutes=2)
POOL, SIZES = "web", (10, 5)
SPEC = "fleets/demo/demo.yaml"


def run(out: Out, file: Path | None, *, keep: bool) -> int:
    """The whole life; 0 when every stage ended well and, unless kept, nothing is left."""
    from boatyard.cli.flowrun import flows
    from boatyard.spec.load import load_cluster

    cluster = load_cluster(file or _own())
    with _home() as home:
        if _clean(cluster):
            out.say(f"Cleared away what an earlier demo left of {cluster.name}.")
        stages: list[Step] = []
        error: BoatyardError | None = None
        try:
            with flows(out, stages=True) as session:
                try:
                    session.call("lifecycle", "lifecycle", cluster.name, _given(cluster, keep))
                except BoatyardError as failed:
                    error = failed
                finally:
                    stages = session.progress.stages
        finally:
            left = [] if keep and error is None else _clear(cluster)
        return _close(out, cluster, home, stages, error, left, keep=keep)


def _own() -> Path:
    import deployments

    return Path(deployments.__file__ or "").parent / SPEC


def _given(cluster: "Cluster", keep: bool) -> dict[str, Any]:
    from boatyard.versions import path

    pool, last = cluster.pool(POOL), UPGRADES[-1]
    scale = [{POOL: size} for size in SIZES if pool is not None and pool.min <= size <= pool.upper]
    upgrades = path(cluster.kubernetes.version, last)
    return {"cluster": cluster, "upgrades": upgrades, "scale": scale, "delete": not keep}


@contextmanager
def _home() -> Iterator[Path]:
    """A home of the demo's own, so that it may be run again and again and meets no other cluster."""
    from boatyard.settings import Settings

    home = Settings.load().home / "demo"
    own = {"BOATYARD_HOME": str(home), "BOATYARD_STORE_URL": f"sqlite:///{home / 'boatyard.db'}"}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        yield home
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
    """Delete what is there of an earlier demo; whether there was something. `Held` when one is running."""
    from boatyard.drivers.operation import operating

    with _yard() as yard:
        if not yard.reader(cluster).residue():
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
