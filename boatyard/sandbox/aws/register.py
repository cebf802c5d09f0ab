"""Nodes follow machines: registered once, as by a kubelet, and removed with their pods when the machine is gone."""

from collections.abc import Iterable
from contextlib import suppress

from boatyard.kube.client import ApiConflict, ApiNotFound, Client
from boatyard.kube.nodes import annotation
from boatyard.sandbox.aws import nodes
from boatyard.sandbox.aws.flags import MANAGED
from boatyard.sandbox.aws.model import Machine
from boatyard.sandbox.aws.nodes import NODES, PODS, SYSTEM_PODS, Json


class Register:
    """A cluster's nodes. Remembers who registered: a Node that somebody deletes stays deleted, as with a kubelet."""

    def __init__(self) -> None:
        self._registered: set[str] = set()

    def forget(self) -> None:
        """The cluster's data is gone: everybody registers anew."""
        self._registered.clear()

    def sync(self, client: Client, machines: Iterable[Machine]) -> None:
        """Make nodes and mirror pods those of the machines. Any `BoatyardError` means: call again."""
        wanted = {machine.identity: machine for machine in machines if machine.fault != "absent"}
        present = {str(node["metadata"]["name"]): node for node in client.list(NODES)}
        for name in [name for name in present if name not in wanted and _ours(present[name])]:
            _remove(client, name)
        for machine in wanted.values():
            if machine.identity not in self._registered and machine.identity not in present:
                with suppress(ApiConflict):
                    client.create(NODES, nodes.node(machine))
            elif machine.identity in present:
                _kubelet(client, present[machine.identity], alive=not machine.fault)
            self._registered.add(machine.identity)
        self._registered &= wanted.keys()
        self._mirror(client, wanted.values())

    def _mirror(self, client: Client, machines: Iterable[Machine]) -> None:
        """A kubelet puts its mirror pods back whenever they are missing."""
        masters = [machine for machine in machines if machine.role == "control-plane"]
        present = {str(pod["metadata"]["name"]) for pod in client.list(SYSTEM_PODS)} if masters else set()
        for machine in masters:
            for pod in nodes.mirror_pods(machine):
                if pod["metadata"]["name"] not in present:
                    with suppress(ApiConflict):
                        client.create(SYSTEM_PODS, pod)


def _kubelet(client: Client, node: Json, *, alive: bool) -> None:
    """KWOK keeps the node Ready, or nobody does: then the node controller misses its heartbeats after a while."""
    if bool(annotation(node, MANAGED)) != alive:
        body = {"metadata": {"annotations": {MANAGED: "fake" if alive else None}}}
        with suppress(ApiNotFound):
            client.patch(f"{NODES}/{node['metadata']['name']}", body)
        if alive:
            _ready_again(client, str(node["metadata"]["name"]))


def _ready_again(client: Client, node: str) -> None:
    """A kubelet that is back says so of its pods, which the node controller had called not Ready."""
    for pod in client.list(PODS, fieldSelector=f"spec.nodeName={node}"):
        told = (pod.get("status") or {}).get("conditions") or []
        if not any(each["type"] == "Ready" and each["status"] == "False" for each in told):
            continue
        conditions = [each | ({"status": "True"} if each["type"] == "Ready" else {}) for each in told]
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        with suppress(ApiNotFound):
            client.patch(path, {"status": {"conditions": conditions}})


def _ours(node: Json) -> bool:
    return str(node["spec"].get("providerID") or "").startswith("aws:///")


def _remove(client: Client, name: str) -> None:
    """The Node as the cloud's node controller does it, and what ran there as the garbage collector does."""
    with suppress(ApiNotFound):
        client.delete(f"{NODES}/{name}")
    for pod in client.list(PODS, fieldSelector=f"spec.nodeName={name}"):
        metadata = pod["metadata"]
        with suppress(ApiNotFound, ApiConflict):
            client.delete(
                f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}", uid=metadata["uid"], grace=0
            )
