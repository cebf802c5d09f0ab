"""`boatyard completion`."""

import click
from click.shell_completion import get_completion_class

from boatyard.cli.output import Out
from boatyard.cli.verb import verb


@verb(
    "boatyard completion bash > ~/.local/share/bash-completion/completions/boatyard",
    "boatyard completion zsh > ~/.zfunc/_boatyard",
    "boatyard completion fish > ~/.config/fish/completions/boatyard.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(out: Out, shell: str) -> None:
    """Print the script that completes verbs, options and the names of clusters in a shell."""
    from boatyard.cli.main import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}.")
    complete = kind(cli, {}, "boatyard", "_BOATYARD_COMPLETE")
    script = complete.source_template % complete.source_vars()
    out.emit({"shell": shell, "script": script})
    if not out.json:
        click.echo(script)
