"""A claim of an EBS storage class has a volume in the account, from its creation until its volume is released."""

import math
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from boatyard.kube.client import ApiConflict, Client

if TYPE_CHECKING:
    from boatyard.sandbox.aws.cloud import Aws

Json = dict[str, Any]

DRIVER = "ebs.csi.aws.com"
_PROVISIONERS = (DRIVER, "kubernetes.io/aws-ebs")
_ASKED = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")
_NODE = "volume.kubernetes.io/selected-node"
_VOLUMES, _CLASSES = "/api/v1/persistentvolumes", "/apis/storage.k8s.io/v1/storageclasses"
_GIB = {"Ki": 2**-20, "Mi": 2**-10, "Gi": 1.0, "Ti": 2.0**10, "": 2**-30}


class Volumes:
    """Dynamic provisioning, without attaching: nothing is ever written to these volumes."""

    def __init__(self, cluster: str, aws: "Aws") -> None:
        self._cluster, self._aws = cluster, aws

    def claim(self, client: Client, claim: Json) -> None:
        """Make the volume of a claim that was handed to us and has none."""
        metadata, spec = claim["metadata"], claim["spec"]
        annotations = metadata.get("annotations") or {}
        if spec.get("volumeName") or metadata.get("deletionTimestamp"):
            return
        if not any(annotations.get(key) in _PROVISIONERS for key in _ASKED):
            return
        storage = client.get(f"{_CLASSES}/{spec['storageClassName']}")
        node = annotations.get(_NODE)
        if storage.get("volumeBindingMode") == "WaitForFirstConsumer" and not node:
            return
        zone = self._zone(client, node)
        size = _gib(spec["resources"]["requests"]["storage"])
        volume = self._volume(claim, zone, size)
        with suppress(ApiConflict):  # an attempt that was cut off had made it
            client.create(_VOLUMES, _persistent(claim, storage, volume, zone, size))

    def release(self, client: Client, volume: Json) -> None:
        """Delete a volume whose claim is gone, where that is its policy."""
        spec = volume["spec"]
        ours = (spec.get("csi") or {}).get("driver") == DRIVER
        if not ours or volume["status"].get("phase") != "Released" or spec["persistentVolumeReclaimPolicy"] != "Delete":
            return
        try:
            self._aws("ec2").delete_volume(VolumeId=spec["csi"]["volumeHandle"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidVolume.NotFound":
                raise
        client.delete(f"{_VOLUMES}/{volume['metadata']['name']}")

    def _volume(self, claim: Json, zone: str, size: int) -> str:
        """The volume made for this claim, perhaps by an attempt that was cut off."""
        ec2, name = self._aws("ec2"), _name(claim)
        made = [{"Name": "tag:kubernetes.io/created-for/pv/name", "Values": [name]}]
        for volume in ec2.describe_volumes(Filters=made)["Volumes"]:
            return str(volume["VolumeId"])
        tags = {
            "Name": f"{self._cluster}-dynamic-{name}",
            "KubernetesCluster": self._cluster,
            f"kubernetes.io/cluster/{self._cluster}": "owned",
            "kubernetes.io/created-for/pv/name": name,
            "kubernetes.io/created-for/pvc/name": claim["metadata"]["name"],
            "kubernetes.io/created-for/pvc/namespace": claim["metadata"]["namespace"],
            "ebs.csi.aws.com/cluster": "true",
        }
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        specification = [{"ResourceType": "volume", "Tags": listed}]
        made_now = ec2.create_volume(
            AvailabilityZone=zone, Size=size, VolumeType="gp3", TagSpecifications=specification
        )
        return str(made_now["VolumeId"])

    def _zone(self, client: Client, node: str | None) -> str:
        """The chosen node's, else any of the cluster's nodes'."""
        found = [client.get(f"/api/v1/nodes/{node}")] if node else client.list("/api/v1/nodes")
        return str(found[0]["metadata"]["labels"]["topology.kubernetes.io/zone"])


def _name(claim: Json) -> str:
    return f"pvc-{claim['metadata']['uid']}"


def _gib(quantity: str) -> int:
    """A storage request in whole GiB, rounded up."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|)", quantity)
    return max(1, math.ceil(float(match[1]) * _GIB[match[2]])) if match else 1


def _persistent(claim: Json, storage: Json, volume: str, zone: str, size: int) -> Json:
    metadata = claim["metadata"]
    reference = {key: metadata[key] for key in ("namespace", "name", "uid", "resourceVersion")}
    within = [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]}]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": _name(claim), "annotations": {"pv.kubernetes.io/provisioned-by": DRIVER}},
        "spec": {
            "capacity": {"storage": f"{size}Gi"},
            "accessModes": claim["spec"]["accessModes"],
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **reference},
            "persistentVolumeReclaimPolicy": storage.get("reclaimPolicy") or "Delete",
            "storageClassName": claim["spec"]["storageClassName"],
            "volumeMode": claim["spec"].get("volumeMode") or "Filesystem",
            "csi": {"driver": DRIVER, "volumeHandle": volume, "fsType": "ext4"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": within}]}},
        },
    }
