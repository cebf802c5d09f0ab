"""The command `boatyard`. Starting it imports no verb: the table below is all that `--help` needs."""

import difflib
import gc
import importlib
import sys
from collections.abc import Sequence

import click

from boatyard.cli import failure

SECTIONS: dict[str, dict[str, str]] = {
    "Begin": {
        "up": "Start Prefect's server, UI, worker and deployments.",
        "demo": "Take one cluster through its whole life, and leave nothing.",
        "doctor": "List what this machine needs, and install what is missing.",
        "sandbox": "Start an emulated AWS account with live clusters.",
        "init": "Write a commented example of a cluster's spec.",
        "schema": "Print the spec's JSON Schema, for editors.",
        "compare": "Compare the distributions that can be driven.",
        "versions": "Show which versions are offered, and when support ends.",
        "completion": "Print the completion script for a shell.",
    },
    "Desired state": {
        "prerequisites": "Check what a cluster needs first, and make or mend it.",
        "plan": "Show what differs from the spec; changes nothing.",
        "apply": "Show that plan, and carry it out.",
        "diff": "Show what deploying an app would change.",
        "deploy": "Deploy the cluster's apps.",
        "adopt": "Take over the clusters of a state store, unchanged.",
    },
    "Look": {
        "status": "Show the fleet, or one cluster in detail.",
        "validate": "Check a cluster's health, line by line.",
        "preflight": "Name what would break or block an upgrade.",
        "logs": "Show a cluster's journal: who did what, why and how it ended.",
        "fleet": "Show, foretell and approve the fleet's upgrades.",
        "aws": "Print IAM policies; find what nobody knows in an account.",
        "kubeconfig": "Write a kubeconfig for a cluster.",
    },
    "Operate": {
        "rehearse": "Try an upgrade on a twin, and say what would go wrong.",
        "upgrade": "Upgrade Kubernetes, one minor at a time.",
        "scale": "Set the size of node pools.",
        "hibernate": "Put a cluster to sleep, with everything kept.",
        "wake": "Wake a hibernated cluster.",
        "rotate": "Exchange a cluster's certificate authorities and keys.",
        "snapshot": "Write a cluster's objects to a file.",
        "restore": "Bring a snapshot's objects back.",
        "delete": "Delete a cluster, and prove that nothing is left.",
        "event": "Report a pull request to the running server.",
    },
}
"""Section → verb → one line of help. Each verb is `boatyard/cli/verbs/<verb>.py` with a click command `command`."""

VERBS = {name: text for section in SECTIONS.values() for name, text in section.items()}


class Verbs(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"boatyard.cli.verbs.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in VERBS:
            near = difflib.get_close_matches(name, VERBS, 1)
            meant = f" Did you mean {near[0]}?" if near else " `boatyard --help` lists them."
            raise click.UsageError(f"there is no verb {failure.shown(name)}.{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, VERBS))
        for section, verbs in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(f"{name:{width}}", text) for name, text in verbs.items()])


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="Every verb has --help with examples, and --json for programs.",
    options_metavar="[OPTIONS]",
    subcommand_metavar="VERB …",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.option("--home", metavar="FOLDER", help="Folder of Boatyard's state [env: BOATYARD_HOME].")
@click.version_option(None, "--version", package_name="boatyard", message="boatyard %(version)s")
def cli(as_json: bool, home: str | None) -> None:
    """The whole life of Kubernetes clusters.

    Create, validate, deploy apps, monitor, upgrade, scale, hibernate, wake, delete.
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the process's exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    gc.set_threshold(50_000, 20, 20)  # importing makes many objects and no garbage: a tenth of the time to start
    with failure.reported(arguments) as outcome:
        code = cli.main(arguments, prog_name="boatyard", standalone_mode=False)
        outcome.code = code if isinstance(code, int) else 0
    return outcome.code


if __name__ == "__main__":
    sys.exit(main())
