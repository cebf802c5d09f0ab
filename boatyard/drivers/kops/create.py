"""A cluster made, or one that was half made taken up where it stopped, or a broken one mended.

Pools are registered and started with the control plane, as kOps does it: their machines boot meanwhile. Who calls waits
here for the control plane alone; `create_pool` waits for each pool.
"""

from collections.abc import Sequence
from pathlib import Path

from boatyard.drivers.kops import changes, gateways, guard, render
from boatyard.drivers.kops.fleet import ScalingGroup
from boatyard.drivers.kops.nodes import NODES
from boatyard.drivers.kops.observe import unfinished
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.scene import control_plane_lacks, look
from boatyard.drivers.kops.store import PLACEHOLDER, Document, Record
from boatyard.drivers.kops.subnets import names
from boatyard.drivers.kops.versioning import full_version
from boatyard.drivers.kops.waiting import Lookout, watching
from boatyard.kube.client import Client
from boatyard.plan.model import Phase
from boatyard.spec.models import Cluster

_ANYONE = 1.0  # seconds between two knocks at an API server that is silent; they cost AWS nothing


def create(reach: Reach) -> None:
    """Control plane up and answering. A no-op for a cluster that runs."""
    record = reach.store.read()
    if record.deleting:
        from boatyard.drivers.kops.deletion import delete

        reach.env.report(f"{reach.name}: finishing its deletion first")
        delete(reach)
        record = reach.store.read()
    fleet = reach.fleet.read()
    if record.cluster is not None and unfinished(record, fleet) is None and answers(reach, record):
        return
    if any(group.remembered is not None for group in fleet.values()):
        from boatyard.drivers.kops.hibernation import wake

        wake(reach)
        return
    _register(reach, record, fleet)
    if record.cluster is not None:
        gateways.recover(reach)  # kOps would make another of each, and leave these
    # Mending a control plane must not give nodes a version that it does not have yet.
    only = record.control_plane if set(record.groups) <= set(fleet) and record.applied else []
    changes.apply(reach, guard.whole(f"creating {reach.name}"), only)
    made = reach.store.read()
    if not only:
        changes.applied_whole(reach, made)
    wait_for_control_plane(reach, made)


def answers(reach: Reach, record: Record) -> bool:
    """Is the control plane whole, at one look?"""
    from boatyard.drivers.kops.observe import observe

    return observe(reach).phase is Phase.RUNNING


def wait_for_control_plane(reach: Reach, record: Record) -> None:
    """Until every control-plane node is Ready with its parts, and the API server says that it is."""
    with reach.client(timeout=10, retries=0) as client:
        Lookout(reach.env, longest=_ANYONE).until(lambda: _silent(client))
        with watching(reach.env, client, NODES) as lookout:
            lookout.until(lambda: _lacks(reach, client, record))
    reach.env.report(f"{reach.name}: the control plane answers")


def _silent(client: Client) -> str:
    """ "" as soon as it says anything at all; that it does not is a `Temporary` error."""
    client.raw("GET", "/readyz", check=False)
    return ""


def _lacks(reach: Reach, client: Client, record: Record) -> str:
    return control_plane_lacks(client, look(reach, client), record.control_plane)


def documents(cluster: Cluster, version: str) -> list[Document]:
    """What kOps is given: with a group of no machines where the spec has no pool, since kOps wants one."""
    made = render.manifests(cluster, version)
    if not any(each["spec"].get("role") == "Node" for each in made):
        made.append(placeholder(cluster))
    return made


def placeholder(cluster: Cluster) -> Document:
    """A group of nodes that has none."""
    provider = render.settings(cluster)
    first = next(each for each in render.manifests(cluster, "1.0.0") if each["kind"] == "InstanceGroup")
    spec = {"role": "Node", "minSize": 0, "maxSize": 0, "subnets": names(provider, provider.zones)}
    labels = {"nodeLabels": {"kops.k8s.io/instancegroup": PLACEHOLDER}}
    metadata = {"name": PLACEHOLDER, "labels": dict(first["metadata"]["labels"])}
    return {"apiVersion": first["apiVersion"], "kind": "InstanceGroup", "metadata": metadata, "spec": spec | labels}


def _register(reach: Reach, record: Record, fleet: dict[str, ScalingGroup]) -> None:
    """The record as the spec wants it. One that was applied before is only mended, never changed here."""
    if record.applied and fleet:
        return
    version = full_version(reach, reach.cluster.kubernetes.version)
    wanted = documents(reach.cluster, version)
    if record.cluster is None:
        reach.env.report(f"registering {reach.name} in {reach.provider.state_store}")
        reach.kops.create(wanted)
    elif told := render.differences(wanted, record.documents):
        reach.env.report(f"{reach.name} was registered but never made: taking it up")
        reach.store.snapshot(reach.env.clock.now())
        reach.kops.replace(taken_up(record, wanted, version))
        for name in told.extra:  # of an earlier spec: what was never made has no machines to lose
            reach.kops.delete_group(name)
    if reach.provider.ssh_key is not None:
        reach.kops.add_ssh_key(Path(reach.provider.ssh_key).expanduser())


def taken_up(record: Record, wanted: Sequence[Document], version: str) -> list[Document]:
    """What is wanted, laid over what was registered and never made."""
    keeps_images = record.version == version
    known = {_name(each): each if keeps_images else _without_image(each) for each in record.documents}
    return [render.merged(each, known[_name(each)]) if _name(each) in known else each for each in wanted]


def _without_image(document: Document) -> Document:
    """`kops create cluster` writes down the channel's image for its Kubernetes; another one wants another image."""
    return document | {"spec": {key: value for key, value in document["spec"].items() if key != "image"}}


def _name(document: Document) -> tuple[str, str]:
    return document["kind"], document["metadata"]["name"]
