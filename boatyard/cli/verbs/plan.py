"""`boatyard plan`."""

from boatyard.cli.output import Out
from boatyard.cli.verb import resources_option, target_argument, verb


@verb(
    "boatyard plan demo.yaml",
    "boatyard plan fleet/          # every cluster of the folder",
    "boatyard plan demo --json",
    "boatyard plan shop.yaml --resources   # and what each step touches",
)
@target_argument("FILE|FOLDER|NAME")
@resources_option
def command(out: Out, target: str, resources: bool) -> int:
    """Show what differs between a cluster and its spec, and the steps that would mend it. Changes nothing.

    Exit code 0: nothing to do; 2: there are changes; others: see docs/cli.md.
    """
    from boatyard.cli import plans
    from boatyard.cli.fleet_rules import difference
    from boatyard.cli.looking import chosen, looking

    with looking() as yard:
        wanted, fleet = chosen(target, yard.store)
        planned = plans.plan_all(yard, wanted, resources=resources)
    error = plans.failure(planned) if len(planned) == 1 else None
    if error is not None:
        raise error
    rules = difference(fleet, target)
    changes = rules is not None or any(planned.plan for planned in planned)
    out.emit({"changes": changes, "rules": rules, "plans": [plans.document(each) for each in planned]})
    if not out.json:
        plans.show(out, planned)
        if rules is not None:
            out.line()
            out.say(f"Once applied: {rules}")
    if (failed := plans.failure(planned)) is not None and not out.json:
        raise failed
    return failed.exit_code if failed is not None else plans.CHANGES if changes else 0
