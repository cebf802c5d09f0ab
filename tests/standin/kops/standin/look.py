"""`kops get …`; all recorded but `get keypairs --distrusted`."""

import json
from typing import Any

from standin import groups, keysets, kube
from standin.say import Fail, Odd, log, out
from standin.store import Document, Store, dump
from standin.update import world_of
from standin.world import World, cloud_name, role

_CLUSTER = [
    "channel",
    "configBase",
    "cloudProvider",
    "kubernetesVersion",
    "subnets",
    "masterPublicName",
    "networkCIDR",
    "networkID",
    "topology",
    "dnsZone",
    "nonMasqueradeCIDR",
    "sshAccess",
    "kubernetesApiAccess",
    "etcdClusters",
    "kubeProxy",
    "kubelet",
    "networking",
    "api",
    "authorization",
    "iam",
]
_GROUP = ["role", "image", "minSize", "maxSize", "machineType", "subnets", "nodeLabels"]


def ordered(document: Document) -> dict[str, Any]:
    """Keys in the order of kOps' structures (recorded), what was not recorded after them."""
    meta, spec = document["metadata"], document["spec"]
    first = [key for key in ("name", "creationTimestamp", "generation", "labels") if key in meta]
    wanted = _CLUSTER if document["kind"] == "Cluster" else _GROUP
    known = [key for key in wanted if key in spec]
    return {
        "kind": document["kind"],
        "apiVersion": document["apiVersion"],
        "metadata": {key: meta[key] for key in first},
        "spec": {key: spec[key] for key in [*known, *(key for key in spec if key not in known)]},
    }


def _json(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))


def cluster(store: Store, name: str, output: str) -> None:
    _need(output, "json")
    found = store.cluster(name)
    if found is None:
        raise Fail(f'cluster not found "{name}"')
    out(_json(ordered(found)))


def clusters(store: Store, output: str) -> None:
    _need(output, "json")
    found = store.clusters()
    if not found:
        raise Fail("no clusters found")
    _list(found)


def instance_groups(store: Store, name: str, output: str) -> None:
    if store.cluster(name) is None:
        raise Fail(f'error fetching cluster "{name}": Cluster.kops.k8s.io "{name}" not found')
    if not (found := store.groups(name)):
        raise Fail("no InstanceGroup objects found")
    _need(output, "json")
    _list(found)


def everything(store: Store, name: str, output: str) -> None:
    _need(output, "yaml")
    documents = [store.found(name), *store.groups(name)]
    out("\n---\n\n".join(dump(one) for one in documents).rstrip("\n"))


def instances(store: Store, name: str, output: str) -> None:
    _need(output, "json")
    world = world_of(store, name)
    try:
        kube.nodes(world, "")
    except (kube.Unreachable, Fail) as error:
        said = f"cannot list node names. Kubernetes API unavailable: {error}"
        log("get_instances.go:130", said, "W")
    out(_json([one for group in world.groups for one in _machines(world, group)]))


def _machines(world: World, group: Document) -> list[dict[str, Any]]:
    name = cloud_name(world, group)
    if name not in world.auto_scaling_groups():
        return []
    old = groups.outdated(world, name)
    if not old:
        return []
    told = world.aws.pages("ec2", "describe_instances", "Reservations", InstanceIds=list(old))
    machines = {one["InstanceId"]: one for reservation in told for one in reservation["Instances"]}
    kinds = {"ControlPlane": ["control-plane", "control-plane"], "Node": ["node"], "Bastion": ["bastion"]}
    found = []
    for identity, needs in old.items():
        one = machines[identity]
        entry: dict[str, Any] = {"id": identity, "status": "NeedsUpdate" if needs else "UpToDate"}
        entry |= {"roles": kinds[role(group)], "internalIP": one.get("PrivateIpAddress", ""), "externalIP": ""}
        entry |= {"instanceGroup": name, "machineType": one["InstanceType"], "state": ""}
        found.append(entry)
    return found


def keypairs(store: Store, name: str, output: str, distrusted: bool) -> None:
    _need(output, "json")
    store.found(name)
    found = keysets.described(store, name, distrusted)
    if not found:
        raise Fail("no keypairs found")
    out(_json(found))


def _list(documents: list[Document]) -> None:
    lines = [_json(ordered(one)) for one in documents]
    out("[" + "\n,".join(lines) + "\n]")


def _need(output: str, wanted: str) -> None:
    if output != wanted:
        raise Odd(f"-o {output!r} here")
