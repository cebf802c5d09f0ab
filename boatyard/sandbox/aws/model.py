"""What the emulated account asks of us, as values: clusters, and the machines they are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from boatyard.sandbox.aws.keysets import Keyset

Role = Literal["control-plane", "node"]


@dataclass(frozen=True)
class Machine:
    """A running instance of a cluster, as it was launched. What later changes in the state store is not its business.

    version: of its kubelet, "1.35.5". memory: MiB. fault: what keeps it from being a sound node: "not-ready", or
    "absent" when it never joins.
    """

    identity: str
    group: str
    role: Role
    zone: str
    region: str
    size: str
    address: str
    version: str
    cpus: int
    memory: int
    architecture: str = "amd64"
    spot: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Keys:
    """The keysets that a control plane runs with."""

    authority: Keyset
    service_account: Keyset


@dataclass(frozen=True)
class Wanted:
    """One cluster. machines: oldest first. keys: as of the launch of its newest control-plane machine; None while the
    state store has none. kept: are there etcd volumes that hold its data? balancers: DNS names of its API's load
    balancers."""

    name: str
    account: str
    region: str
    machines: tuple[Machine, ...]
    keys: Keys | None
    kept: bool
    balancers: tuple[str, ...] = ()
    services: str = "100.64.0.0/13"
    pods: str = "100.96.0.0/11"
    place: str = ""
    """`BUCKET/PREFIX` of the cluster in its state store; empty while it is not known."""

    @property
    def control_plane(self) -> tuple[Machine, ...]:
        return tuple(machine for machine in self.machines if machine.role == "control-plane")
