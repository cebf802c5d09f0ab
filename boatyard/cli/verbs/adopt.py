"""`boatyard adopt`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from boatyard.cli.failure import shown
from boatyard.cli.output import Out
from boatyard.cli.plans import CHANGES
from boatyard.cli.verb import verb

if TYPE_CHECKING:
    from boatyard.cli.plans import Planned
    from boatyard.drivers.operation import Yard
    from boatyard.spec.models import Cluster


@verb("boatyard adopt s3://example-kops", "boatyard adopt s3://example-kops --to fleet/")
@click.argument("source", metavar="SOURCE")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    default=Path(),
    help="Where the specs go, one file a cluster [default: here].",
)
def command(out: Out, source: str, folder: Path) -> int:
    """Bring the clusters of a state store under management, without changing them.

    Writes a spec for each, from which the first plan is empty; one that differs is written and told, but not adopted.
    Exit code 2 when there is such a one.
    """
    from boatyard.cli.looking import looking
    from boatyard.cli.plans import plan_all

    with looking() as yard:
        found = _found(yard, source)
        folder.mkdir(parents=True, exist_ok=True)
        planned = plan_all(yard, found) if found else []
    results = [_adopt(out, each, folder) for each in planned]
    out.emit({"source": source, "clusters": results})
    if not results:
        out.say(f"There is no cluster in {source}.")
    return CHANGES if any(not each["adopted"] for each in results) else 0


def _found(yard: "Yard", source: str) -> "list[Cluster]":
    """What the one driver that knows such sources finds there."""
    from boatyard.drivers.operation import READ_LIMIT
    from boatyard.drivers.registry import adopting
    from boatyard.errors import Unsupported

    driver = adopting(source)
    if driver is None:
        raise Unsupported(
            f"no driver takes clusters over from {shown(source)}.", hint="kOps does, from s3://BUCKET, its state store."
        )
    return list(driver.found(source, yard.env(READ_LIMIT, f"reading {source}")))


def _adopt(out: Out, planned: "Planned", folder: Path) -> dict[str, object]:
    """Write the spec; remember the cluster when planning it changes nothing."""
    from boatyard.cli.files import write_new
    from boatyard.cli.plans import show_plan
    from boatyard.cli.remember import remember

    name = planned.cluster.name
    path = folder / f"{name}.yaml"
    write_new(path, _text(planned.cluster))
    adopted = planned.plan is not None and planned.plan.empty
    if adopted:
        remember(planned.cluster, "adopt")
        out.say(f"{name}: adopted; its spec is {path}.")
    elif planned.plan is not None:
        out.say(f"{name}: not adopted, since applying its spec, {path}, would change this:")
        show_plan(out, planned.plan)
    else:
        out.say(f"{name}: not adopted; its spec is {path}. {planned.error}")
    return {"cluster": name, "file": str(path), "adopted": adopted}


def _text(cluster: "Cluster") -> str:
    """The spec as a file: what is not said is as assumed."""
    import yaml

    document = cluster.model_dump(mode="json", exclude_defaults=True)
    head = {"apiVersion": cluster.apiVersion, "kind": cluster.kind, "name": cluster.name}
    provider = {"kind": cluster.provider.kind, **document["provider"]}
    rest = {key: value for key, value in document.items() if key not in (*head, "provider")}
    return yaml.safe_dump(head | {"provider": provider} | rest, sort_keys=False, width=100, allow_unicode=True)
