"""A verb with commands of its own, such as `boatyard fleet`: takes the global options and hands them on."""

import click

from boatyard.cli.verb import Verb


class Group(click.Group):
    """A group with examples under its help, as verbs have them."""

    examples: tuple[str, ...] = ()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")


def add(group: click.Group, name: str, function: Verb) -> None:
    """Make a verb a command of the group, under its own name."""
    function.name = name
    group.add_command(function, name)
