"""Runs every benchmark (or those named), prints a table and writes benchmarks/results.json.

A benchmark is a module of this package with a function `run() -> list[Row]`.
"""

import importlib
import json
import pkgutil
import sys
from pathlib import Path

import benchmarks
from benchmarks.base import Row, Skipped, timed

HERE = Path(__file__).parent
HELPERS = {"__main__", "base", "twin"}


def names() -> list[str]:
    """Every module that has something to run, found by listing."""
    found = pkgutil.iter_modules(benchmarks.__path__)
    return sorted(module.name for module in found if module.name not in HELPERS and not module.ispkg)


def main(wanted: list[str]) -> int:
    """0 when all ran or were skipped, 1 when one failed, 2 for an unknown name. A missed goal is only printed."""
    if unknown := set(wanted) - set(names()):
        print(f"no benchmark named {', '.join(sorted(unknown))}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    skipped, failed = list[str](), False
    for name in wanted or names():
        module = importlib.import_module(f"benchmarks.{name}")
        if not hasattr(module, "run"):
            continue
        print(f"== {name}: {(module.__doc__ or '').strip().splitlines()[0]}", flush=True)
        try:
            seconds = timed(lambda module=module: rows.extend(module.run()))
        except Skipped as why:
            print(f"   skipped: {why}; its last measurement is kept.", flush=True)
            skipped.append(name)
            continue
        except Exception as error:  # noqa: BLE001 - one broken benchmark must not hide the others
            print(f"   failed: {error}", file=sys.stderr)
            failed = True
            continue
        print(f"   took {seconds:.0f} s", flush=True)
    show(rows)
    keep(rows, lasting=None if wanted else skipped)
    return 1 if failed else 0


def show(rows: list[Row]) -> None:
    """A table 80 columns wide."""
    print(f"\n{'benchmark':<26}{'ours':>9}{'theirs':>9} {'unit':<5}{'ratio':>7}{'goal':>6}  against")
    for row in rows:
        mark = " " if row.met else "!"
        print(
            f"{row.name:<26}{row.ours:>9.2f}{row.theirs:>9.2f} {row.unit:<5}{row.ratio:>7.2f}{row.goal:>6.2f}{mark} "
            f"{row.against}"
        )
        if row.notes:
            print(f"  {row.notes}")


def keep(rows: list[Row], *, lasting: list[str] | None, target: Path | None = None) -> None:
    """Write results.json. lasting: benchmarks whose rows of before stay; None: all that have none among `rows`."""
    target = target or HERE / "results.json"
    fresh = [row.as_json() for row in rows]
    named = {row["name"] for row in fresh}
    before = json.loads(target.read_text()) if target.exists() else []
    kept = [row for row in before if row["name"] not in named and (lasting is None or _of(row["name"]) in lasting)]
    target.write_text(json.dumps(sorted(kept + fresh, key=lambda row: str(row["name"])), indent=2) + "\n")


def _of(row: str) -> str:
    """The benchmark of a row: `account_scan` of `account-scan/cluster`."""
    return row.partition("/")[0].replace("-", "_")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
