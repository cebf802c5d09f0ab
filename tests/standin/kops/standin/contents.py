"""Texts that kOps derives from the cluster: the completed spec, nodeup configurations, user data.

They hold what the recorded differences of an upgrade show, in that order, and what our own twin reads.
"""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from standin import keysets
from standin.say import VERSION
from standin.store import Document, dump
from standin.world import World, role

_EVICTION = (
    "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<10%,imagefs.inodesFree<5%"
)


def completed(world: World) -> str:
    """cluster-completed.spec."""
    document = {**world.cluster, "spec": {**world.spec, **_components(world)}}
    return dump(document)


def nodeup_config(world: World, group: Document) -> str:
    """igconfig/…/nodeupconfig.yaml of one group."""
    spec, control = group["spec"], role(group) == "ControlPlane"
    version = world.spec["kubernetesVersion"]
    document: dict[str, Any] = {"Assets": {arch: list(_assets(version, arch, control)) for arch in ("amd64", "arm64")}}
    document["CAs"] = {name: _certificates(world, name) for name in _trusted(control)}
    if control:
        parts = _components(world)
        names = ("kubeControllerManager", "kubeScheduler")
        document["APIServerConfig"] = {"KubeAPIServer": parts["kubeAPIServer"]}
        document["ControlPlaneConfig"] = {name[0].upper() + name[1:]: parts[name] for name in names}
        document["KeypairIDs"] = {name: _primary(world, name) for name in keysets.ALL}
    taints = list(spec.get("taints", ())) + (["node-role.kubernetes.io/control-plane=:NoSchedule"] if control else [])
    document["KubeletConfig"] = (
        _kubelet(version, control) | spec.get("kubelet", {}) | ({"taints": taints} if taints else {})
    )
    document["KubernetesVersion"] = version
    document["Networking"] = {name: {} for name in world.spec.get("networking", {})}
    document["NodeLabels"] = spec.get("nodeLabels", {})
    return dump(document)


def user_data(world: World, group: Document) -> str:
    """The script of the launch template; `kubernetesVersion` is for our twin, kOps has it in the assets."""
    digest = base64.b64encode(hashlib.sha256(nodeup_config(world, group).encode()).digest()).decode()
    env = [
        "CloudProvider: aws",
        f"ClusterName: {world.name}",
        f"InstanceGroupName: {group['metadata']['name']}",
        f"InstanceGroupRole: {role(group)}",
        f"NodeupConfigHash: {digest}",
    ]
    script = ["#!/bin/bash", "set -o errexit", f"# kubernetesVersion: {world.spec['kubernetesVersion']}"]
    script += ["cat > conf/kube_env.yaml << '__EOF_KUBE_ENV'", *env, "", "__EOF_KUBE_ENV", "", "download-release"]
    return "\n".join([*script, 'echo "== nodeup node config done =="', ""])


def shown(script: str) -> str:
    """User data without the line that is our twin's alone: kOps would not show it."""
    return "\n".join(line for line in script.split("\n") if not line.startswith("# kubernetesVersion"))


def _trusted(control: bool) -> tuple[str, ...]:
    return tuple(sorted(keysets.ALL)) if control else ("kubernetes-ca",)


def _certificates(world: World, name: str) -> str:
    return str(world.aws.look(f"certificates {name}", lambda: keysets.trusted(world.store, world.name, name)))


def _primary(world: World, name: str) -> str:
    spec = world.aws.look(f"keyset {name}", lambda: keysets.load(world.store, world.name, name))
    return str(spec["primaryId"]) if spec else ""


def _assets(version: str, arch: str, control: bool) -> Iterator[str]:
    release = f"https://dl.k8s.io/release/v{version}/bin/linux/{arch}"
    found = [f"{release}/kubelet", f"{release}/kubectl"]
    aws, containerd = "https://artifacts.k8s.io/binaries/cloud-provider-aws/v1.31.7/linux", "v2.2.4/containerd-2.2.4"
    found.append(f"{aws}/{arch}/ecr-credential-provider-linux-{arch}")
    found.append(f"https://github.com/containerd/containerd/releases/download/{containerd}-linux-{arch}.tar.gz")
    found.append(f"https://github.com/opencontainers/runc/releases/download/v1.3.5/runc.{arch}")
    if control:
        found.append(f"https://artifacts.k8s.io/binaries/kops/{VERSION}/linux/{arch}/protokube")
    for address in found:
        yield f"{hashlib.sha256(address.encode()).hexdigest()}@{address}"


def _image(name: str, version: str) -> str:
    return f"registry.k8s.io/{name}:v{version}"


def _components(world: World) -> dict[str, Any]:
    version = world.spec["kubernetesVersion"]
    elect = {"leaderElection": {"leaderElect": True}}
    api = {
        "etcdServers": ["https://127.0.0.1:4001"],
        "etcdServersOverrides": ["/events#https://127.0.0.1:4002"],
        "image": _image("kube-apiserver", version),
        "kubeletPreferredAddressTypes": ["InternalIP", "Hostname", "ExternalIP"],
        "serviceAccountIssuer": f"https://api.internal.{world.name}",
    }
    manager = {
        "allocateNodeCIDRs": True,
        "clusterName": world.name,
        "configureCloudRoutes": False,
        "image": _image("kube-controller-manager", version),
        **elect,
        "logLevel": 2,
        "useServiceAccountCredentials": True,
    }
    proxy = {"cpuRequest": "100m", "enabled": False, "image": _image("kube-proxy", version), "logLevel": 2}
    return {
        "kubeAPIServer": api,
        "kubeControllerManager": manager,
        "kubeProxy": proxy | world.spec.get("kubeProxy", {}),
        "kubeScheduler": {"image": _image("kube-scheduler", version), **elect, "logLevel": 2},
        "masterKubelet": _kubelet(version, control=True),
    }


def _kubelet(version: str, control: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "anonymousAuth": False,
        "cgroupDriver": "systemd",
        "enableDebuggingHandlers": True,
        "evictionHard": _EVICTION,
        "kubeconfigPath": "/var/lib/kubelet/kubeconfig",
        "logLevel": 2,
        "shutdownGracePeriod": "30s",
        "shutdownGracePeriodCriticalPods": "10s",
    }
    if control and int(version.split(".")[1]) < 36:  # recorded: gone with 1.36
        found["featureGates"] = {"ImageVolume": "true"}
    return found
