"""`boatyard init`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import verb

if TYPE_CHECKING:
    from boatyard.drivers.kops.classic import Classic

DEFAULT = "kwok"


@verb(
    "boatyard init                      # prints an example for kwok",
    "boatyard init kwok --to shop.yaml",
    "boatyard init kops --name=k8s.example.com --zones=us-east-1a",
)
@click.argument("kind", metavar="[KIND]", required=False)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[FLAGS]")
@click.option("--to", "target", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there.")
def command(out: Out, kind: str | None, flags: tuple[str, ...], target: Path | None) -> None:
    """Write a commented example of a cluster's spec, for one kind of provider; never over a file that is there.

    For kops, the flags of `kops create cluster` make it the spec of that very cluster; KOPS_STATE_STORE counts, too.
    What is deprecated or too small, and what a production cluster would change, is said beside it.
    """
    from boatyard.cli.files import write_new
    from boatyard.spec.example import commented_example

    kind = kind or DEFAULT
    if kind.startswith("-") or (flags and kind != "kops"):
        word = kind if kind.startswith("-") else flags[0]
        raise click.UsageError(f"{word!r} is no option of init; after `boatyard init kops`, kOps' own flags are taken.")
    made = _classic(flags) if flags else None
    text = made.text if made is not None else commented_example(kind)
    notes = made.notes if made is not None else ()
    if target is not None:
        write_new(target, text)
    out.emit({"kind": kind, "file": str(target.absolute()) if target else None, "spec": text, "notes": list(notes)})
    if target is not None and not out.json:
        out.say(f"Wrote {target}. Next: `boatyard plan {target}`.")
    elif not out.json:
        out.lines(text)
    for note in notes:
        click.echo(f"note: {note}", err=True)


command.context_settings["ignore_unknown_options"] = True  # kOps' flags are read by the driver's own table


def _classic(flags: tuple[str, ...]) -> "Classic":
    import os

    from boatyard.drivers.kops.classic import classic

    return classic(flags, os.environ)
