"""Live clusters in the emulated account: control planes and nodes follow what boto3 does, and nothing else."""

import base64
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from boatyard.errors import BoatyardError
from boatyard.kube.client import Client
from boatyard.sandbox.aws import Sandbox
from boatyard.settings import Settings
from boatyard.tools import Toolbox
from tests.unit.sandbox.kops import KopsCluster, pair, until

pytestmark = pytest.mark.twin

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox.start(tmp_path_factory.mktemp("sandbox"), Toolbox(Settings.load().cache)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def shared(sandbox: Sandbox) -> KopsCluster:
    """A cluster that no test leaves worse than it found it."""
    cluster = KopsCluster(sandbox, "shared.example.com")
    cluster.until("the cluster", cluster.follows)
    return cluster


def note(client: Client, name: str) -> None:
    client.create(MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})


def noted(client: Client, name: str) -> bool:
    return bool(client.get(f"{MAPS}/{name}"))


def minor(client: Client) -> str:
    version = client.version()
    return f"{version['emulationMajor']}.{version['emulationMinor']}"


def processes(folder: Path) -> dict[int, str]:
    """Number → command line of the live processes that name the folder."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in line:
                found[int(entry.name)] = line
    return found


def test_nodes_are_what_their_machines_and_group_say(shared: KopsCluster) -> None:
    with shared.client() as client:
        nodes = shared.ready_nodes(client, "nodes")
        assert set(nodes) == set(shared.instances("nodes"))
        for identity, node in nodes.items():
            labels = node["metadata"]["labels"]
            zone = labels["topology.kubernetes.io/zone"]
            assert node["spec"]["providerID"] == f"aws:///{zone}/{identity}"
            assert labels["team"] == "shop"
            assert labels["node-role.kubernetes.io/node"] == ""
            assert labels["node.kubernetes.io/instance-type"] == "t3.medium"
            assert {"key": "batch", "value": "true", "effect": "NoSchedule"} in node["spec"]["taints"]
            assert (node["status"]["capacity"]["cpu"], node["status"]["capacity"]["memory"]) == ("2", "4Gi")
            assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.35.5"
        assert len({node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes.values()}) == 2


def test_a_control_plane_machine_has_ready_mirror_pods_that_come_back(shared: KopsCluster) -> None:
    (master,) = shared.instances("control-plane")

    def mirrors(client: Client) -> set[str]:
        pods = client.list("/api/v1/namespaces/kube-system/pods", fieldSelector=f"spec.nodeName={master}")
        ready = [
            pod
            for pod in pods
            if pod["status"]["phase"] == "Running" and pod["metadata"]["annotations"]["kubernetes.io/config.mirror"]
        ]
        return {pod["metadata"]["labels"]["k8s-app"] for pod in ready}

    static = {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd-manager-main", "etcd-manager-events"}
    shared.until("mirror pods", lambda client: mirrors(client) == static)
    node = shared.until("its node", lambda client: client.get(f"/api/v1/nodes/{master}"))
    assert {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"} in node["spec"]["taints"]


def test_etcd_volumes_are_attached_to_the_control_plane(shared: KopsCluster) -> None:
    (master,) = shared.instances("control-plane")
    attached = [shared.volume(identity)["Attachments"][0] for identity in shared.volumes]
    assert [(each["InstanceId"], each["Device"]) for each in attached] == [
        (master, "/dev/xvdu"),
        (master, "/dev/xvdv"),
    ]


def test_a_terminated_machine_is_replaced_and_takes_its_pods_along(shared: KopsCluster) -> None:
    with shared.client() as client:
        first = shared.instances("nodes")[0]
        client.create(
            "/api/v1/namespaces/default/pods",
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "bound"},
                "spec": {"nodeName": first, "containers": [{"name": "main", "image": "example"}]},
            },
        )
    assert shared.replace("nodes") == first
    shared.until("the replacement", shared.follows)
    with shared.client() as client:
        assert client.list("/api/v1/namespaces/default/pods") == []


def test_a_detached_machine_stays_a_node_until_it_ends(shared: KopsCluster) -> None:
    gone = shared.instances("nodes")[0]
    shared.scaling.detach_instances(
        AutoScalingGroupName=f"nodes.{shared.name}", InstanceIds=[gone], ShouldDecrementDesiredCapacity=False
    )
    everybody = {gone, *shared.instances("nodes")}
    shared.until("three nodes", lambda client: set(shared.ready_nodes(client, "nodes")) == everybody)
    shared.ec2.terminate_instances(InstanceIds=[gone])
    shared.until("two nodes", shared.follows)


def test_a_new_template_version_brings_new_kubelets(shared: KopsCluster) -> None:
    shared.write_group("nodes", {"nodeLabels": {"team": "new"}})
    old = shared.instances("nodes")
    shared.upgrade("nodes", "1.35.6")
    shared.replace("nodes")
    shared.until("the new node", shared.follows)
    (new,) = set(shared.instances("nodes")) - set(old)
    with shared.client() as client:
        nodes = shared.ready_nodes(client, "nodes")
    told = {identity: node["status"]["nodeInfo"]["kubeletVersion"] for identity, node in nodes.items()}
    assert told == {new: "v1.35.6", old[1]: "v1.35.5"}
    assert nodes[new]["metadata"]["labels"]["team"] == "new"
    assert nodes[old[1]]["metadata"]["labels"]["team"] == "shop"


def test_a_node_deleted_by_hand_stays_deleted(shared: KopsCluster) -> None:
    with shared.client() as client:
        gone, kept = shared.instances("nodes")
        client.delete(f"/api/v1/nodes/{gone}")
    shared.scale("nodes", 3)
    (new,) = set(shared.instances("nodes")) - {gone, kept}
    shared.until("the third", lambda client: new in shared.ready_nodes(client))
    with shared.client() as client:
        assert set(shared.ready_nodes(client, "nodes")) == {kept, new}
    shared.ec2.terminate_instances(InstanceIds=[gone])
    shared.scale("nodes", 2)
    shared.until("two", shared.follows)


def test_bad_machines_on_request(shared: KopsCluster) -> None:
    for fault in ("not-ready", "absent"):
        more = {"boatyard.dev/sandbox-fault": fault}
        shared.add_group(fault, 1, "1.35.5", shared.network.subnets[:1], **more)
    (sick,) = shared.instances("not-ready")
    (absent,) = shared.instances("absent")
    node = shared.until("the sick node", lambda client: client.get(f"/api/v1/nodes/{sick}"))
    assert not [each for each in node["status"].get("conditions", []) if each["status"] == "True"]
    with shared.client() as client:
        assert absent not in {node["metadata"]["name"] for node in client.list("/api/v1/nodes")}
    for fault in ("not-ready", "absent"):
        shared.scaling.delete_auto_scaling_group(AutoScalingGroupName=f"{fault}.{shared.name}", ForceDelete=True)
        del shared.templates[fault]
    shared.until("all sound", shared.follows)


def test_the_control_plane_is_upgraded_and_keeps_its_objects(sandbox: Sandbox) -> None:
    cluster = KopsCluster(sandbox, "upgraded.example.com")
    assert cluster.until("the cluster", minor) == "1.35"
    with cluster.client() as client:
        note(client, "before")
    cluster.upgrade("control-plane", "1.36.1")
    cluster.replace("control-plane")
    cluster.until("1.36", lambda client: minor(client) == "1.36")
    cluster.until("its nodes", cluster.follows)
    with cluster.client() as client:
        assert noted(client, "before")
    cluster.delete()


def test_asleep_nobody_answers_and_awake_all_is_there_again(sandbox: Sandbox) -> None:
    cluster = KopsCluster(sandbox, "asleep.example.com")
    cluster.until("the cluster", cluster.follows)
    with cluster.client() as client:
        note(client, "kept")
    for group in ("nodes", "control-plane"):
        cluster.scale(group, 0)
    folder = sandbox.folder / "clusters" / cluster.name
    until("its processes to end", lambda: not processes(folder))
    with cluster.client() as client, pytest.raises(BoatyardError):
        client.version()
    assert [cluster.volume(identity)["State"] for identity in cluster.volumes] == ["available", "available"]
    cluster.scale("control-plane", 1)
    assert cluster.until("its objects", lambda client: noted(client, "kept"))
    cluster.until("its nodes", cluster.follows)
    cluster.delete()
    until("its data to go", lambda: not folder.exists())


def test_new_keysets_count_from_the_next_control_plane_machine_on(sandbox: Sandbox) -> None:
    cluster = KopsCluster(sandbox, "rotated.example.com", nodes=1)
    cluster.until("the cluster", cluster.follows)
    for name, entries in cluster.keysets.items():
        entries.append(pair(name, 2))
    cluster.write_keysets(primary="2")
    cluster.scale("nodes", 2)
    cluster.until("the second node", cluster.follows)
    assert authority_of(cluster) == 1
    cluster.replace("control-plane")
    until("the new authority", lambda: authority_of(cluster) == 2)
    cluster.until("administrators of both", lambda client: client.version(), primary=0)
    cluster.until("administrators of both", lambda client: client.version(), primary=1)
    for name, entries in cluster.keysets.items():
        entries[0]["distrustTimestamp"] = "2026-11-22T00:00:00Z"
        assert len(cluster.keysets[name]) == 2
    cluster.write_keysets(primary="2")
    cluster.replace("control-plane")

    def refused() -> bool:
        with cluster.client(primary=1) as new, cluster.client(primary=0) as old:
            try:
                new.version()
                return old.raw("GET", "/api/v1/nodes", check=False).status == 401
            except BoatyardError:
                return False

    until("the old authority to be refused", refused)
    cluster.delete()


def authority_of(cluster: KopsCluster) -> int | None:
    """The number of the authority that signed the serving certificate; None when nobody answers."""
    for number, entry in enumerate(cluster.keysets["kubernetes-ca"], 1):
        context = ssl.create_default_context(cadata=base64.b64decode(entry["publicMaterial"]).decode())
        host, port = cluster.sandbox.api_server.removeprefix("https://").split(":")
        try:
            with socket.create_connection((host, int(port)), timeout=5) as raw:
                context.wrap_socket(raw, server_hostname=f"api.{cluster.name}").close()
            return number
        except OSError:
            continue
    return None


def test_clusters_side_by_side_behind_one_address(sandbox: Sandbox, shared: KopsCluster) -> None:
    other = KopsCluster(sandbox, "other.example.com", version="1.34.2", nodes=1)
    assert other.until("the other", minor) == "1.34"
    other.until("its nodes", other.follows)
    with shared.client() as client:
        assert minor(client) == "1.35"
        assert set(shared.instances("nodes")) <= {node["metadata"]["name"] for node in client.list("/api/v1/nodes")}
    for name in ("", "api.nobody.example.com"):
        assert not answers(sandbox, name)
    other.delete()
    until("the other to be gone", lambda: not answers(sandbox, f"api.internal.{other.name}"))
    assert answers(sandbox, f"api.internal.{shared.name}")


def answers(sandbox: Sandbox, name: str) -> bool:
    """Does anybody speak TLS under that server name?"""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, port = sandbox.api_server.removeprefix("https://").split(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5) as raw:
            context.wrap_socket(raw, server_hostname=name or None).close()
    except OSError:
        return False
    return True


def test_a_killed_component_comes_back(sandbox: Sandbox, shared: KopsCluster) -> None:
    folder = sandbox.folder / "clusters" / shared.name
    etcd = {pid for pid, line in processes(folder).items() if "--data-dir" in line}
    for pid in etcd:
        os.kill(pid, signal.SIGKILL)
    until("another etcd", lambda: {p for p, line in processes(folder).items() if "--data-dir" in line} - etcd)
    shared.until("the cluster", shared.follows)


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_nothing_runs_on_after_its_end(tmp_path: Path, how: str) -> None:
    sandbox = Sandbox.start(tmp_path, Toolbox(Settings.load().cache))
    cluster = KopsCluster(sandbox, "short.example.com", nodes=1)
    cluster.until("the cluster", cluster.follows)
    assert len(processes(tmp_path)) >= 6
    if how == "killed":
        os.kill(sandbox.pid, signal.SIGKILL)
    else:
        sandbox.stop()
    until("every process to end", lambda: not processes(tmp_path))
    sandbox.stop()
