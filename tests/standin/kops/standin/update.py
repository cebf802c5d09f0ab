"""`kops update cluster`: what is there against what should be; shown, or made so."""

import os
from collections.abc import Sequence
from pathlib import Path

from standin import api, channel, files, groups, issuer, kubeconfig, network, security
from standin.aws import Aws
from standin.say import PHASES, VERSION, Fail, Odd, created, log, modified, out
from standin.say import tasks as executed
from standin.store import Folder, Store, base
from standin.world import Task, World

HIDDEN = 10
"""Tasks that are counted but never shown (recorded: 120 tasks, 110 resources)."""


def world_of(store: Store, name: str) -> World:
    cluster = store.found(name)
    found = store.groups(name)
    zones = [one["zone"] for one in cluster["spec"]["subnets"]]
    return World(cluster, found, Aws(zones[0][:-1]), base(cluster, store))


def tasks(world: World) -> list[Task]:
    """In the order in which they can be made."""
    made = [*files.keys(world), *network.tasks(world), *security.tasks(world), *issuer.tasks(world)]
    return [*made, *api.tasks(world), *files.tasks(world), *groups.tasks(world), *files.handler(world)]


def check(world: World) -> None:
    """What kOps validates before it looks at the cloud."""
    channel.check(world.spec)
    _updated_by(world)
    if base := os.environ.get("KOPS_BASE_URL"):
        log("kopsassets.go:66", f'Using base url from env var: KOPS_BASE_URL="{base}"', "W")
        if (own := files.own_version()) != VERSION:
            log("kopsassets.go:71", f'Overriding kops version from KOPS_BASE_URL: "{VERSION}" -> "{own}"')
    if not world.masters():
        raise Fail("must configure at least one ControlPlane InstanceGroup")
    if not any(one["spec"]["role"] == "Node" for one in world.groups):
        raise Fail("must configure at least one Node InstanceGroup")


def _updated_by(world: World) -> None:
    """Who wrote its own version last must have had one, and no newer one (source)."""
    kept = world.store.read(f"{world.name}/kops-version.txt")
    if kept is None:
        return
    parts = kept.decode().strip().split(".", 2)
    if len(parts) < 3:
        raise Fail("error parsing last kops version updated: No Major.Minor.Patch elements found")
    if [int(part) for part in parts] > [int(part) for part in VERSION.split(".")]:
        raise Fail("kops version older than last used to update the cluster")


def preview(world: World) -> bool:
    """Print what would be done; is there anything?"""
    check(world)
    planned, new, changed = tasks(world), list[Task](), list[tuple[Task, list[tuple[str, str, str]]]]()
    executed(len(planned) + HIDDEN, 0)
    for task in planned:
        actual = task.find()
        if actual is None:
            new.append(task)
        elif found := task.changes(actual):
            changed.append((task, found))
    if any(task.kind == "Keypair" for task in new):
        log("vfs_keystorereader.go:163", "CA private key was not found", "W")
    for step in range(1, PHASES):
        executed(len(planned) + HIDDEN, step)
    if new:
        out("Will create resources:")
        for task in sorted(new, key=_key):
            created(task.kind, task.name, task.fields)
    if changed:
        out("Will modify resources:")
        for task, found in sorted(changed, key=lambda one: _key(one[0])):
            modified(task.kind, task.name, found)
    return bool(new or changed)


def _key(task: Task) -> str:
    return f"{task.kind}/{task.name}"


def apply(world: World) -> None:
    check(world)
    planned = tasks(world)
    total, step = len(planned) + HIDDEN, 0
    executed(total, 0)
    ca = next(task for task in planned if task.name == "kubernetes-ca")
    if ca.find() is None:
        log("vfs_keystorereader.go:163", "CA private key was not found", "W")
        log("vfs_keystorereader.go:163", "CA private key was not found", "W")
    keys = [task for task in planned if task.kind in ("Keypair", "Secret")]
    for task in keys:
        _settle(world, task)
    rest = tasks(world)[len(keys) :]  # what hangs on the keys is known by now
    for number, task in enumerate(rest):
        _settle(world, task)
        while step < PHASES - 2 and (step + 1) * len(rest) <= (number + 1) * (PHASES - 1):
            step += 1
            executed(total, step)
    executed(total, PHASES - 1)


def _settle(world: World, task: Task) -> None:
    actual = task.find()
    if actual is not None and not task.changes(actual):
        return
    if task.kind == "NetworkLoadBalancer":
        name = world.balancer_name()
        log("network_load_balancer.go:548", f'Waiting for load balancer "{name}" to be created...')
    (task.make if actual is None or task.change is None else task.change)()
    world.aws.forget()


def choose(world: World, names: Sequence[str]) -> None:
    if names:
        world.chosen = [one for one in world.groups if one["metadata"]["name"] in names]


def run(store: Store, name: str, *, yes: bool, create_config: bool, admin: str, only: Sequence[str]) -> None:
    if isinstance(store, Folder) and (yes or admin):
        raise Odd("an update of the cloud from a state store in a folder")
    world = world_of(store, name)
    choose(world, only)
    if not yes:
        out("Must specify --yes to apply changes" if preview(world) else "No changes need to be applied")
        return
    apply(world)
    first = create_config and not kubeconfig.has(name)
    if create_config or admin:
        log("update_cluster.go:419", "Exporting kubeconfig for cluster")
        kubeconfig.write(world, Path(os.environ["KUBECONFIG"]), admin)
        if not admin:
            said = "Exported kubeconfig with no user authentication; use --admin, --user or --auth-plugin flags with"
            log("update_cluster.go:439", f"{said} `kops export kubeconfig`", "W")
    if first:
        _starting()
    else:
        out("\nCluster changes have been applied to the cloud.\n\n")
        out("Changes may require instances to restart: kops rolling-update cluster\n")


def _starting() -> None:
    out("\nCluster is starting.  It should be ready in a few minutes.\n")
    out("Suggestions:\n * validate cluster: kops validate cluster --wait 10m")
    out(" * list nodes: kubectl get nodes --show-labels\n * ssh to a control-plane node: ssh -i ~/.ssh/id_rsa ubuntu@")
    said = (
        "the ubuntu user is specific to Ubuntu. If not using Ubuntu please use the appropriate user based on your OS."
    )
    out(f" * {said}\n * read about installing addons at: https://kops.sigs.k8s.io/addons.\n")
