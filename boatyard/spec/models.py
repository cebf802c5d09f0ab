"""The words a user writes: a cluster, its pools, apps and policy. See docs/spec.md for the same in prose."""

from datetime import timedelta
from functools import reduce
from itertools import chain
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from boatyard.spec.base import Model, judged
from boatyard.spec.checks import app_rules, between_fields, pool_rules
from boatyard.spec.provider import ProviderSettings, all_settings_models
from boatyard.spec.types import (
    ChartVersion,
    Cidr,
    ClusterName,
    Duration,
    LabelMap,
    Name,
    Repository,
    TaintText,
    VersionText,
    WeekTime,
    Window,
)
from boatyard.spec.upgrade import Hook as Hook
from boatyard.spec.upgrade import Upgrade as Upgrade

if TYPE_CHECKING:
    AnyProvider = ProviderSettings
else:
    _models = all_settings_models()
    AnyProvider = Annotated[reduce(or_, _models), Field(discriminator="kind")] if len(_models) > 1 else _models[0]

_LAST = Field(json_schema_extra={"position": 99})
"""Forms show their fields by position; what nobody can change comes last."""


class Kubernetes(Model):
    """Which Kubernetes the cluster runs."""

    version: VersionText
    """`1.35` or `1.35.2`. A floor unless `channel` is `pinned`: scheduled maintenance may be ahead of it."""
    channel: Literal["rapid", "regular", "stable", "n-1", "n-2", "patch", "pinned"] = "stable"
    """How far scheduled maintenance may go by itself: `rapid` to the newest minor, `regular` one behind, `stable` two,
    or as the provider's own channels of these names say; `n-1`, `n-2` always so many behind the newest; `patch` stays
    in its minor; `pinned` goes nowhere."""


class ControlPlane(Model):
    """The machines (or processes) that run the API server and etcd."""

    size: str | None = None
    """Instance type; the driver's default when left out."""
    count: Literal[1, 3, 5] = 1


class Pool(Model):
    """Node pool: nodes that are alike."""

    name: Name
    """Lower-case letters, digits and `-`."""
    size: str | None = None
    """Instance type; the driver's default when left out."""
    min: Annotated[int, Field(ge=0, le=5000)] = 1
    """Nodes the pool has, or the fewest when an autoscaler decides."""
    max: Annotated[int, Field(ge=0, le=5000)] | None = None
    """Upper bound for an autoscaler; equal to `min` when left out."""
    spot: bool = False
    """Cheaper machines that the provider may take away at any time."""
    labels: LabelMap = {}
    """Labels of each node, like `{"team": "data"}`."""
    taints: tuple[TaintText, ...] = ()
    """What keeps other pods off, like `batch=true:NoSchedule`."""

    @property
    def upper(self) -> int:
        """The most nodes the pool may have."""
        return self.min if self.max is None else self.max

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return judged(self, pool_rules(self.model_dump()))


class Network(Model):
    """Address ranges inside the cluster."""

    pods: Cidr = "10.244.0.0/16"
    """Addresses of pods."""
    services: Cidr = "10.96.0.0/16"
    """Addresses of services; may not overlap with those of pods."""


class App(Model):
    """Something to run on the cluster, from exactly one source."""

    name: Name
    """Lower-case letters, digits and `-`."""
    namespace: Name = "default"
    """Where its objects go that name no namespace themselves; made when it is not there."""
    manifests: str | None = None
    """File or folder of YAML, relative to the spec's file."""
    kustomize: str | None = None
    """Folder with a kustomization.yaml."""
    chart: str | None = None
    """Helm chart: a folder, `oci://…`, or a name in `repository`."""
    repository: Repository | None = None
    """https:// address of the chart's repository."""
    version: ChartVersion | None = None
    """The chart's version."""
    plain_http: bool = False
    """Ask the registry of an `oci://` chart by http, without TLS: for registries inside of a network of one's own."""
    values: dict[str, Any] = {}
    """The chart's values; they win over those in files."""
    values_files: tuple[str, ...] = ()
    """Files with values for the chart; later ones win."""
    depends_on: tuple[Name, ...] = ()
    """Apps that must be ready before this one starts."""
    timeout: Duration = timedelta(minutes=10)
    """How long to wait until everything is ready."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        return judged(self, app_rules(self.model_dump()))


class Maintenance(Model):
    """When scheduled maintenance may disrupt the cluster."""

    window: Window | None = None
    """`Sat 02:00-06:00 Europe/Berlin`; none means never by schedule."""
    ring: str = "default"
    """A word for clusters of the same weight, like `test` or `production`; a schedule may serve some of them."""


class Idle(Model):
    """What counts as unused, and what then happens."""

    after: Duration
    """No user pods and no writes by anyone but controllers for this long."""
    grace: Duration = timedelta(days=2)
    """From the warning to hibernation, and again from hibernation to deletion."""
    delete: bool = True
    """Delete after the second grace; else stay hibernated."""


class Hibernate(Model):
    """Weekly sleep."""

    sleep: WeekTime
    """When to hibernate, like `Fri 20:00` or `daily 20:00`."""
    wake: WeekTime
    """When to wake, like `Mon 06:30`."""
    timezone: str = "UTC"
    """The zone of both, like `Europe/Berlin`."""


class Policy(Model):
    """What Boatyard may do by itself."""

    maintenance: Maintenance = Maintenance()
    upgrade: Upgrade = Upgrade()
    idle: Idle | None = None
    hibernate: Hibernate | None = None
    ttl: Annotated[Duration | None, Field(title="Time to live")] = None
    """Delete the cluster this long after its creation."""
    protect: bool = False
    """Refuse every deletion."""
    exempt: bool = False
    """Leave the cluster out of clean-up (a disaster-recovery cluster looks idle and is not)."""


class Cluster(Model):
    """One cluster: what should be."""

    apiVersion: Annotated[Literal["boatyard/v1"], Field(title="API version"), _LAST] = "boatyard/v1"
    kind: Annotated[Literal["Cluster"], _LAST] = "Cluster"
    name: ClusterName
    """Lower-case letters, digits, `-` and `.`; kOps wants a full DNS name."""
    owner: str = ""
    """Who is warned and asked: an e-mail address or a team."""
    labels: LabelMap = {}
    """Your own words about the cluster, like `{"stage": "test"}`."""
    provider: AnyProvider
    kubernetes: Kubernetes
    control_plane: ControlPlane = ControlPlane()
    pools: tuple[Pool, ...] = ()
    """The groups of nodes that run your pods."""
    network: Network = Network()
    apps: tuple[App, ...] = ()
    """What is deployed once the cluster is there, each app after those it depends on."""
    policy: Policy = Policy()

    def pool(self, name: str) -> Pool | None:
        return next((pool for pool in self.pools if pool.name == name), None)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        data = self.model_dump(mode="json")
        return judged(self, chain(between_fields(data), self.provider.rules(data)))

    def at_version(self, version: str) -> "Cluster":
        """The same cluster, wanting another Kubernetes version."""
        return self.model_copy(update={"kubernetes": self.kubernetes.model_copy(update={"version": version})})
