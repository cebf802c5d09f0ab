"""`boatyard validate`."""

import click

from boatyard.cli.output import Cell, Out
from boatyard.cli.verb import target_argument, verb

COLOURS = {"ok": "green", "warn": "yellow", "waiting": "cyan", "fail": "red"}


@verb("boatyard validate demo", "boatyard validate demo --rounds 1 --no-canary", "boatyard validate demo --json")
@target_argument("NAME|FILE")
@click.option("--rounds", type=click.IntRange(1, 20), default=3, show_default=True, help="Rounds in a row to be well.")
@click.option(
    "--timeout",
    type=click.IntRange(1, 3600),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long nodes may take to join and checks to settle.",
)
@click.option("--no-canary", is_flag=True, help="Schedule no pod as a test; then nothing at all is written.")
def command(out: Out, target: str, rounds: int, timeout: int, no_canary: bool) -> int:
    """Check a cluster's health, a line a check: API server, nodes, system pods, versions, scheduling and DNS.

    Exit code 1 when something is not well, 5 when the cluster is asleep.
    """
    from boatyard.cli.looking import cluster, looking
    from boatyard.clock import Deadline
    from boatyard.drivers.talking import client_of
    from boatyard.kube.checks import validate
    from boatyard.kube.health import pool_by
    from boatyard.plan.compute import target_version

    with looking() as yard:
        wanted = cluster(target, yard.store)
        deadline = Deadline.after(timeout, f"validating {wanted.name}", yard.clock)
        driver = yard.reader(wanted)
        with client_of(driver) as client:
            result = validate(
                client,
                wanted,
                deadline=deadline,
                clock=yard.clock,
                expected_version=target_version(wanted, driver.observe()),
                rounds=rounds,
                patience=min(60.0, timeout / 2),
                send_canary=not no_canary,
                pool_of=pool_by(driver.pool_label),
                report=lambda line: click.echo(f"  {line}", err=True) if out.stream.isatty() else None,
            )
    out.emit(
        {
            "cluster": wanted.name,
            "ok": result.ok,
            "rounds": result.rounds,
            "seconds": round(result.seconds, 3),
            "checks": [{"name": c.name, "status": c.status.value, "message": c.message} for c in result.checks],
        }
    )
    if not out.json:
        rows: list[tuple[Cell, ...]] = [
            ((check.status.value, COLOURS.get(check.status.value, "")), check.name, check.message)
            for check in result.summary
        ]
        out.table(("STATUS", "CHECK", "WHAT WAS SEEN"), rows)
        out.line()
        told = "is well" if result.ok else "is not well"
        out.say(f"{wanted.name} {told}: {result.rounds} rounds in a row passed, in {result.seconds:.1f} s.")
    return 0 if result.ok else 1
