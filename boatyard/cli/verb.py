"""What all verbs share: --json, --home, help with examples, and arguments that complete."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from boatyard.cli.failure import Stopped, shown
from boatyard.cli.output import Out

Run = Callable[..., int | None]


class Verb(click.Command):
    """A command with the global options; its function takes an `Out` first and returns an exit code or None."""

    def __init__(self, name: str, function: Run, params: list[click.Parameter], examples: Sequence[str]) -> None:
        common: list[click.Parameter] = [
            click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document on stdout."),
            click.Option(["--home"], metavar="FOLDER", help="Folder of Boatyard's state [env: BOATYARD_HOME]."),
        ]
        super().__init__(
            name,
            callback=_wrapped(function),
            params=params + common,
            help=function.__doc__,
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
        )
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")


def verb(*examples: str) -> Callable[[Run], Verb]:
    """Make a verb of a function, under the click options and arguments it is decorated with."""

    def decorate(function: Run) -> Verb:
        params: list[click.Parameter] = list(reversed(getattr(function, "__click_params__", [])))
        return Verb(function.__module__.rpartition(".")[2], function, params, examples)

    return decorate


def _wrapped(function: Run) -> Run:
    def call(*, as_json: bool, home: str | None, **given: Any) -> int | None:
        above = click.get_current_context().find_root().params
        if folder := home or above.get("home"):
            os.environ["BOATYARD_HOME"] = str(Path(folder).expanduser().absolute())
        try:
            return function(Out(json=as_json or bool(above.get("as_json"))), **given)
        except KeyboardInterrupt:
            raise Stopped from None

    return call


def _cluster_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from boatyard.errors import BoatyardError
    from boatyard.settings import Settings
    from boatyard.store import reader

    if home := ctx.params.get("home") or ctx.find_root().params.get("home"):
        os.environ["BOATYARD_HOME"] = str(Path(home).expanduser().absolute())
    try:
        with reader(Settings.load().store_url) as store:
            return [each.name for each in store.clusters.list() if each.name.startswith(incomplete)]
    except BoatyardError:
        return []


class ClusterName(click.ParamType[str]):
    """The name of a cluster that Boatyard knows."""

    name = "NAME"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        return [click.shell_completion.CompletionItem(name) for name in _cluster_names(ctx, param, incomplete)]


class Target(click.ParamType[str]):
    """A spec's file, a fleet's folder, or a cluster's name."""

    name = "TARGET"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        item = click.shell_completion.CompletionItem
        return [*(item(name) for name in _cluster_names(ctx, param, incomplete)), item(incomplete, type="file")]


class KubernetesVersion(click.ParamType[str]):
    """`1.36` or `1.36.2`; whether anybody offers it, the flow finds out."""

    name = "VERSION"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        import re

        from boatyard.spec.types import VERSION

        if not re.fullmatch(VERSION, value):
            self.fail(f"expected a version like 1.36 or 1.36.2, found {shown(value)}", param, ctx)
        return value


def cluster_argument(function: Run) -> Run:
    """`NAME`, a cluster that Boatyard knows."""
    return click.argument("name", type=ClusterName(), metavar="NAME")(function)


def resources_option(function: Run) -> Run:
    """--resources."""
    told = "Ask the provider which of its resources each step touches: some seconds a step."
    return click.option("--resources", is_flag=True, help=told)(function)


def target_argument(metavar: str, *, required: bool = True) -> Callable[[Run], Run]:
    """A file, folder or name; the metavar says which are taken."""
    return click.argument("target", type=Target(), metavar=metavar, required=required)
