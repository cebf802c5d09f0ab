"""`kops create cluster`, said in Boatyard's words: from its flags to a spec that gives that very cluster."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from boatyard.drivers.kops.flags import OLD, Flags, read
from boatyard.errors import InvalidSpec
from boatyard.spec.words import did_you_mean, shown

Spec = dict[str, Any]

NETWORKING: Mapping[str, tuple[str, Spec]] = {
    "cilium": ("cilium", {}),
    "cilium-eni": ("cilium", {"networking": {"cilium": {"ipam": "eni"}}}),
    "calico": ("calico", {}),
    "amazonvpc": ("amazonvpc", {}),
    "amazon-vpc-routed-eni": ("amazonvpc", {}),
    "kindnet": ("kindnet", {}),
    "kube-router": ("kube-router", {}),
    "flannel": ("calico", {"networking": {"calico": None, "flannel": {"backend": "vxlan"}}}),
    "flannel-vxlan": ("calico", {"networking": {"calico": None, "flannel": {"backend": "vxlan"}}}),
    "flannel-udp": ("calico", {"networking": {"calico": None, "flannel": {"backend": "udp"}}}),
    "kubenet": ("calico", {"networking": {"calico": None, "kubenet": {}}}),
    "cni": ("calico", {"networking": {"calico": None, "cni": {}}}),
}
"""kOps' words → Boatyard's, and raw fields where it has none of its own."""

_COMPONENTS = ("kubelet", "kubeAPIServer", "kubeControllerManager", "kubeProxy", "kubeScheduler")


@dataclass(frozen=True)
class Classic:
    """A spec's text, and what there is to say about it, a sentence each."""

    text: str
    notes: tuple[str, ...]


def classic(words: Sequence[str], environment: Mapping[str, str]) -> Classic:
    """The spec for `kops create cluster WORDS`; `InvalidSpec` with everything that is wrong with them."""
    from boatyard.drivers.kops.rules import advice, too_small
    from boatyard.spec.load import load_text

    flags = read(words)
    state = flags.text("state") or environment.get("KOPS_STATE_STORE")
    if problems := list(_problems(flags, state)):
        raise InvalidSpec(problems)
    spec = _spec(flags, str(state).rstrip("/"))
    text = _HEAD + _yaml(spec)
    try:
        load_text(text, "spec")
    except InvalidSpec as error:
        raise InvalidSpec([line.split(" ", 1)[1] for line in error.problems]) from None
    production = (f"In production: {line}" for line in advice(spec))
    return Classic(text, (*_notes(flags, environment), *too_small(spec), *production))


_HEAD = """\
# Written from the flags of `kops create cluster`.
# See what would be done: boatyard plan FILE. Do it: boatyard apply FILE.
"""


def _problems(flags: Flags, state: str | None) -> Iterator[str]:
    if not flags.text("name"):
        yield "--name: found nothing, allowed the cluster's full DNS name, like --name=k8s.example.com"
    if not state:
        yield "--state: found nothing, allowed s3://BUCKET, here or in KOPS_STATE_STORE"
    zones = flags.list("zones")
    if not zones:
        yield "--zones: found nothing, allowed availability zones, like --zones=us-east-1a,us-east-1b"
    only: dict[str, tuple[str | None, Sequence[str | None], str]] = {
        "--cloud": (flags.text("cloud"), (None, "aws"), "aws; other clouds are not driven"),
        "--target": (flags.text("target"), (None, "direct"), "direct; Boatyard writes no Terraform"),
        "--instance-manager": (flags.text("instance-manager"), (None, "cloudgroups"), "cloudgroups"),
        "--container-runtime": (flags.text("container-runtime"), (None, "containerd"), "containerd, as in kOps"),
    }
    for name, (found, allowed, words) in only.items():
        if found not in allowed:
            yield f"{name}: found {shown(str(found))}, allowed {words}"
    for name, choices in (("topology", ("public", "private")), ("dns", ("public", "private", "none"))):
        if (value := flags.text(name)) and value.lower() not in choices:
            yield f"--{name}: found {shown(value)}, allowed {', '.join(choices)}{did_you_mean(value, choices)}"
    if (plugin := flags.text("networking")) and plugin not in NETWORKING:
        yield f"--networking: found {shown(plugin)}, allowed {', '.join(NETWORKING)}{did_you_mean(plugin, NETWORKING)}"
    if flags.switch("ipv6"):
        yield "--ipv6: found it, allowed IPv4 only: Boatyard drives no IPv6 clusters"
    if len(flags.list("network-cidr")) > 1:
        yield "--network-cidr: found several ranges, allowed one"
    if [one for one in flags.list("etcd-clusters") if one not in ("main", "events")]:
        yield "--etcd-clusters: found others, allowed main,events"
    yield from _subnet_problems(flags, zones)
    yield from _count_problems(flags)


def _subnet_problems(flags: Flags, zones: list[str]) -> Iterator[str]:
    for name in ("subnets", "utility-subnets"):
        given = flags.list(name)
        if given and not flags.text("network-id"):
            yield f"--{name}: found subnets without their VPC, allowed with --network-id=vpc-…"
        if given and len(given) != len(zones):
            yield f"--{name}: found {len(given)} for {len(zones)} zones, allowed one a zone, in the order of --zones"


def _count_problems(flags: Flags) -> Iterator[str]:
    zones, count = flags.list("control-plane-zones"), flags.number("control-plane-count")
    if zones and count and count < len(zones):
        yield f"--control-plane-count: found {count} for {len(zones)} control-plane zones, allowed one a zone or more"
    elif (count or len(zones) or 1) not in (1, 3, 5):
        yield f"--control-plane-count: found {count or len(zones)}, allowed 1, 3 or 5: etcd needs a majority"


def _spec(flags: Flags, state: str) -> Spec:
    zones, control_zones = flags.list("zones"), flags.list("control-plane-zones")
    control_sizes = flags.list("control-plane-size")
    control: Spec = {"count": flags.number("control-plane-count") or len(control_zones) or 1}
    if control_sizes:
        control = {"size": control_sizes[0], **control}
    return {
        "apiVersion": "boatyard/v1",
        "kind": "Cluster",
        "name": flags.texts["name"],
        "provider": _provider(flags, state, zones),
        "kubernetes": {"version": (flags.text("kubernetes-version") or _usual()).removeprefix("v")},
        "control_plane": control,
        "pools": [_pool(flags, at, zone) for at, zone in enumerate(zones)],
    }


def _usual() -> str:
    from boatyard.drivers.kops.spec import Provider

    return Provider.minors[-2]


def _pool(flags: Flags, at: int, zone: str) -> Spec:
    """kOps makes a group a zone, the first ones with one node more where the count does not go round."""
    zones, sizes = len(flags.list("zones")), flags.list("node-size")
    each, over = divmod(flags.number("node-count") or zones, zones)
    size = {"size": sizes[0]} if sizes else {}
    return {"name": f"nodes-{zone}", **size, "min": each + (at < over)}


def _provider(flags: Flags, state: str, zones: list[str]) -> Spec:
    dns = (flags.text("dns") or ("public" if flags.text("dns-zone") else "none")).lower()
    networking, raw = NETWORKING[flags.text("networking") or "cilium"]
    admin, ssh = flags.list("admin-access"), flags.list("ssh-access")
    spec: Spec = {"kind": "kops", "state_store": state, "zones": zones, "dns": dns}
    given: Spec = {
        "dns_zone": flags.text("dns-zone"),
        "topology": (flags.text("topology") or "public").lower(),
        "networking": networking,
        "vpc": flags.text("network-id"),
        "network_cidr": next(iter(flags.list("network-cidr")), None),
        "subnets": _subnets(flags, zones),
        "api_access": admin,
        "ssh_access": ssh or admin,
        "ssh_key": flags.text("ssh-public-key"),
        "bastion": {} if flags.switch("bastion") else None,
        "image": flags.text("image"),
        "channel": flags.text("channel"),
        "irsa": (flags.text("discovery-store") or "").rstrip("/"),
        "pools": _pools(flags, zones),
        "control_plane": _control_plane(flags),
        "raw": _raw(flags, raw),
    }
    if not flags.switches.get("encrypt-etcd-storage", True):
        spec["etcd_encryption"] = False
    return spec | {key: value for key, value in given.items() if value or (key == "bastion" and value is not None)}


def _subnets(flags: Flags, zones: list[str]) -> list[Spec]:
    kind = "private" if flags.text("topology") == "private" else "public"
    main = [{"id": one, "zone": zone, "type": kind} for one, zone in zip(flags.list("subnets"), zones, strict=False)]
    more = zip(flags.list("utility-subnets"), zones, strict=False)
    return main + [{"id": one, "zone": zone, "type": "utility"} for one, zone in more]


def _pools(flags: Flags, zones: list[str]) -> Spec:
    more = _group(flags, "node")
    pools = {f"nodes-{zone}": ({"zones": [zone]} if len(zones) > 1 else {}) | more for zone in zones}
    return {name: fields for name, fields in pools.items() if fields}


def _control_plane(flags: Flags) -> Spec:
    zones = flags.list("control-plane-zones")
    return ({"zones": zones} if zones else {}) | _group(flags, "control-plane")


def _group(flags: Flags, role: str) -> Spec:
    volume = {"size": flags.number(f"{role}-volume-size"), "type": flags.text(f"{role}-volume-type")}
    found: Spec = {
        "image": flags.text(f"{role}-image"),
        "volume": {key: value for key, value in volume.items() if value},
        "instances": flags.list(f"{role}-size")[1:],
        "security_groups": flags.list(f"{role}-security-groups"),
    }
    return {key: value for key, value in found.items() if value}


def _raw(flags: Flags, cluster: Spec) -> Spec:
    """What only kOps has a word for."""
    from boatyard.drivers.kops.merge import merge

    for fields in (*_cluster_fields(flags), *_set(flags)):
        cluster = _laid(cluster, fields)
    groups: Spec = {}
    public = flags.switches.get("associate-public-ip")
    for name, role in _group_roles(flags):
        fields = {} if public is None else {"associatePublicIp": public}
        if tenancy := flags.text(f"{role}-tenancy"):
            fields = merge(fields, {"tenancy": tenancy})
        if role == "bastion" and (image := flags.text("bastion-image")):
            fields = merge(fields, {"image": image})
        if fields:
            groups[name] = fields
    return {key: value for key, value in (("cluster", cluster), ("groups", groups)) if value}


def _laid(below: Spec, above: Spec) -> Spec:
    """As merge, but null stays: it is to take out what Boatyard writes."""
    found = dict(below)
    for key, value in above.items():
        old = found.get(key)
        found[key] = _laid(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return found


def _group_roles(flags: Flags) -> Iterator[tuple[str, str]]:
    from boatyard.drivers.kops.rules import control_plane_names

    zones = flags.list("control-plane-zones") or flags.list("zones")
    count = flags.number("control-plane-count") or len(flags.list("control-plane-zones")) or 1
    yield from ((name, "control-plane") for name in control_plane_names(zones, count))
    yield from ((f"nodes-{zone}", "node") for zone in flags.list("zones"))
    if flags.switch("bastion"):
        yield "bastions", "bastion"


def _cluster_fields(flags: Flags) -> Iterator[Spec]:
    if labels := flags.text("cloud-labels"):
        pairs = (pair.partition("=") for pair in labels.split(","))
        yield {"cloudLabels": {key.strip().strip('"'): value.strip().strip('"') for key, _, value in pairs}}
    if kind := flags.text("api-loadbalancer-type"):
        yield {"api": {"dns": None, "loadBalancer": {"class": "Network", "type": kind.capitalize()}}}
    if certificate := flags.text("api-ssl-certificate"):
        yield {"api": {"dns": None, "loadBalancer": {"class": "Network", "sslCertificate": certificate}}}
    if name := flags.text("api-public-name"):
        yield {"masterPublicName": name}
    if flags.switch("disable-subnet-tags"):
        yield {"DisableSubnetTags": False}  # kOps' own: the field says whether to tag
    if (flags.text("authorization") or "").lower() == "alwaysallow":
        yield {"authorization": {"rbac": None, "alwaysAllow": {}}}
    for gate in flags.list("kubernetes-feature-gates"):
        on = {gate.lstrip("+-"): "false" if gate.startswith("-") else "true"}
        yield {component: {"featureGates": on} for component in _COMPONENTS}


def _set(flags: Flags) -> Iterator[Spec]:
    """`--set spec.a.b=value`; kOps also writes `cluster.spec.a.b`."""
    pairs = [*flags.list("set"), *(f"{name}=" for name in flags.list("unset"))]
    for at, pair in enumerate(pairs):
        path, _, value = pair.partition("=")
        keys = path.removeprefix("cluster.").removeprefix("spec.").split(".")
        found: Any = None if at >= len(flags.list("set")) else _value(value)
        for key in reversed(keys):
            found = {key: found}
        yield found


def _value(text: str) -> str | int | bool:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isascii() and text.isdigit() else text


def _yaml(spec: Spec) -> str:
    import yaml

    apart = json.loads(json.dumps(spec))  # a list that stands twice would be written as an alias
    return yaml.safe_dump(apart, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True)


def _notes(flags: Flags, environment: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys(flags.deprecated):
        yield f"--{name} is deprecated in kOps: --{OLD[name]}."
    if flags.text("state") is None and environment.get("KOPS_STATE_STORE"):
        yield "state_store is KOPS_STATE_STORE's; named in the spec, it stays the same wherever the spec is used."
    if flags.text("kubernetes-version") is None:
        yield f"kubernetes.version: kOps would take what its channel recommends; {_usual()} was written."
    if flags.text("dns-zone") is None and flags.text("dns") is None:
        yield "dns: none, as kOps has it where no --dns-zone is given: the API server has the load balancer's name."
    if flags.list("subnets") or flags.list("utility-subnets"):
        yield "subnets: taken for the zones in the order of --zones; `boatyard prerequisites` compares them with AWS."
    if flags.switch("yes"):
        yield "--yes: nothing was made; `boatyard apply FILE` does that, after showing its plan."
    for name in ("dry-run", "output", "out"):
        if flags.switches.get(name) or flags.text(name):
            yield f"--{name}: not needed; `boatyard plan FILE` shows what would be done."
