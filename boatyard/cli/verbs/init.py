"""`boatyard init`."""

from pathlib import Path

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import verb


@verb("boatyard init                      # prints an example for kwok", "boatyard init kwok --to shop.yaml")
@click.argument("kind", metavar="[KIND]", required=False)
@click.option("--to", "target", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there.")
def command(out: Out, kind: str | None, target: Path | None) -> None:
    """Write a commented example of a cluster's spec, for one kind of provider; never over a file that is there."""
    from boatyard.cli.files import write_new
    from boatyard.spec.example import commented_example
    from boatyard.spec.provider import driver_packages

    kind = kind or next(iter(driver_packages()), "kwok")
    text = commented_example(kind)
    if target is not None:
        write_new(target, text)
    out.emit({"kind": kind, "file": str(target.absolute()) if target else None, "spec": text})
    if target is not None and not out.json:
        out.say(f"Wrote {target}. Next: `boatyard plan {target}`.")
    elif not out.json:
        out.lines(text)
