"""What a live cluster makes in its own account, and what becomes of it."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from boatyard.kube.client import Client
from boatyard.sandbox.aws import Sandbox
from boatyard.settings import Settings
from boatyard.tools import Toolbox
from tests.unit.sandbox.conftest import clients
from tests.unit.sandbox.kops import KopsCluster, until

pytestmark = pytest.mark.twin

SERVICES = "/api/v1/namespaces/default/services"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
NETWORK = {"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KopsCluster]:
    with Sandbox.start(tmp_path_factory.mktemp("sandbox"), Toolbox(Settings.load().cache)) as sandbox:
        cluster = KopsCluster(sandbox, "cloud.example.com")
        cluster.until("the cluster", cluster.follows)
        yield cluster


@pytest.fixture
def client(cluster: KopsCluster) -> Iterator[Client]:
    with cluster.client() as client:
        yield client


def balancers(cluster: KopsCluster) -> dict[str, dict[str, str]]:
    """Host name → tags, of both kinds."""
    aws = clients(cluster.sandbox)
    found = {}
    for each in aws("elb").describe_load_balancers()["LoadBalancerDescriptions"]:
        tags = aws("elb").describe_tags(LoadBalancerNames=[each["LoadBalancerName"]])["TagDescriptions"][0]["Tags"]
        found[each["DNSName"]] = {tag["Key"]: tag["Value"] for tag in tags}
    for each in aws("elbv2").describe_load_balancers()["LoadBalancers"]:
        tags = aws("elbv2").describe_tags(ResourceArns=[each["LoadBalancerArn"]])["TagDescriptions"][0]["Tags"]
        found[each["DNSName"]] = {tag["Key"]: tag["Value"] for tag in tags}
    return found


def serve(client: Client, name: str, annotations: dict[str, str]) -> str:
    """A Service of type LoadBalancer; the host name it is given."""
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"port": 80}]},
    }
    client.create(SERVICES, body)

    def host() -> str:
        status = client.get(f"{SERVICES}/{name}")["status"]["loadBalancer"]
        return next((each["hostname"] for each in status.get("ingress") or []), "")

    return str(until("a host name", host))


@pytest.mark.parametrize("annotations", [{}, NETWORK], ids=["classic", "network"])
def test_a_service_has_its_load_balancer_until_it_is_deleted(
    cluster: KopsCluster, client: Client, annotations: dict[str, str]
) -> None:
    host = serve(client, "web", annotations)
    assert balancers(cluster)[host] == {
        "KubernetesCluster": cluster.name,
        f"kubernetes.io/cluster/{cluster.name}": "owned",
        "kubernetes.io/service-name": "default/web",
    }
    client.delete(f"{SERVICES}/web")
    until("the service to go", lambda: not [s for s in client.list(SERVICES) if s["metadata"]["name"] == "web"])
    assert balancers(cluster) == {}
    ours = [{"Name": f"tag:kubernetes.io/cluster/{cluster.name}", "Values": ["owned"]}]
    assert cluster.ec2.describe_security_groups(Filters=ours)["SecurityGroups"] == []
    assert clients(cluster.sandbox)("elbv2").describe_target_groups()["TargetGroups"] == []


def test_a_service_that_wants_none_any_more_loses_it(cluster: KopsCluster, client: Client) -> None:
    serve(client, "inner", {})
    client.patch(f"{SERVICES}/inner", {"spec": {"type": "ClusterIP"}})
    until("the load balancer to go", lambda: balancers(cluster) == {})
    client.delete(f"{SERVICES}/inner")


def claim(client: Client, mode: str) -> Any:
    """A claim of a storage class of its own; gives the PersistentVolume once it is bound."""
    name = mode.lower()
    storage = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "ebs.csi.aws.com",
        "volumeBindingMode": mode,
    }
    client.create("/apis/storage.k8s.io/v1/storageclasses", storage)
    body = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": name,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "5Gi"}},
        },
    }
    client.create(CLAIMS, body)
    if mode == "WaitForFirstConsumer":
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "tolerations": [{"operator": "Exists"}],
                "nodeSelector": {"topology.kubernetes.io/zone": "us-east-1b"},
                "containers": [{"name": "main", "image": "example"}],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}],
            },
        }
        client.create("/api/v1/namespaces/default/pods", pod)
    until("the claim to be bound", lambda: client.get(f"{CLAIMS}/{name}")["status"].get("phase") == "Bound")
    return client.get(f"/api/v1/persistentvolumes/{client.get(f'{CLAIMS}/{name}')['spec']['volumeName']}")


@pytest.mark.parametrize("mode", ["Immediate", "WaitForFirstConsumer"])
def test_a_claim_has_its_volume_until_it_is_deleted(cluster: KopsCluster, client: Client, mode: str) -> None:
    handle = claim(client, mode)["spec"]["csi"]["volumeHandle"]
    volume = cluster.volume(handle)
    tags = {tag["Key"]: tag["Value"] for tag in volume["Tags"]}
    assert tags[f"kubernetes.io/cluster/{cluster.name}"] == "owned"
    assert tags["kubernetes.io/created-for/pvc/name"] == mode.lower()
    assert volume["Size"] == 5
    if mode == "WaitForFirstConsumer":
        assert volume["AvailabilityZone"] == "us-east-1b"
        client.delete(f"/api/v1/namespaces/default/pods/{mode.lower()}")
    client.delete(f"{CLAIMS}/{mode.lower()}")
    until("the volume to go", lambda: not client.list("/api/v1/persistentvolumes"))
    with pytest.raises(ClientError, match="InvalidVolume"):
        cluster.volume(handle)


def test_what_a_gone_cluster_made_stays_in_the_account(cluster: KopsCluster, client: Client) -> None:
    host = serve(client, "orphan", NETWORK)
    cluster.delete()
    assert host in balancers(cluster)
    with pytest.raises(ClientError, match="DependencyViolation"):
        cluster.ec2.delete_subnet(SubnetId=cluster.network.subnets[0])
