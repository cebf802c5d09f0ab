"""`boatyard delete`."""

import sys

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import cluster_argument, verb
from boatyard.errors import Unsafe


@verb("boatyard delete demo", "boatyard delete demo --yes")
@cluster_argument
@click.option("--yes", is_flag=True, help="Do not ask for the name; needed where nobody can be asked.")
def command(out: Out, name: str, yes: bool) -> None:
    """Delete a cluster and all on it, then scan for what may be left. Asks for the cluster's name first.

    A protected cluster is refused: apply its spec with policy.protect: false before.
    """
    from boatyard.cli.flowrun import run_flow

    _refuse_protected(name)
    if not yes:
        _ask(out, name)
    given = {"name": name, "confirm": name}
    said = f"Nothing is left of {name}, after"
    run_flow(out, "delete", "delete_cluster", name, given, operation="delete", said=said)


def _refuse_protected(name: str) -> None:
    """The flow refuses too; here it costs no server, and nobody types a name for nothing."""
    from boatyard.cli.looking import unknown
    from boatyard.settings import Settings
    from boatyard.store import reader

    with reader(Settings.load().store_url) as store:
        record = store.clusters.get(name)
        if record is None or record.state == "deleted":
            raise unknown(name, store)
    if (record.desired.get("policy") or {}).get("protect"):
        raise Unsafe(
            f"cluster {name} is protected (policy.protect: true) and will not be deleted.",
            hint="Set policy.protect to false and apply that first.",
        )


def _ask(out: Out, name: str) -> None:
    if not (sys.stdin.isatty() and out.stream.isatty()):
        raise Unsafe(f"{name} was not deleted: there is nobody to ask.", hint="Give --yes.")
    typed = click.prompt(
        f"This deletes {name} and all on it. Type its name to go on", default="", show_default=False, err=out.json
    )
    if typed.strip() != name:
        raise Unsafe(f"that is not the name {name}; nothing was deleted.")
