"""Whose is it? What tags and names say about the Kubernetes cluster that a resource of AWS belongs to. Pure.

Names and tags as kOps 1.36 writes them (recorded runs; `pkg/model/names.go`, `pkg/resources/aws`), as the AWS cloud
controller, the EBS CSI driver, the AWS load balancer controller and the VPC network plug-in write them.
"""

import base64
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

OWNED = ("kubernetes.io/cluster/", "k8s.io/cluster/")
"""Tags with the cluster's name in the key and `owned` or `shared` for a value."""
NAMED = (
    "KubernetesCluster",
    "elbv2.k8s.aws/cluster",
    "ingress.k8s.aws/cluster",
    "cluster.k8s.amazonaws.com/name",
)
"""Tags with the cluster's name for a value."""
AUTOSCALER = "k8s.io/cluster-autoscaler/"

RULES = (
    "ASGLifecycle",
    "SpotInterruption",
    "InstanceStateChange",
    "InstanceScheduledChange",
    "RebalanceRecommendation",
)
"""What kOps' EventBridge rules end with."""
ROLES = ("masters", "nodes", "bastions", "apiservers")
GROUPS = ("masters", "nodes", "bastion", "apiservers", "api-elb", "bastion-elb")
BALANCERS = ("api", "bastion")
TARGETS = ("tcp", "tls", "kops-controller", "bastion")
ROLE_LENGTH = 64
RULE_LENGTH = 40

_CLUSTER = re.compile(r"(?=.{3,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+")
_HOME = {
    "keypair": re.compile(r"kubernetes\.(?P<cluster>.+?)(-[0-9a-f]{2}(:[0-9a-f]{2}){15})?"),
    "security-group": re.compile(rf"(?:{'|'.join(GROUPS)})\.(?P<cluster>.+)"),
    "volume": re.compile(r"[^.]+\.etcd-(?:main|events|cilium)\.(?P<cluster>.+)"),
    "eventbridge-rule": re.compile(rf"(?P<cluster>.{{3,{RULE_LENGTH - 1}}})-(?:{'|'.join(RULES)})"),
    "autoscaling-group": re.compile(r"[^.]+\.(?:masters|apiservers)\.(?P<cluster>.+)"),
    "iam-role": re.compile(
        rf"(?=.{{3,{ROLE_LENGTH - 1}}}$)(?:(?:{'|'.join(ROLES)})|[^.]+\.[^.]+\.sa)\.(?P<cluster>.+)"
    ),
}
"""Kind → a name that tells its cluster, whatever that is called."""
_RECORD = re.compile(
    r"(?P<made>(?:aaaa-)?(?:api|api\.internal|kops-controller\.internal|bastion|etcd-[a-z0-9-]+(?:\.internal)?))"
)
"""What kOps and its dns-controller put before the cluster's name."""
_HOME["launch-template"] = _HOME["autoscaling-group"]
_HOME["iam-instance-profile"] = _HOME["iam-role"]


@dataclass(frozen=True)
class Claim:
    """Clusters that own a resource, and clusters that only use it."""

    owners: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()


def is_cluster(name: str) -> bool:
    """Whether kOps would take this for a cluster's name: a DNS name with a dot. Names of EKS clusters have none."""
    return _CLUSTER.fullmatch(name) is not None


def claim(tags: Mapping[str, str]) -> Claim:
    """What the tags say. `kubernetes.io/cluster/NAME` outweighs the older ways to name one cluster."""
    keyed = {
        (key.removeprefix(prefix), value) for key, value in tags.items() for prefix in OWNED if key.startswith(prefix)
    }
    shared = frozenset(name for name, value in keyed if value == "shared")
    owners = frozenset(name for name, value in keyed if value == "owned")
    if not owners:
        older = {tags[key] for key in NAMED if tags.get(key)}
        older |= {
            key.removeprefix(AUTOSCALER)
            for key, value in tags.items()
            if key.startswith(AUTOSCALER) and value == "owned" and is_cluster(key.removeprefix(AUTOSCALER))
        }
        owners = frozenset(older - shared)
    return Claim(owners, shared)


def owner(tags: Mapping[str, str]) -> str:
    """The person or team that the tags name; "" when none."""
    by_key = {key.lower(): value for key, value in tags.items()}
    return by_key.get("boatyard.dev/owner") or by_key.get("owner") or ""


def told_by(kind: str, name: str) -> str | None:
    """The cluster that a name tells without knowing any, or None."""
    pattern = _HOME.get(kind)
    found = pattern.fullmatch(name) if pattern else None
    return found["cluster"] if found and is_cluster(found["cluster"]) else None


@dataclass
class Names:
    """Which of these clusters a name belongs to."""

    clusters: Collection[str]
    _index: dict[tuple[str, str], set[str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for cluster in self.clusters:
            for kind, name in _made(cluster):
                self._index.setdefault((kind, name), set()).add(cluster)

    def of(self, kind: str, name: str) -> frozenset[str]:
        """The clusters that would call a resource of this kind so; usually one or none."""
        if kind == "route53-record":
            return frozenset(self._named_below(name))
        exact = self._index.get((kind, name))
        if exact:
            return frozenset(exact)
        told = told_by(kind, name)
        if told is not None:
            return frozenset({told} & set(self.clusters))
        group, _, cluster = name.partition(".")
        if kind in ("autoscaling-group", "launch-template") and group and cluster in self.clusters:
            return frozenset({cluster})
        return frozenset()

    def _named_below(self, record: str) -> Iterator[str]:
        labels = record.split(".")
        for at in range(1, min(3, len(labels) - 1) + 1):
            if _RECORD.fullmatch(".".join(labels[:at])) and ".".join(labels[at:]) in self.clusters:
                yield ".".join(labels[at:])


def _made(cluster: str) -> Iterator[tuple[str, str]]:
    """Names that kOps makes of a cluster's name in ways that cannot be undone: cut, hashed, dots to dashes."""
    for role in ROLES:
        for kind in ("iam-role", "iam-instance-profile"):
            yield kind, cut(f"{role}.{cluster}", ROLE_LENGTH)
    for rule in RULES:
        yield "eventbridge-rule", f"{cut(cluster, RULE_LENGTH)}-{rule}"
    yield "sqs", queue_name(cluster)
    for prefix in BALANCERS:
        yield "load-balancer", hashed(prefix, cluster)
        yield "classic-load-balancer", hashed(prefix, cluster)
    for prefix in TARGETS:
        yield "target-group", hashed(prefix, cluster)


def queue_name(cluster: str) -> str:
    """The SQS queue of the node termination handler."""
    return cut(cluster.replace(".", "-"), 75) + "-nth"


def hashed(prefix: str, cluster: str) -> str:
    """Name of a load balancer or target group: `api-k8s-example-com-1ddrig`, at most 32 letters."""
    name = f"{prefix}-{cluster.replace('.', '-')}"
    return f"{name[:25]}-{_hash(name)}"


def cut(name: str, most: int) -> str:
    """`name`, or so much of it as fits before a hash when it is longer than `most`."""
    return name if len(name) <= most else f"{name[: most - 7]}-{_hash(name)}"


def _hash(text: str) -> str:
    """Six letters of kOps' hash: FNV-1a of 32 bits in base32hex."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return base64.b32hexencode(value.to_bytes(4, "big")).decode().lower()[:6]
