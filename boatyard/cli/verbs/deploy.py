"""`boatyard deploy`."""

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import target_argument, verb
from boatyard.errors import NotFound


@verb("boatyard deploy demo", "boatyard deploy demo.yaml --app shop --app ingress")
@target_argument("FILE|NAME")
@click.option("--app", "apps", multiple=True, metavar="APP", help="Change only this app; may be given several times.")
@click.option("--wake", is_flag=True, help="Wake the cluster where it is hibernated; else it is refused.")
def command(out: Out, target: str, apps: tuple[str, ...], wake: bool) -> None:
    """Deploy the apps of a cluster: what changed is applied and waited for, what left the spec is removed.

    With a FILE the apps are taken from it, with a NAME from the spec that Boatyard remembers. For a hibernated cluster
    the command is refused, unless --wake is given.
    """
    from boatyard.cli.flowrun import known, run_flow
    from boatyard.cli.looking import cluster, looking

    with looking() as yard:
        wanted = cluster(target, yard.store)
        known(wanted.name)
        before = {app.name: app for app in yard.registered(wanted.name).apps}
    new = {app.name: app for app in wanted.apps}
    if missing := [app for app in apps if app not in new]:
        raise NotFound(f"{wanted.name} has no app named {', '.join(missing)}; there are: {', '.join(new) or 'none'}.")
    chosen = before | {name: new[name] for name in apps} if apps else new
    given = {"name": wanted.name, "apps": list(chosen.values()), "wake": wake}
    many = "1 app of {} is" if len(chosen) == 1 else f"{len(chosen)} apps of {{}} are"
    said = f"{many.format(wanted.name)} deployed and ready, after"
    run_flow(out, "deploy_apps", "deploy_apps", wanted.name, given, operation="deploy", said=said)
