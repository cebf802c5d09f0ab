"""Node objects and a control plane's mirror pods, as a kubelet on each machine would register them. Pure."""

from typing import Any

from boatyard.kube.nodes import parse_taint
from boatyard.sandbox.aws.flags import MANAGED
from boatyard.sandbox.aws.model import Machine

Json = dict[str, Any]

NODES, PODS = "/api/v1/nodes", "/api/v1/pods"
SYSTEM_PODS = "/api/v1/namespaces/kube-system/pods"
STATIC = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd-manager-main", "etcd-manager-events")
_MASTER = "node-role.kubernetes.io/control-plane"


def node(machine: Machine) -> Json:
    """A whole Node, status included. One that KWOK is not to keep Ready lacks the annotation it goes by."""
    capacity = {
        "cpu": str(machine.cpus),
        "memory": f"{machine.memory}Mi",
        "ephemeral-storage": "100Gi",
        "pods": "110",
    }
    info = dict.fromkeys(("bootID", "machineID", "systemUUID"), machine.identity) | {
        "architecture": machine.architecture,
        "containerRuntimeVersion": "containerd://2.1.4",
        "kernelVersion": "kwok",
        "kubeProxyVersion": f"v{machine.version}",
        "kubeletVersion": f"v{machine.version}",
        "operatingSystem": "linux",
        "osImage": "Ubuntu 24.04 LTS",
    }
    addresses = [
        {"type": "InternalIP", "address": machine.address},
        {"type": "Hostname", "address": machine.identity},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": machine.identity,
            "labels": _labels(machine),
            "annotations": {} if machine.fault else {MANAGED: "fake"},
        },
        "spec": {"providerID": provider_id(machine), "taints": _taints(machine)},
        "status": {"capacity": capacity, "allocatable": capacity, "nodeInfo": info, "addresses": addresses},
    }


def provider_id(machine: Machine) -> str:
    return f"aws:///{machine.zone}/{machine.identity}"


def mirror_pods(machine: Machine) -> list[Json]:
    """The static pods of a control-plane machine as the API shows them; nobody can evict one."""
    return [_mirror_pod(machine, name) for name in STATIC]


def _mirror_pod(machine: Machine, name: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{name}-{machine.identity}",
            "namespace": "kube-system",
            "labels": {"k8s-app": name},
            "annotations": {
                "kubernetes.io/config.source": "file",
                "kubernetes.io/config.mirror": f"{name}-{machine.identity}",
                "kubernetes.io/config.hash": f"{name}-{machine.identity}",
            },
        },
        "spec": {
            "nodeName": machine.identity,
            "hostNetwork": True,
            "priorityClassName": "system-cluster-critical",
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": name, "image": f"registry.k8s.io/{name}:v{machine.version}"}],
        },
    }


def _labels(machine: Machine) -> dict[str, str]:
    if machine.role == "control-plane":
        roles = dict.fromkeys(
            (_MASTER, "node.kubernetes.io/exclude-from-external-load-balancers", "kops.k8s.io/kops-controller-pki"), ""
        )
    else:
        roles = {"node-role.kubernetes.io/node": ""}
        if machine.spot:
            roles["node-role.kubernetes.io/spot-worker"] = "true"
    return {
        **{key: str(value) for key, value in machine.labels.items()},
        **roles,
        "kops.k8s.io/instancegroup": machine.group,
        "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/hostname": machine.identity,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": machine.size,
        "topology.kubernetes.io/region": machine.region,
        "topology.kubernetes.io/zone": machine.zone,
    }


def _taints(machine: Machine) -> list[Json]:
    found = {(taint["key"], taint["effect"]): taint for taint in map(parse_taint, machine.taints)}
    if machine.role == "control-plane":
        found.setdefault((_MASTER, "NoSchedule"), {"key": _MASTER, "effect": "NoSchedule"})
    return list(found.values())
