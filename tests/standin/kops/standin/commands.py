"""Every command the stand-in knows. README.md tells which were recorded."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from standin import create, delete, groups, keysets, kubeconfig, look, rolling, update, validate
from standin.main import Command, Given
from standin.say import Fail, Odd, log, out
from standin.store import Document, Folder, Store
from standin.world import cloud_name, role


def _store(given: Given, folder: bool = False) -> Store:
    """folder: may it be one, `file://…`?"""
    found = Store(given.get("state", [os.environ.get("KOPS_STATE_STORE", "")])[0])
    if isinstance(found, Folder):
        if not folder:
            raise Odd("this command on a state store in a folder")
        log("factory.go:152", "The local filesystem state store is not functional for running clusters", "W")
    return found


def _one(given: Given, name: str, default: str = "") -> str:
    return given.get(name, [default])[0]


def _name(places: Sequence[str], given: Given, at: int = 0) -> str:
    found = _one(given, "name") or (places[at] if len(places) > at else "")
    if not found:
        raise Fail("--name is required")
    return found


def _seconds(given: Given, name: str, default: float) -> float:
    return kubeconfig.lifetime(_one(given, name)).total_seconds() if name in given else default


def _input(given: Given) -> str:
    name = _one(given, "f") or _one(given, "filename")
    if not name:
        raise Fail('required flag(s) "filename" not set')
    if name == "-":
        return sys.stdin.read()
    try:
        return Path(name).read_text()
    except OSError as error:
        raise Fail(f'error reading file "{name}": {error.strerror}') from None


def _get_cluster(places: Sequence[str], given: Given) -> None:
    if places or "name" in given:
        look.cluster(_store(given), _name(places, given), _one(given, "o"))
    else:
        look.clusters(_store(given), _one(given, "o"))


def _create_cluster(places: Sequence[str], given: Given) -> None:
    flat = {name: values[0] for name, values in given.items()}
    if places:
        flat["name"] = places[0]
    if missing := [name for name in ("name", "zones") if name not in flat]:
        raise Fail(f"--{missing[0]} is required")
    create.cluster(_store(given), flat)


def _edit_cluster(places: Sequence[str], given: Given) -> None:
    store, name = _store(given), _name(places, given)
    edited = create.edit(store.found(name), _sets(given))
    for group in sorted(store.groups(name), key=lambda one: one["metadata"]["name"]):
        if why := _imageless(group):
            raise Fail(f"validation failed: [spec.image: Forbidden: image must be specified., {why}]")
    store.put(edited, new=False)


def _edit_group(places: Sequence[str], given: Given) -> None:
    store, name = _store(given), _name((), given)
    store.found(name)
    if (found := store.group(name, places[0])) is None:
        raise Fail(f'instance group "{places[0]}" not found')
    store.put(create.edit(found, _sets(given)), new=False)


def _imageless(group: Document) -> str:
    """`edit cluster --set` does not fill in the channel's image first, as all other commands do (seen)."""
    name, spec = group["metadata"]["name"], group["spec"]
    if spec.get("image") or not spec.get("machineType"):
        return ""
    return f'{name}.spec.image: Invalid value: "": specified image "" is invalid: could not find Image for ""'


def _sets(given: Given) -> list[str]:
    if "set" not in given:
        raise Odd("an edit in an editor")
    return given["set"]


def _update(places: Sequence[str], given: Given) -> None:
    only = [one for one in _one(given, "instance-group").split(",") if one]
    wanted = _one(given, "create-kube-config", "true")
    if wanted not in ("true", "false"):
        raise Odd(f"--create-kube-config={wanted}")
    chosen = {"yes": "yes" in given, "create_config": wanted == "true", "admin": _one(given, "admin"), "only": only}
    update.run(_store(given, folder=True), _name(places, given), **chosen)  # type: ignore[arg-type]


def _export(places: Sequence[str], given: Given) -> None:
    world = update.world_of(_store(given), _name(places, given))
    path = Path(_one(given, "kubeconfig", os.environ["KUBECONFIG"]))
    admin = _one(given, "admin")
    kubeconfig.write(world, path, "18h" if admin == "true" else admin, _one(given, "api-server"))


def _rolling(places: Sequence[str], given: Given) -> None:
    spans = "control-plane-interval node-interval bastion-interval post-drain-delay drain-timeout validation-timeout"
    options = rolling.Options("yes" in given, "cloudonly" in given, "force" in given, _one(given, "api-server"))
    for span in spans.split():
        field = span.replace("-", "_")
        setattr(options, field, _seconds(given, span, getattr(options, field)))
    options.validate_count = int(_one(given, "validate-count", "2"))
    options.only = [one for one in _one(given, "instance-group").split(",") if one]
    rolling.run(_store(given), _name(places, given), options)


def _validate(places: Sequence[str], given: Given) -> None:
    output, count = _one(given, "o", "table"), int(_one(given, "count", "0"))
    wait, interval = _seconds(given, "wait", 0.0), _seconds(given, "interval", 10.0)
    validate.run(_store(given), _name(places, given), _one(given, "api-server"), output, wait, interval, count)


def _delete_cluster(places: Sequence[str], given: Given) -> None:
    wait, interval = _seconds(given, "wait", 600.0), _seconds(given, "interval", 10.0)
    delete.run(_store(given), _name(places, given), yes="yes" in given, wait=wait, interval=interval)


def _delete_group(places: Sequence[str], given: Given) -> None:
    if "yes" not in given:
        raise Odd("a deletion that asks")
    store, name, title = _store(given), _name((), given), places[0]
    world = update.world_of(store, name)
    group = world.group_named(title)
    if group is None:
        raise Fail(f'InstanceGroup "{title}" not found')
    out(f'InstanceGroup "{title}" found for deletion')
    if role(group) == "ControlPlane" and len(world.masters()) == 1:
        raise Fail("cannot delete the only control plane instance group")
    owner = cloud_name(world, group)
    if owner in world.auto_scaling_groups():
        running = list(groups.outdated(world, owner))
        if running:
            world.aws.call("ec2", "terminate_instances", InstanceIds=running)
        asked = {"AutoScalingGroupName": owner, "ForceDelete": True}
        world.aws.call("autoscaling", "delete_auto_scaling_group", **asked)
    if owner in world.launch_templates():
        world.aws.call("ec2", "delete_launch_template", LaunchTemplateName=owner)
    store.remove(f"{name}/igconfig/{'control-plane' if role(group) == 'ControlPlane' else 'node'}/{title}")
    store.remove_file(f"{name}/instancegroup/{title}")
    out(f'\nDeleted InstanceGroup: "{title}"')


def _keys(places: Sequence[str], given: Given, do: str) -> None:
    store, name = _store(given), _name((), given)
    store.found(name)
    verb = {"create": keysets.create, "promote": keysets.promote, "distrust": keysets.distrust}[do]
    chosen, *ids = places
    if chosen != "all" and not keysets.rotatable(chosen):
        raise Fail(f'{do} of keypairs for "{chosen}" is not supported')
    if chosen == "all" and ids:
        raise Fail('cannot specify ID with "all"')
    for one in filter(keysets.rotatable, keysets.names(store, name)) if chosen == "all" else [chosen]:
        verb(store, name, one, *ids)


def _add_ssh_key(places: Sequence[str], given: Given) -> None:
    create.add_ssh_key(_store(given, folder=True), _name(places, given), Path(_one(given, "i")))


def _replace(_: Sequence[str], given: Given) -> None:
    create.replace(_store(given, folder=True), _input(given), "force" in given)


def _get_keypairs(places: Sequence[str], given: Given) -> None:
    look.keypairs(_store(given), _name(places, given), _one(given, "o"), "distrusted" in given)


_UPDATE = "yes:flag admin:optional create-kube-config:optional instance-group:value"
_ROLLING = (
    "control-plane-interval:value node-interval:value bastion-interval:value post-drain-delay:value drain-timeout:value"
    " validation-timeout:value yes:flag cloudonly:flag force:flag api-server:value instance-group:value"
    " validate-count:value"
)
_BOTH = "name:value state:value"
_READ = f"{_BOTH} o:value"
_CREATE = (
    "zones:value node-count:value node-size:value control-plane-size:value master-size:value dns:value dns-zone:value"
    " channel:value ssh-public-key:value kubernetes-version:value"
)
COMMANDS = (  # one line a command, so that it reads as the table it is
    Command("create cluster", (0, 1), f"{_BOTH} {_CREATE}", _create_cluster),
    Command("create", (0, 0), "f:value filename:value", lambda _, g: create.from_manifests(_store(g, True), _input(g))),
    Command("create sshpublickey", (0, 1), f"{_BOTH} i:value", _add_ssh_key),
    Command("create keypair", (1, 1), _BOTH, lambda p, g: _keys(p, g, "create")),
    Command("promote keypair", (1, 2), _BOTH, lambda p, g: _keys(p, g, "promote")),
    Command("distrust keypair", (1, 99), _BOTH, lambda p, g: _keys(p, g, "distrust")),
    Command("replace", (0, 0), "f:value filename:value force:flag", _replace),
    Command("edit cluster", (0, 1), f"{_BOTH} set:many", _edit_cluster),
    Command("edit ig", (1, 1), f"{_BOTH} set:many", _edit_group),
    Command("get cluster", (0, 1), _READ, _get_cluster),
    Command("get clusters", (0, 0), _READ, _get_cluster),
    Command("get ig", (0, 0), _READ, lambda p, g: look.instance_groups(_store(g), _name(p, g), _one(g, "o"))),
    Command("get all", (0, 0), _READ, lambda p, g: look.everything(_store(g), _name(p, g), _one(g, "o"))),
    Command("get instances", (0, 0), _READ, lambda p, g: look.instances(_store(g), _name(p, g), _one(g, "o"))),
    Command("get keypairs", (0, 0), f"{_READ} distrusted:flag", _get_keypairs),
    Command("update cluster", (0, 1), f"{_BOTH} {_UPDATE}", _update),
    Command("export kubeconfig", (0, 1), f"{_BOTH} admin:optional kubeconfig:value api-server:value", _export),
    Command("rolling-update cluster", (0, 1), f"{_BOTH} {_ROLLING}", _rolling),
    Command("validate cluster", (0, 1), f"{_READ} api-server:value wait:value interval:value count:value", _validate),
    Command("delete cluster", (0, 1), f"{_BOTH} yes:flag wait:value interval:value", _delete_cluster),
    Command("delete ig", (1, 1), f"{_BOTH} yes:flag", _delete_group),
)  # fmt: skip
