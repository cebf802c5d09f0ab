"""`kops create cluster` (recorded), `create -f` and `replace -f` (documentation)."""

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from standin import channel, fields, update
from standin.aws import Aws
from standin.groups import DEFAULT_TYPE
from standin.say import Fail, Odd, log, out
from standin.store import Document, Store, ssh_keys
from standin.world import World

API = "kops.k8s.io/v1alpha2"
_LABEL = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must"
_NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_EVERYWHERE = ["0.0.0.0/0", "::/0"]


def cluster(store: Store, given: Mapping[str, str]) -> None:
    """From flags."""
    name = given["name"]
    if "master-size" in given:
        import sys

        sys.stderr.write("Flag --master-size has been deprecated, use --control-plane-size instead\n")
    address = given.get("channel", "stable")
    version = given.get("kubernetes-version") or channel.default_version(address)
    if key := given.get("ssh-public-key"):
        log("create_cluster.go:934", f"Using SSH public key: {key}")
    if store.cluster(name) is not None:
        raise Fail(f"cluster \"{name}\" already exists; use 'kops update cluster' to apply changes")
    log("new_cluster.go:1502", 'Cloud Provider ID: "aws"')
    zones = given["zones"].split(",")
    aws = Aws(zones[0][:-1])
    size = given.get("control-plane-size") or given.get("master-size") or DEFAULT_TYPE
    types = {"Master": size, "Node": given.get("node-size", DEFAULT_TYPE)}
    for kind in types.values():
        _known_type(aws, kind)
    document = _cluster(store, name, zones, version, given)
    assign(document)
    _valid_name(name)
    image = channel.image({"channel": address, "kubernetesVersion": version})
    count = int(given.get("node-count", "1"))
    groups = [_group(name, f"control-plane-{zone}", "Master", types["Master"], zone, 1, image) for zone in zones]
    shares = [(count + at) // len(zones) for at in range(len(zones))][::-1]
    groups += [
        _group(name, f"nodes-{z}", "Node", types["Node"], z, n, image) for z, n in zip(zones, shares, strict=True)
    ]
    for one in (document, *groups):
        store.put(one, new=True, bare=True)
    if key:
        add_ssh_key(store, name, Path(key))
    _finish(store, name, groups)


def _finish(store: Store, name: str, groups: list[Document]) -> None:
    out("Previewing changes that will be made:\n")
    world: World = update.world_of(store, name)
    if update.preview(world):
        out("Must specify --yes to apply changes")
    out("\nCluster configuration has been created.\n\nSuggestions:\n * list clusters with: kops get cluster")
    out(f" * edit this cluster with: kops edit cluster {name}")
    node = next(one["metadata"]["name"] for one in groups if one["spec"]["role"] == "Node")
    out(f" * edit your node instance group: kops edit ig --name={name} {node}")
    out(f" * edit your control-plane instance group: kops edit ig --name={name} {groups[0]['metadata']['name']}")
    out(f"\nFinally configure your cluster with: kops update cluster --name {name} --yes --admin\n")


def _known_type(aws: Aws, kind: str) -> None:
    region, head = aws.region, f'error finding instance info for instance type "{kind}"'
    try:
        found = aws.call("ec2", "describe_instance_types", InstanceTypes=[kind])["InstanceTypes"]
    except Fail as error:
        raise Fail(f'{head}: describing instance type "{kind}" in region "{region}": {error}') from None
    if not found:
        raise Fail(f"{head}: not found")


def _valid_name(name: str) -> None:
    if not re.fullmatch(_NAME, name):
        hint = (
            f"start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_NAME}')"
        )
        first = f'metadata.name: Invalid value: "{name}": {_LABEL} {hint}'
        said = "Cluster Name must be a valid DNS name (e.g. --name=mycluster.myzone.com) errors:"
        raise Fail(f'[{first}, objectMeta.name: Invalid value: "{name}": {said} {_LABEL} {hint}]')


def _cluster(store: Store, name: str, zones: list[str], version: str, given: Mapping[str, str]) -> Document:
    dns = given.get("dns", "public")
    spec: dict[str, Any] = {
        "channel": given.get("channel", "stable"),
        "configBase": f"{store.url}/{name}",
        "cloudProvider": "aws",
        "kubernetesVersion": version,
        "subnets": [{"name": zone, "zone": zone, "type": "Public"} for zone in zones],
        "networkCIDR": "172.20.0.0/16",
        "topology": {"dns": {"type": dns.capitalize()}},
        "nonMasqueradeCIDR": "100.64.0.0/10",
        "sshAccess": list(_EVERYWHERE),
        "kubernetesApiAccess": list(_EVERYWHERE),
        "etcdClusters": [_etcd(zones, "main", "200m"), _etcd(zones, "events", "100m")],
        "kubeProxy": {"enabled": False},
        "kubelet": {"anonymousAuth": False},
        "networking": {"cilium": {"enableNodePort": True}},
        "api": {"loadBalancer": {"class": "Network", "type": "Public"}} if dns == "none" else {"dns": {}},
        "authorization": {"rbac": {}},
        "iam": {"legacy": False, "allowContainerRegistry": True},
    }
    if "dns-zone" in given:
        spec["dnsZone"] = given["dns-zone"]
    if dns != "none":
        spec["masterPublicName"] = f"api.{name}"
    return {"apiVersion": API, "kind": "Cluster", "metadata": {"name": name}, "spec": spec}


def _etcd(zones: list[str], name: str, cpu: str) -> dict[str, Any]:
    members = [{"name": z[-1], "instanceGroup": f"control-plane-{z}", "encryptedVolume": True} for z in zones]
    keep = {"manager": {"backupRetentionDays": 90}, "memoryRequest": "100Mi", "cpuRequest": cpu}
    return {"name": name, "etcdMembers": members, **keep}


def _group(cluster: str, name: str, role: str, size: str, zone: str, count: int, image: str) -> Document:
    spec = {"role": role, "image": image, "minSize": count, "maxSize": count, "machineType": size, "subnets": [zone]}
    metadata = {"name": name, "labels": {"kops.k8s.io/cluster": cluster}}
    labels = {"nodeLabels": {"kops.k8s.io/instancegroup": name}}
    return {"apiVersion": API, "kind": "InstanceGroup", "metadata": metadata, "spec": spec | labels}


def assign(document: Document) -> None:
    """Address ranges for subnets without: the whole for a single one (recorded), an eighth for each of several."""
    spec = document["spec"]
    spec.setdefault("networkCIDR", "172.20.0.0/16")
    if spec.get("networkID") or all(one.get("cidr") or one.get("id") for one in spec["subnets"]):
        return
    whole = ipaddress.ip_network(spec["networkCIDR"])
    big = list(whole.subnets(3)) if len(spec["subnets"]) > 1 else [whole]
    small, rest = list(big[0].subnets(3)), big[1:] or big
    at = {"Utility": 0, "other": 0}
    for one in spec["subnets"]:
        kind = "Utility" if one.get("type") == "Utility" else "other"
        if not one.get("cidr") and not one.get("id"):
            one["cidr"] = str((small if kind == "Utility" else rest)[at[kind]])
            at[kind] += 1
            log("subnets.go:224", f"Assigned CIDR {one['cidr']} to subnet {one['name']}")


def documents(text: str) -> list[Document]:
    try:
        found = [one for one in yaml.safe_load_all(text) if one]
    except yaml.YAMLError as error:
        raise Fail(f'error parsing file "-": {error}') from None
    if not found:
        raise Odd("an input without manifests")
    for one in found:
        fields.check(one)
    return found


def from_manifests(store: Store, text: str) -> None:
    out()
    name = ""
    for one in documents(text):
        if one["kind"] == "Cluster":
            assign(one)
            _valid_name(one["metadata"]["name"])
            store.put(one, new=True)
            out(f"Created cluster/{one['metadata']['name']}")
        else:
            name = _owner(one, "create")
            store.found(name)
            store.put(one, new=True)
            out(f"Created instancegroup/{one['metadata']['name']}")
    out(f"\nTo deploy these resources, run: kops update cluster --name {name} --yes\n")


def _owner(group: Document, verb: str) -> str:
    if owner := group["metadata"].get("labels", {}).get("kops.k8s.io/cluster"):
        return str(owner)
    raise Fail(f'must specify "kops.k8s.io/cluster" label with cluster name to {verb} instanceGroup')


def replace(store: Store, text: str, force: bool) -> None:
    for one in documents(text):
        name = one["metadata"]["name"]
        if one["kind"] == "Cluster":
            if store.cluster(name) is None:
                if not force:
                    raise Fail(f"cluster {name} does not exist (try adding --force flag)")
                assign(one)
        else:
            owner = _owner(one, "replace")
            store.found(owner)
            if store.group(owner, name) is None:
                if not force:
                    raise Fail(f"instanceGroup: {name} does not exist (try adding --force flag)")
                log("replace.go:190", f"instanceGroup: {name} was not found, creating resource now")
        store.put(one, new=False)


def add_ssh_key(store: Store, name: str, path: Path) -> None:
    kept, folder = ssh_keys(store.found(name), store)
    try:
        public = path.read_bytes()
    except OSError as error:
        raise Fail(f"error reading SSH public key {path}: open {path}: {error.strerror}") from None
    import base64

    digest = hashlib.md5(base64.b64decode(public.split()[1]), usedforsecurity=False).hexdigest()
    kept.write(f"{folder}/{digest}", public)


def edit(document: Document, sets: list[str]) -> Document:
    """`--set spec.minSize=4`: numbers and booleans by what is there, else as YAML reads them."""
    for one in sets:
        path, sign, value = one.partition("=")
        parts = path.split(".")
        if not sign or parts[0] != "spec" or len(parts) < 2:
            raise Odd(f"--set {one}")
        at: dict[str, Any] = document["spec"]
        for part in parts[1:-1]:
            at = at.setdefault(part, {})
        number = re.fullmatch(r"\d+", value) or value in ("true", "false")
        at[parts[-1]] = yaml.safe_load(value) if number else value
    fields.check(document)
    return document
