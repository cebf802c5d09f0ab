"""A minimal kOps-like cluster by boto3 alone: what the sandbox goes by, and nothing else."""

import base64
import hashlib
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from boatyard.clock import Deadline, SystemClock
from boatyard.errors import BoatyardError
from boatyard.kube.client import Client
from boatyard.sandbox.aws import Sandbox
from boatyard.sandbox.aws.keysets import issue, parse
from tests.unit.sandbox.conftest import Network, clients, template_data

STORE = "kops-state"
PEM = serialization.Encoding.PEM


def key_identifier(key: rsa.RSAPublicKey) -> x509.SubjectKeyIdentifier:
    """As Go makes it (since 1.25, RFC 7093): not the SHA-1 that others take it to be."""
    bits = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    return x509.SubjectKeyIdentifier(hashlib.sha256(bits).digest()[:20])


def pair(name: str, identity: int) -> dict[str, str]:
    """A self-signed authority as an entry of a keyset."""
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(identity)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_identifier(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    return {
        "id": str(identity),
        "privateMaterial": base64.b64encode(private).decode(),
        "publicMaterial": base64.b64encode(certificate.public_bytes(PEM)).decode(),
    }


def keyset(name: str, primary: str, entries: list[dict[str, Any]]) -> bytes:
    spec = {"keys": entries, "primaryID": primary, "type": "CA"}
    return yaml.safe_dump(
        {"apiVersion": "kops.k8s.io/v1alpha2", "kind": "Keyset", "metadata": {"name": name}, "spec": spec}
    ).encode()


class KopsCluster:
    """One cluster with a control plane in one zone and a group of nodes in two."""

    def __init__(self, sandbox: Sandbox, name: str, *, version: str = "1.35.5", nodes: int = 2) -> None:
        self.sandbox, self.name = sandbox, name
        client = clients(sandbox)
        self.s3, self.ec2, self.scaling = client("s3"), client("ec2"), client("autoscaling")
        if STORE not in [bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"]]:
            self.s3.create_bucket(Bucket=STORE)
        self.keysets = {keyset: [pair(keyset, 1)] for keyset in ("kubernetes-ca", "service-account")}
        self.write_keysets()
        self.write_group("nodes", {"nodeLabels": {"team": "shop"}, "taints": ["batch=true:NoSchedule"]})
        self.network = Network(self.ec2)
        self.volumes = [self._volume(kind) for kind in ("main", "events")]
        self.templates: dict[str, str] = {}
        self.add_group("control-plane", 1, version, self.network.subnets[:1])
        self.add_group("nodes", nodes, version, self.network.subnets)

    # the state store

    def put(self, path: str, data: bytes) -> None:
        self.s3.put_object(Bucket=STORE, Key=f"{self.name}/{path}", Body=data)

    def write_keysets(self, primary: str = "1") -> None:
        for name, entries in self.keysets.items():
            self.put(f"pki/private/{name}/keyset.yaml", keyset(name, primary, entries))

    def write_group(self, name: str, spec: dict[str, Any]) -> None:
        self.put(f"instancegroup/{name}", yaml.safe_dump({"kind": "InstanceGroup", "spec": spec}).encode())

    # the account

    def _volume(self, kind: str) -> str:
        tags = {
            "KubernetesCluster": self.name,
            "Name": f"a.etcd-{kind}.{self.name}",
            f"k8s.io/etcd/{kind}": "a/a",
            "k8s.io/role/control-plane": "1",
        }
        made = self.ec2.create_volume(
            AvailabilityZone="us-east-1a",
            Size=20,
            TagSpecifications=[{"ResourceType": "volume", "Tags": _tags(tags)}],
        )
        return str(made["VolumeId"])

    def add_group(self, group: str, size: int, version: str, subnets: list[str], **more: str) -> None:
        role = "control-plane" if group.startswith("control-plane") else "node"
        tags = {"KubernetesCluster": self.name, "kops.k8s.io/instancegroup": group, f"k8s.io/role/{role}": "1"} | more
        data = template_data(self.ec2, self.network, version)
        made = self.ec2.create_launch_template(LaunchTemplateName=f"{group}.{self.name}", LaunchTemplateData=data)
        self.templates[group] = made["LaunchTemplate"]["LaunchTemplateId"]
        self.scaling.create_auto_scaling_group(
            AutoScalingGroupName=f"{group}.{self.name}",
            MinSize=size,
            MaxSize=size,
            LaunchTemplate={"LaunchTemplateId": self.templates[group], "Version": "$Latest"},
            VPCZoneIdentifier=",".join(subnets),
            Tags=[tag | {"PropagateAtLaunch": True} for tag in _tags(tags)],
        )

    def upgrade(self, group: str, version: str) -> None:
        data = template_data(self.ec2, self.network, version)
        self.ec2.create_launch_template_version(LaunchTemplateId=self.templates[group], LaunchTemplateData=data)

    def scale(self, group: str, size: int) -> None:
        self.scaling.update_auto_scaling_group(
            AutoScalingGroupName=f"{group}.{self.name}", MinSize=size, MaxSize=size, DesiredCapacity=size
        )

    def replace(self, group: str) -> str:
        """Terminate the group's first instance; its identity."""
        gone = self.instances(group)[0]
        self.ec2.terminate_instances(InstanceIds=[gone])
        return gone

    def instances(self, group: str) -> list[str]:
        found = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[f"{group}.{self.name}"])
        return [each["InstanceId"] for each in found["AutoScalingGroups"][0]["Instances"]]

    def volume(self, identity: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ec2.describe_volumes(VolumeIds=[identity])["Volumes"][0]
        return found

    def delete(self) -> None:
        for group in self.templates:
            self.scaling.delete_auto_scaling_group(AutoScalingGroupName=f"{group}.{self.name}", ForceDelete=True)
        for volume in self.volumes:
            self.ec2.delete_volume(VolumeId=volume)

    # the live cluster

    def kubeconfig(self, primary: int = 0) -> dict[str, Any]:
        """As `kops export kubeconfig --admin` writes one, with the router's address."""
        entries = self.keysets["kubernetes-ca"]
        trusted = b"".join(base64.b64decode(entry["publicMaterial"]) for entry in entries)
        authority = parse(keyset("kubernetes-ca", entries[primary]["id"], entries), "the test's keyset")
        certificate, key = issue(authority, "admin", datetime.now(UTC))
        cluster = {
            "server": self.sandbox.api_server,
            "tls-server-name": f"api.internal.{self.name}",
            "certificate-authority-data": base64.b64encode(trusted).decode(),
        }
        user = {
            "client-certificate-data": base64.b64encode(certificate).decode(),
            "client-key-data": base64.b64encode(key).decode(),
        }
        return {
            "current-context": self.name,
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": self.name}}],
            "clusters": [{"name": self.name, "cluster": cluster}],
            "users": [{"name": self.name, "user": user}],
        }

    def client(self, primary: int = 0) -> Client:
        return Client(self.kubeconfig(primary), timeout=5, retries=0)

    def until(self, what: str, check: Any, seconds: float = 180, primary: int = 0) -> Any:
        """Ask until `check(client)` gives something true, through the times when nobody answers."""
        return until(what, lambda: _asked(self, check, primary), seconds)

    def ready_nodes(self, client: Client, group: str = "") -> dict[str, dict[str, Any]]:
        selector = f"kops.k8s.io/instancegroup={group}" if group else None
        found = client.list("/api/v1/nodes", labelSelector=selector)
        return {
            node["metadata"]["name"]: node
            for node in found
            if any(
                each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions", [])
            )
        }

    def follows(self, client: Client) -> bool:
        """Are the Ready nodes exactly the instances of the groups?"""
        wanted = {identity for group in self.templates for identity in self.instances(group)}
        return set(self.ready_nodes(client)) == wanted


def is_ready(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def until(what: str, check: Any, seconds: float = 60) -> Any:
    clock, pause = SystemClock(), threading.Event()
    deadline = Deadline.after(seconds, what, clock)
    while not (found := check()):
        deadline.check(what)
        clock.wait(pause, 0.1)
    return found


def _asked(cluster: KopsCluster, check: Any, primary: int) -> Any:
    try:
        with cluster.client(primary) as client:
            return check(client)
    except BoatyardError:
        return None


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
