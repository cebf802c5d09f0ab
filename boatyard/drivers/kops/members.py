"""How many control-plane nodes there are, and which: fixed for the life of a cluster.

Each is a member of etcd, with a volume of its own. kOps' documentation goes from one to three by hand (kOps 1.36.2,
docs/single-to-multi-master.md): members and groups are added in one go, etcd-manager lets the new ones join, and the
old machine is replaced at the end. Nothing here could show that no data is lost on that way, nor is there one back:
the emulated clusters have one etcd, whatever their members. So no plan does it; docs/kops.md says what to do.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from boatyard.drivers.kops.render import manifests
from boatyard.errors import Unsafe
from boatyard.plan.model import Observed
from boatyard.spec.models import Cluster

if TYPE_CHECKING:
    from boatyard.drivers.kops.store import Record  # boto3, which plans do without

_COUNT = "control_plane.count: "
_PLACES = "control_plane.zones: "


def members_differ(cluster: Cluster, record: "Record") -> str:
    """`control_plane.count: 1, 3 is wanted`; "" when the control-plane nodes are those that the spec wants."""
    if record.cluster is None or not record.applied:
        return ""
    wanted = _members(manifests(cluster, record.version or "0.0.0")[0])
    there = _members(record.cluster)
    if wanted == there:
        return ""
    if len(wanted) != len(there):
        return f"{_COUNT}{len(there)}, {len(wanted)} is wanted"
    return f"{_PLACES}{_listed(there - wanted)}, {_listed(wanted - there)} is wanted"


def refuse(cluster: Cluster, observed: Observed) -> None:
    """`Unsafe` where other control-plane nodes are wanted than there are."""
    for line in observed.differs:
        if line.startswith((_COUNT, _PLACES)):
            raise refused(cluster, line)


def refused(cluster: Cluster, line: str) -> Unsafe:
    """`line`: what `members_differ` told."""
    return Unsafe(
        f"cluster {cluster.name}: {line}, which would change etcd's members: Boatyard never does that to a cluster"
        " that is there.",
        hint="Put the old value back; where another is needed, make a new cluster, or follow kOps' procedure by hand.",
    )


def _members(document: Mapping[str, Any]) -> set[str]:
    """The instance groups that etcd's members belong to."""
    clusters = document.get("spec", {}).get("etcdClusters") or ()
    return {str(member.get("instanceGroup")) for etcd in clusters for member in etcd.get("etcdMembers") or ()}


def _listed(names: Iterable[str]) -> str:
    return " and ".join(sorted(names))
