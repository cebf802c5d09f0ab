"""`boatyard schema`."""

import json
from pathlib import Path

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import verb


@verb("boatyard schema --to boatyard.schema.json", "boatyard schema --fleet")
@click.option("--fleet", is_flag=True, help="The schema of fleet.yaml instead of a cluster's.")
@click.option("--to", "target", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there.")
def command(out: Out, fleet: bool, target: Path | None) -> None:
    """Print the JSON Schema of the spec; editors complete and check from it.

    Editors with the YAML language server find it by the spec's first line:
    # yaml-language-server: $schema=boatyard.schema.json
    """
    from boatyard.cli.files import replace_text
    from boatyard.spec import schema

    document = schema.fleet_schema() if fleet else schema.cluster_schema()
    if target is None:
        click.echo(json.dumps(document, indent=2))
        return
    replace_text(target, json.dumps(document, indent=2) + "\n")
    out.emit({"file": str(target.absolute())})
    if not out.json:
        out.say(f"Wrote {target}.")
