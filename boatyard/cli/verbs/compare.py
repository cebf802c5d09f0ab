"""`boatyard compare`."""

import ast
import inspect
from dataclasses import asdict, fields

from boatyard.cli.output import Cell, Out
from boatyard.cli.verb import verb

COLOURS = {"yes": "green", "no": "", "with care": "yellow"}
SHORT = {"easy_upgrades": "UPGRADES", "production_use": "PRODUCTION", "managed_by_provider": "MANAGED"}
SHORT |= {"enterprise_support": "SUPPORT", "customizable": "CUSTOMIZABLE"}
WHOLE = ("title", "evidence")
"""Facts that are told in sentences, not in columns."""


@verb("boatyard compare", "boatyard compare --json")
def command(out: Out) -> None:
    """Compare all distributions that Boatyard can drive here, and say what each column means."""
    from boatyard.drivers import base
    from boatyard.drivers.registry import driver_class
    from boatyard.spec.provider import driver_packages

    legend = _legend(base.Facts)
    can = {name: getattr(base, name) for name in ("Scalable", "Upgradable", "Hibernatable", "Snapshotable")}
    drivers = {kind: driver_class(kind) for kind in driver_packages()}
    able = {
        kind: [name.lower() for name, need in can.items() if _has(driver, need)] for kind, driver in drivers.items()
    }
    documents = [{"kind": kind, **asdict(driver.facts), "capabilities": able[kind]} for kind, driver in drivers.items()]
    out.emit({"drivers": documents, "legend": legend})
    if out.json:
        return
    columns = [field.name for field in fields(base.Facts) if field.name not in WHOLE]
    rows: list[tuple[Cell, ...]] = [
        (kind, *((str(value), COLOURS.get(value, "")) for value in (getattr(driver.facts, name) for name in columns)))
        for kind, driver in drivers.items()
    ]
    out.table(("KIND", *(SHORT.get(name, name.upper()) for name in columns)), rows)
    for kind, driver in drivers.items():
        out.line()
        out.say(
            f"{kind}: {driver.facts.title}. It is {', '.join(able[kind]) or 'created and deleted only'}.", indent="  "
        )
        out.say(f"  Tested on {driver.facts.evidence}.", indent="  ")
    out.line()
    out.table(("COLUMN", "MEANING"), [(SHORT.get(name, name.upper()), legend[name]) for name in columns])


def _has(driver: type, capability: type) -> bool:
    methods = [
        name for name, value in vars(capability).items() if inspect.isfunction(value) and not name.startswith("_")
    ]
    return all(callable(getattr(driver, name, None)) for name in methods)


def _legend(model: type) -> dict[str, str]:
    """Field → the text below it in the class: the meaning stands once, beside the fact."""
    body = ast.parse(inspect.getsource(model)).body[0]
    found: dict[str, str] = {}
    last = None
    for node in body.body if isinstance(body, ast.ClassDef) else []:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            last = node.target.id
        elif last and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found[last] = " ".join(str(node.value.value).split())
            last = None
    return found
