"""What a user may say of a kOps cluster on AWS."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from boatyard.spec.base import Model
from boatyard.spec.provider import ProviderSettings
from boatyard.spec.types import Cidr, Name


def _like(pattern: str, words: str) -> AfterValidator:
    """Text of a form, which messages tell in words."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(words)
        return text

    return AfterValidator(check)


def _shape(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "examples": [example]})


_ZONE = r"[a-z]{2}(-[a-z]+)+-[0-9][a-z]"
_STORE = r"s3://[a-z0-9][-a-z0-9.]{1,61}[a-z0-9](/[^/\s]+)*"
_ID = r"-[0-9a-f]{8,17}"
_DNS_ZONE = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*"

Zone = Annotated[str, _like(_ZONE, "an availability zone like eu-central-1a"), _shape(_ZONE, "eu-central-1a")]
StateStore = Annotated[str, _like(_STORE, "s3://BUCKET or s3://BUCKET/PREFIX"), _shape(_STORE, "s3://example-kops")]
VpcId = Annotated[str, _like(f"vpc{_ID}", "a VPC's id like vpc-0123456789abcdef0"), _shape(f"vpc{_ID}", "vpc-0a1b2c3d")]
SubnetId = Annotated[
    str, _like(f"subnet{_ID}", "a subnet's id like subnet-0123456789abcdef0"), _shape(f"subnet{_ID}", "subnet-0a1b2c3d")
]
GroupId = Annotated[
    str, _like(f"sg{_ID}", "a security group's id like sg-0123456789abcdef0"), _shape(f"sg{_ID}", "sg-0a1b2c3d")
]
DnsZone = Annotated[
    str, _like(_DNS_ZONE, "a hosted zone's name like k8s.example.com"), _shape(_DNS_ZONE, "k8s.example.com")
]

VPC_RANGE = "172.20.0.0/16"
"""What kOps gives a new VPC."""

KOPS_RANGE = "100.64.0.0/10"
"""kOps' own nonMasqueradeCIDR: services get 100.64.0.0/13 of it, pods 100.96.0.0/11."""

BASTIONS = "bastions"
"""kOps' name for the bastions' instance group."""


class Subnet(Model):
    """A subnet of an existing VPC."""

    id: SubnetId
    zone: Zone
    type: Literal["public", "private", "utility"] = "public"
    """Utility subnets hold load balancers and NAT gateways of a private topology."""


class Volume(Model):
    """Root volume of an instance."""

    size: Annotated[int, Field(ge=8, le=16384)] | None = None
    """GiB; kOps' own when left out: 64 for the control plane, 128 for nodes."""
    type: Literal["gp3", "gp2", "io1", "io2"] | None = None
    """gp3 when left out."""
    iops: Annotated[int, Field(ge=100, le=256000)] | None = None
    throughput: Annotated[int, Field(ge=125, le=2000)] | None = None
    """MiB a second; gp3 only."""
    encrypted: bool = True


class Group(Model):
    """What kOps knows of an instance group beyond a pool's own fields."""

    zones: tuple[Zone, ...] = ()
    """Some of the cluster's zones; all of them when left out."""
    image: str | None = None
    """Owner and name, AMI id or `ssm:` parameter; the channel's image when left out."""
    volume: Volume | None = None
    instances: tuple[str, ...] = ()
    """Further instance types that will do (mixed instances), besides the pool's size."""
    on_demand: Annotated[int, Field(ge=0, le=5000)] = 0
    """With mixed instances of a spot pool: how many are always on demand."""
    max_price: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$")] | None = None
    """Highest spot price in US dollars an hour; the on-demand price when left out."""
    security_groups: tuple[GroupId, ...] = ()
    """Security groups added to kOps' own."""


class ControlPlaneGroup(Group):
    """What kOps knows of the control plane's instance groups."""

    groups: tuple[Name, ...] = ()
    """Their names where they are not kOps' own (`control-plane-ZONE`): clusters that were adopted."""


class Bastion(Model):
    """A host to reach nodes of a private topology by SSH."""

    size: str = "t3.micro"


class Raw(Model):
    """kOps' own fields, merged last over what Boatyard writes; kOps judges them."""

    cluster: dict[str, Any] = {}
    """Merged into the `spec` of the Cluster: mappings key by key, lists whole; null takes out what Boatyard writes."""
    groups: dict[str, dict[str, Any]] = {}
    """Instance group → merged into its `spec`; the control plane's are named `control-plane-ZONE`."""


class Provider(ProviderSettings):
    """Production clusters on an AWS account of one's own, by kOps."""

    minors: ClassVar[tuple[str, ...]] = ("1.33", "1.34", "1.35", "1.36")
    example_name: ClassVar[str] = "shop.k8s.example.com"

    @classmethod
    def rules(cls, cluster: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Rules between these settings and the rest of a cluster."""
        from boatyard.drivers.kops.rules import rules

        return rules(cluster)

    kind: Literal["kops"]
    state_store: StateStore = Field(
        default_factory=lambda: os.environ.get("KOPS_STATE_STORE", "").rstrip("/"), validate_default=True
    )
    """Bucket that holds the clusters' records and keys; KOPS_STATE_STORE when left out."""
    zones: Annotated[tuple[Zone, ...], Field(min_length=1)]
    """Availability zones, all of one region."""
    profile: str | None = None
    """Profile of ~/.aws/config; what the environment offers when left out."""
    role: Annotated[str, Field(pattern=r"^arn:aws[-a-z]*:iam::[0-9]{12}:role/.+$")] | None = None
    """IAM role to take on."""
    dns: Literal["public", "private", "none"] = "public"
    """Where the API server's name is: a public or private Route 53 zone, or nowhere (the load balancer's own)."""
    dns_zone: DnsZone | None = None
    """Hosted zone; the nearest one above the cluster's name when left out."""
    topology: Literal["public", "private"] = "public"
    """Private nodes have no public address; they go out through NAT gateways."""
    networking: Literal["cilium", "calico", "amazonvpc", "kindnet", "kube-router"] = "cilium"
    """Network plug-in."""
    vpc: VpcId | None = None
    """An existing VPC; a new one is made when left out."""
    network_cidr: Cidr | None = None
    """Address range of the VPC; when left out 172.20.0.0/16, or that of the existing VPC."""
    subnets: tuple[Subnet, ...] = ()
    """Existing subnets; kOps makes its own when left out."""
    api_access: tuple[Cidr, ...] = ("0.0.0.0/0", "::/0")
    """Who may reach the API server."""
    ssh_access: tuple[Cidr, ...] = ("0.0.0.0/0", "::/0")
    """Who may reach nodes by SSH."""
    ssh_key: str | None = None
    """File with a public key for the nodes; none can be reached by SSH when left out."""
    bastion: Bastion | None = None
    image: str | None = None
    """Image of all nodes; the channel's when left out."""
    channel: Annotated[str, Field(pattern=r"^(stable|alpha|(file|https)://.+)$")] = "stable"
    """kOps channel: which versions and images it recommends."""
    volume: Volume = Volume()
    """Root volume of all nodes."""
    etcd_encryption: bool = True
    """Encrypted etcd volumes."""
    backup_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """How long etcd backups are kept in the state store."""
    irsa: StateStore | None = None
    """Public bucket for OIDC discovery: IAM roles for service accounts."""
    autoscaler: bool = False
    """Run the cluster autoscaler between each pool's min and max."""
    metrics_server: bool = False
    cert_manager: bool = False
    node_termination_handler: bool = True
    """Drain nodes that AWS is about to take away."""
    pools: dict[Name, Group] = {}
    """More about single pools, by name."""
    control_plane: ControlPlaneGroup = ControlPlaneGroup()
    """More about the control plane's instances."""
    raw: Raw = Raw()
    """Escape hatch: kOps' own fields."""
    api_server: Annotated[str, Field(pattern=r"^https://[^/\s]+$")] | None = None
    """Reach the API server here instead of where kOps says: a tunnel or a proxy. TLS still verifies kOps' own name."""

    @property
    def region(self) -> str:
        """`eu-central-1` of `eu-central-1a`."""
        return self.zones[0][:-1]

    @property
    def account(self) -> str:
        """By what its credentials come from; those of the environment are taken to be one account a state store."""
        return self.role.split(":")[4] if self.role else self.profile or self.state_store

    @property
    def network_range(self) -> str | None:
        """Address range of the VPC; None of an existing VPC whose range is not told."""
        return self.network_cidr or (None if self.vpc is not None else VPC_RANGE)


EXAMPLE = """\
apiVersion: boatyard/v1
kind: Cluster
name: k8s.example.com           # a DNS name below the hosted zone
owner: you@example.com
provider:
  kind: kops
  state_store: s3://example-kops  # made when it is not there; KOPS_STATE_STORE when left out
  zones: [eu-central-1a, eu-central-1b, eu-central-1c]
  topology: private
kubernetes: {version: "1.35"}
control_plane: {size: m6i.large, count: 3}  # one in each zone
pools:
  - {name: web, size: m6i.xlarge, min: 3, max: 12}
  - {name: batch, size: c6i.2xlarge, min: 0, max: 40, spot: true, taints: ["batch=true:NoSchedule"]}
"""
