"""Verbs with commands of their own, like `boatyard aws orphans`: they take the global options and hand them on."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from boatyard.cli.verb import Verb


class Group(click.Group):
    """Commands below one verb, with examples under its help."""

    def __init__(self, name: str, about: str | None, examples: Sequence[str]) -> None:
        super().__init__(
            name,
            help=about,
            callback=_take_options,
            params=[
                click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document on stdout."),
                click.Option(["--home"], metavar="FOLDER", help="Folder of Boatyard's state [env: BOATYARD_HOME]."),
            ],
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
            subcommand_metavar="COMMAND …",
        )
        self.examples = tuple(examples)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, (verb.help or "").partition("\n\n")[0]) for name, verb in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")

    def add(self, name: str, verb: Verb) -> None:
        """Make a verb a command of this group."""
        verb.name = name
        self.add_command(verb, name)


@click.pass_context
def _take_options(ctx: click.Context, as_json: bool, home: str | None) -> None:
    above = ctx.find_root().params
    above["as_json"] = bool(above.get("as_json")) or as_json
    above["home"] = home or above.get("home")


def group(name: str, *examples: str) -> Callable[[Callable[[], Any]], Group]:
    """Make a group of a function whose docstring says what it is for."""
    return lambda function: Group(name, function.__doc__, examples)
