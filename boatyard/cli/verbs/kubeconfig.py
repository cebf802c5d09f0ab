"""`boatyard kubeconfig`."""

from pathlib import Path

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import target_argument, verb


@verb("boatyard kubeconfig demo --to ~/.kube/demo", "KUBECONFIG=<(boatyard kubeconfig demo) kubectl get nodes")
@target_argument("NAME|FILE")
@click.option(
    "--to",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it there, readable by you alone.",
)
def command(out: Out, target: str, file: Path | None) -> None:
    """Write a kubeconfig for a cluster; it holds credentials, short-lived where the distribution can."""
    import yaml

    from boatyard.cli.files import write_private
    from boatyard.cli.looking import cluster, looking

    with looking() as yard:
        wanted = cluster(target, yard.store)
        document = dict(yard.reader(wanted).kubeconfig())
    if file is not None:
        write_private(file.expanduser(), yaml.safe_dump(document, sort_keys=False))
        out.emit({"cluster": wanted.name, "file": str(file.expanduser().absolute())})
        if not out.json:
            out.say(f"Wrote {file}. Use it with: export KUBECONFIG={file}")
        return
    out.emit(document)
    if not out.json:
        click.echo(yaml.safe_dump(document, sort_keys=False), nl=False)
