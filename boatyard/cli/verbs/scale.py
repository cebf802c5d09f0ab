"""`boatyard scale`."""

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import cluster_argument, verb


class PoolSize(click.ParamType[tuple[str, int]]):
    """`POOL=COUNT`."""

    name = "POOL=COUNT"

    def convert(
        self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        pool, _, count = value.partition("=")
        if not pool or not (count.isascii() and count.isdigit() and len(count) <= 4):
            self.fail(f"expected POOL=COUNT like web=5, found {value[:60]!r}", param, ctx)
        return pool, int(count)


@verb("boatyard scale demo web=10", "boatyard scale demo web=5 batch=0")
@cluster_argument
@click.argument("pools", type=PoolSize(), metavar="POOL=COUNT…", nargs=-1, required=True)
def command(out: Out, name: str, pools: tuple[tuple[str, int], ...]) -> None:
    """Set node pools to exact sizes, within the min and max of the spec. Nodes that go are drained first."""
    from boatyard.cli.flowrun import known, run_flow

    known(name)
    if len(dict(pools)) < len(pools):
        raise click.UsageError("a pool is named twice.")
    sizes = ", ".join(f"{pool} has {count} nodes" for pool, count in pools)
    given = {"name": name, "pools": dict(pools)}
    run_flow(out, "scale", "scale_cluster", name, given, operation="scale", said=f"{name}: {sizes}, after")
