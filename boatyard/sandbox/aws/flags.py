"""The command lines of a control plane's programs. Everything listens on loopback, or not at all."""

from collections.abc import Mapping
from pathlib import Path

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")

MANAGED = "kwok.x-k8s.io/node"
"""The annotation, with the value `fake`, that gives a node to KWOK."""


def arguments(folder: Path, ports: Mapping[str, int], version: str, services: str, pods: str) -> dict[str, list[str]]:
    """Program → its arguments. `folder` holds `pki` and `admin.json`; `version` is the minor to emulate."""
    pki, admin = folder / "pki", folder / "admin.json"
    etcd, peer = f"http://127.0.0.1:{ports['etcdPort']}", f"http://127.0.0.1:{ports['etcdPeerPort']}"
    emulated = f"--emulated-version={version}"
    alone = ["--leader-elect=false", "--secure-port=0", f"--kubeconfig={admin}", emulated]
    brisk = ["--kube-api-qps=200", "--kube-api-burst=400"]
    return {
        "etcd": [
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ],
        "kube-apiserver": [
            "--bind-address=127.0.0.1",
            f"--secure-port={ports['kubeApiserverPort']}",
            "--advertise-address=192.0.2.1",
            "--endpoint-reconciler-type=none",
            f"--etcd-servers={etcd}",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--tls-cert-file={pki / 'server.crt'}",
            f"--tls-private-key-file={pki / 'server.key'}",
            f"--service-account-key-file={pki / 'service-account.pub'}",
            f"--service-account-signing-key-file={pki / 'service-account.key'}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-cluster-ip-range={services}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            emulated,
        ],
        "kube-controller-manager": [
            *alone,
            *brisk,
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--service-account-private-key-file={pki / 'service-account.key'}",
            f"--cluster-signing-cert-file={pki / 'ca-primary.crt'}",
            f"--cluster-signing-key-file={pki / 'ca-primary.key'}",
            f"--service-cluster-ip-range={services}",
        ],
        "kube-scheduler": [*alone, *brisk],
        "kwok": [
            f"--config={Path(__file__).with_name('stages.yaml')}",
            f"--kubeconfig={admin}",
            f"--manage-nodes-with-annotation-selector={MANAGED}=fake",
            "--node-lease-duration-seconds=0",
            f"--cidr={pods}",
        ],
    }
